"""The seam between two layers: one frame that converts exceptions as Django does and stamps entry and exit.

Django wraps every layer in ``convert_exception_to_response``; these functions stand in its place, so no layer gets an
extra frame. Sync and async stand side by side. On an exception Django's own converter runs, and our frames leave the
traceback before anyone looks at it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, wraps
from threading import get_ident
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync, iscoroutinefunction
from django.core.handlers import exception as django_exception
from django.http import HttpResponseBase

from pipeline_inspector import compiled, faults
from pipeline_inspector.probes.base import met, strip
from pipeline_inspector.recording.chain import LoadedChain
from pipeline_inspector.recording.fields import snapshot
from pipeline_inspector.recording.kinds import AGAIN, RENDER
from pipeline_inspector.recording.slots import (
    ATTRIBUTES_IN,
    ATTRIBUTES_OUT,
    COOKIES,
    ENTRY,
    EXIT,
    HEADERS,
    HOP_END,
    HOP_START,
    OFF,
    STATUS,
    STRIDE,
)
from pipeline_inspector.recording.tape import Tape, now

Handler = Callable[[Any], Any]

PASSES = object()


_convert = django_exception.convert_exception_to_response


def seam(
    get_response: Handler, chain: LoadedChain, position: int, inward: Handler, convert: Handler = _convert
) -> Handler:
    """What the next layer out calls instead of Django's converted ``get_response``.

    ``inward`` is what the layer itself was given to call: its bypass. ``convert`` is the converter to use for requests
    that are not recorded: Django's, or the one another tool put in its place.
    """
    plain = convert(get_response if convert is _convert else _noting(get_response, chain, position))
    called = get_response if convert is _convert else plain
    if iscoroutinefunction(get_response):
        make = _async_seam
    elif iscoroutinefunction(inward) and position:
        make = _unmarked_seam
    else:
        make = _sync_seam
    made = make(get_response, called, plain, chain, position, inward)
    for name in ("__name__", "__qualname__"):
        setattr(made, name, getattr(plain, name, name))
    # Where a compiled seam stands, the recorder knows the layer in hand by the frame that the layer itself begins with.
    if compiled.half is None or make is not _sync_seam or not chain.learn_beginning(get_response):
        return made
    whole: Handler = compiled.half.seam(made, called, chain, position, respond, PASSES, left, fault)
    return whole


def fault(error: Exception) -> None:
    """A boundary could not be written down."""
    faults.note("probes: layer", error)


def left(tape: Tape, slots: list[Any], base: int, attributes: dict[str, Any], response: Any) -> None:
    """Write down what differs now that ``response`` came out of the layer whose slots begin at ``base``."""
    try:
        tape.came_out(base, attributes, response)
    except Exception as error:
        slots[base + STATUS] = 0
        if isinstance(response, HttpResponseBase):
            fault(error)


def _sync_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    # Few names from outside, few of its own: every one makes the frame larger, and a chain holds many frames.
    base, exit_ = position * STRIDE, position * STRIDE + EXIT
    aside = _aside(plain, chain, position, inward)

    @wraps(get_response)
    def layer(request: Any) -> Any:
        try:
            tape = request._pipeline_tape
            slots = tape.slots
        except AttributeError:
            return plain(request)
        if tape.chain is not chain or slots[base]:
            return aside(request, tape)
        attributes = request.__dict__
        try:
            if len(attributes) != tape.width:
                slots[base + ATTRIBUTES_IN] = tape.looked(attributes)
        except Exception as error:
            faults.note("probes: layer", error)
        slots[base] = now()
        try:
            response = called(request)
        except BaseException as error:
            response = respond(request, error, tape, base // STRIDE)
            if response is PASSES:
                raise
        slots[exit_] = now()
        try:
            tape.came_out(base, attributes, response)
        except Exception as error:
            slots[base + STATUS] = 0
            if isinstance(response, HttpResponseBase):
                faults.note("probes: layer", error)
        return response

    return layer


def _async_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    base, exit_ = position * STRIDE, position * STRIDE + EXIT
    aside = _aside(plain, chain, position, inward)

    @wraps(get_response)
    async def layer(request: Any) -> Any:
        try:
            tape = request._pipeline_tape
            slots = tape.slots
        except AttributeError:
            return await plain(request)
        if tape.chain is not chain or slots[base]:
            return await aside(request, tape)
        attributes = request.__dict__
        try:
            if len(attributes) != tape.width:
                slots[base + ATTRIBUTES_IN] = tape.looked(attributes)
        except Exception as error:
            faults.note("probes: layer", error)
        slots[base] = now()
        try:
            response = await called(request)
        except BaseException as error:
            response = await arespond(request, error, tape, base // STRIDE)
            if response is PASSES:
                raise
        slots[exit_] = now()
        left(tape, slots, base, attributes, response)
        return response

    return layer


def _unmarked_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    """For a layer whose call returns a coroutine though it is not marked: Django's converter never awaits it."""
    sync = _sync_seam(get_response, called, plain, chain, position, inward)
    base = position * STRIDE

    async def finish(coroutine: Awaitable[Any], request: Any, tape: Tape) -> Any:
        try:
            response = await coroutine
        except Exception as error:
            met(tape, error, ("layer", position))
            raise
        slots = tape.slots
        slots[base + EXIT] = now()
        answer = snapshot(response)
        if answer is not None:
            slots[base + STATUS], slots[base + HEADERS], slots[base + COOKIES] = answer
        slots[base + ATTRIBUTES_OUT] = tape.looked(request.__dict__)
        return response

    @wraps(get_response)
    def layer(request: Any) -> Any:
        tape: Tape | None = getattr(request, "_pipeline_tape", None)
        fresh = tape is not None and tape.chain is chain and not tape.slots[base]
        response = sync(request)
        if tape is not None and fresh and asyncio.iscoroutine(response):
            return finish(response, request, tape)
        return response

    return layer


def _aside(plain: Handler, chain: LoadedChain, position: int, inward: Handler) -> Callable[[Any, Tape], Any]:
    """What to call when the slot of entry is taken, or the tape is another chain's."""
    entry = position * STRIDE + ENTRY

    def aside(request: Any, tape: Tape) -> Any:
        if tape.chain is not chain:
            return plain(request)
        return inward(request) if tape.slots[entry] == OFF else _again(request, tape, position, plain)

    return aside


def _again(request: Any, tape: Tape, position: int, plain: Handler) -> Any:
    try:
        moment = now()
        tape.add((AGAIN, moment, moment, get_ident(), position))
    except Exception as fault:
        faults.note("probes: layer entered again", fault)
    return plain(request)


# -- exceptions -----------------------------------------------------------------------------------------------------


def respond(request: Any, error: BaseException, tape: Tape, position: int) -> Any:
    """The response that Django's converter makes of ``error`` at this seam, with the traceback it would have had.

    What Django lets through (``KeyboardInterrupt``, a cancellation) goes through its converter too: ``PASSES``, for the
    seam to raise it again, which adds no frame.
    """
    met_at_seam(tape, error, position)

    def raise_it(_: Any) -> Any:
        raise error

    try:
        return _convert(raise_it)(request)
    except BaseException as passing:
        strip(passing)
        if passing is error:
            return PASSES
        raise


async def arespond(request: Any, error: BaseException, tape: Tape, position: int) -> Any:
    """The same for an async seam."""
    met_at_seam(tape, error, position)

    async def raise_it(_: Any) -> Any:
        raise error

    answer: Awaitable[Any] = _convert(raise_it)(request)  # type: ignore[assignment]
    try:
        return await answer
    except BaseException as passing:
        strip(passing)
        if passing is error:
            return PASSES
        raise


def _noting(get_response: Handler, chain: LoadedChain, position: int) -> Handler:
    """``get_response``, its exceptions written down before another tool's converter makes responses of them."""

    def note(request: Any, error: BaseException) -> None:
        tape = getattr(request, "_pipeline_tape", None)
        if tape is not None and tape.chain is chain:
            met_at_seam(tape, error, position)

    def noting(request: Any) -> Any:
        try:
            return get_response(request)
        except Exception as error:
            note(request, error)
            raise

    async def anoting(request: Any) -> Any:
        try:
            return await get_response(request)
        except Exception as error:
            note(request, error)
            raise

    return wraps(get_response)(anoting if iscoroutinefunction(get_response) else noting)


def met_at_seam(tape: Tape, error: BaseException, position: int) -> None:
    """An exception arrived at the seam of ``position``: write down who raised it and that Django answers here."""
    if not isinstance(error, Exception):
        _passes(tape, error, position)
        return
    noted = met(tape, error, ("layer", position) if position else in_core(tape))
    if noted is not None:
        noted.rescued_by = ("django", position)
        noted.rescued_at = now()


def _passes(tape: Tape, error: BaseException, position: int) -> None:
    """Django lets ``error`` through: the seam is left, and who is next may make a response of it."""
    try:
        slots = tape.slots
        slots[position * STRIDE + EXIT] = now()
        if not isinstance(error, KeyboardInterrupt | SystemExit):
            return
        noted = met(tape, error, ("layer", position) if position else in_core(tape))
        outer = position + 1
        while outer * STRIDE < len(slots) and slots[outer * STRIDE] == OFF:
            outer += 1
        if noted is not None:
            noted.rescued_by = ("layer", outer)
    except Exception as fault:
        faults.note("probes: exception", fault)


def in_core(tape: Tape) -> tuple[str, int]:
    """Where an exception of the core comes from that neither resolver, hook nor view raised."""
    rendered = tape.events and tape.events[-1][0] == RENDER
    return ("render" if rendered else "django", 0)


@cache
def clean_tracebacks() -> None:
    """Let ``response_for_exception`` see tracebacks without our frames."""
    original = django_exception.response_for_exception

    @wraps(original)
    def response_for_exception(request: Any, exc: Exception) -> Any:
        try:
            strip(exc)
        except Exception as fault:
            faults.note("probes: traceback", fault)
        return original(request, exc)

    django_exception.response_for_exception = response_for_exception


# -- hops -----------------------------------------------------------------------------------------------------------


def hop(adapter: Any, chain: LoadedChain, position: int) -> None:
    """Make ``adapter`` (asgiref's, made by Django) stamp the slots of the layer at ``position`` inside it.

    It stays the object that it was, of its own kind, for whoever asks.
    """
    adapter._pipeline_hop = chain, position * STRIDE + HOP_START, position * STRIDE + HOP_END
    adapter.__class__ = _ToThread if isinstance(adapter, SyncToAsync) else _ToLoop


class _ToThread(SyncToAsync[Any, Any]):
    _pipeline_hop: tuple[LoadedChain, int, int]

    async def __call__(self, request: Any) -> Any:
        chain, start, end = self._pipeline_hop
        tape = getattr(request, "_pipeline_tape", None)
        if tape is None or tape.chain is not chain or tape.slots[start]:
            return await super().__call__(request)
        tape.slots[start] = now()
        try:
            response = await super().__call__(request)
        except BaseException as error:
            strip(error)
            raise
        tape.slots[end] = now()
        return response


class _ToLoop(AsyncToSync[Any, Any]):
    _pipeline_hop: tuple[LoadedChain, int, int]

    def __call__(self, request: Any) -> Any:
        chain, start, end = self._pipeline_hop
        tape = getattr(request, "_pipeline_tape", None)
        if tape is None or tape.chain is not chain or tape.slots[start]:
            return super().__call__(request)
        tape.slots[start] = now()
        try:
            response = super().__call__(request)
        except BaseException as error:
            strip(error)
            raise
        tape.slots[end] = now()
        return response


for _own, _theirs in ((_ToThread, SyncToAsync), (_ToLoop, AsyncToSync)):
    for _name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(_own, _name, getattr(_theirs, _name))
