"""The seam between two layers: one frame that converts exceptions as Django does and stamps entry and exit.

Django wraps every layer in ``convert_exception_to_response``; these functions stand in its place, so no layer gets an
extra frame. Sync and async stand side by side. On an exception Django's own converter runs, and our frames leave the
traceback before anyone looks at it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import update_wrapper, wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.handlers import exception as django_exception

from pipeline_inspector.probes.base import strip
from pipeline_inspector.recording import errors
from pipeline_inspector.recording.chain import LoadedChain
from pipeline_inspector.recording.tape import (
    ATTRIBUTES_IN,
    ATTRIBUTES_OUT,
    ENTRY,
    EXIT,
    HOP_END,
    HOP_START,
    OFF,
    RAISED,
    RESPONSE,
    STRIDE,
    AGAIN,
    Tape,
    now,
)
from threading import get_ident

Handler = Callable[[Any], Any]

_convert = django_exception.convert_exception_to_response


def snapshot(response: Any) -> tuple[Any, ...] | None:
    """Status, headers, cookies and identity of a response as it is now; None when it is no response."""
    try:
        cookies = response.cookies
        return (
            response.status_code,
            response.headers._store.copy(),  # noqa: SLF001
            {name: morsel.value for name, morsel in cookies.items()} if cookies else None,
            id(response),
        )
    except Exception:  # noqa: BLE001 - whatever a layer returned, it is Django's to complain
        return None


def seam(
    get_response: Handler, chain: LoadedChain, position: int, inward: Handler, convert: Handler = _convert
) -> Handler:
    """What the next layer out calls instead of Django's converted ``get_response``.

    ``inward`` is what the layer itself was given to call: its bypass. ``convert`` is the converter to use for requests
    that are not recorded: Django's, or the one another tool put in its place.
    """
    plain = convert(get_response)
    called = get_response if convert is _convert else plain
    if iscoroutinefunction(get_response):
        return _async_seam(get_response, called, plain, chain, position, inward)
    if iscoroutinefunction(inward) and position:
        return _unmarked_seam(get_response, called, plain, chain, position, inward)
    return _sync_seam(get_response, called, plain, chain, position, inward)


def _sync_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    entry, attributes_in, exit_, answer, attributes_out = _places(position)

    @wraps(get_response)
    def layer(request: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            return plain(request)
        if tape is None or tape.chain is not chain:
            return plain(request)
        slots = tape.slots
        if slots[entry]:
            return inward(request) if slots[entry] == OFF else _again(request, tape, position, plain)
        slots[attributes_in] = request.__dict__.copy()
        slots[entry] = now()
        try:
            response = called(request)
        except Exception as error:
            response = respond(request, error, tape, position)
        slots[exit_] = now()
        try:
            cookies = response.cookies
            slots[answer] = (
                response.status_code,
                response.headers._store.copy(),
                {name: morsel.value for name, morsel in cookies.items()} if cookies else None,
                id(response),
            )
            slots[attributes_out] = request.__dict__.copy()
        except Exception:
            slots[answer] = None
        return response

    return layer


def _async_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    entry, attributes_in, exit_, answer, attributes_out = _places(position)

    @wraps(get_response)
    async def layer(request: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            return await plain(request)
        if tape is None or tape.chain is not chain:
            return await plain(request)
        slots = tape.slots
        if slots[entry]:
            return await (inward(request) if slots[entry] == OFF else _again(request, tape, position, plain))
        slots[attributes_in] = request.__dict__.copy()
        slots[entry] = now()
        try:
            response = await called(request)
        except Exception as error:
            response = await arespond(request, error, tape, position)
        slots[exit_] = now()
        try:
            cookies = response.cookies
            slots[answer] = (
                response.status_code,
                response.headers._store.copy(),
                {name: morsel.value for name, morsel in cookies.items()} if cookies else None,
                id(response),
            )
            slots[attributes_out] = request.__dict__.copy()
        except Exception:
            slots[answer] = None
        return response

    return layer


def _unmarked_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    """For a layer whose call returns a coroutine though it is not marked: Django's converter never awaits it."""
    sync = _sync_seam(get_response, called, plain, chain, position, inward)
    entry, _, exit_, answer, attributes_out = _places(position)

    async def finish(coroutine: Awaitable[Any], request: Any, tape: Tape) -> Any:
        try:
            response = await coroutine
        except Exception as error:
            errors.note(tape, error, ("layer", position))
            tape.slots[position * STRIDE + RAISED] = now()
            strip(error)
            raise
        tape.slots[exit_] = now()
        tape.slots[answer] = snapshot(response)
        tape.slots[attributes_out] = request.__dict__.copy()
        return response

    @wraps(get_response)
    def layer(request: Any) -> Any:
        tape = getattr(request, "_pipeline_tape", None)
        fresh = tape is not None and tape.chain is chain and not tape.slots[entry]
        response = sync(request)
        if fresh and asyncio.iscoroutine(response):
            return finish(response, request, tape)
        return response

    return layer


def _places(position: int) -> tuple[int, int, int, int, int]:
    base = position * STRIDE
    return base + ENTRY, base + ATTRIBUTES_IN, base + EXIT, base + RESPONSE, base + ATTRIBUTES_OUT


def _again(request: Any, tape: Tape, position: int, plain: Handler) -> Any:
    moment = now()
    tape.add((AGAIN, moment, moment, get_ident(), position))
    return plain(request)


# -- exceptions -----------------------------------------------------------------------------------------------------


def respond(request: Any, error: Exception, tape: Tape, position: int) -> Any:
    """The response that Django's converter makes of ``error`` at this seam, with the traceback it would have had."""
    met_at_seam(tape, error, position)

    def raise_it(_: Any) -> Any:
        raise error

    return _convert(raise_it)(request)


async def arespond(request: Any, error: Exception, tape: Tape, position: int) -> Any:
    """The same for an async seam."""
    met_at_seam(tape, error, position)

    async def raise_it(_: Any) -> Any:
        raise error

    return await _convert(raise_it)(request)


def met_at_seam(tape: Tape, error: Exception, position: int) -> None:
    """An exception arrived at the seam of ``position``: write down who raised it and that Django answers here."""
    strip(error)
    met = errors.note(tape, error, ("layer", position) if position else ("django", 0))
    if met.where == ("layer", position):
        tape.slots[position * STRIDE + RAISED] = met.at
    met.rescued_by = ("django", position)
    met.rescued_at = now()


def clean_tracebacks() -> None:
    """Let ``response_for_exception`` see tracebacks without our frames. Once per process; twice is harmless."""
    original = django_exception.response_for_exception
    if getattr(original, "_pipeline_inspector", False):
        return

    @wraps(original)
    def response_for_exception(request: Any, exc: Exception) -> Any:
        strip(exc)
        return original(request, exc)

    response_for_exception._pipeline_inspector = True  # type: ignore[attr-defined]  # noqa: SLF001
    django_exception.response_for_exception = response_for_exception


# -- hops -----------------------------------------------------------------------------------------------------------


def hop(adapter: Handler, chain: LoadedChain, position: int) -> Handler:
    """``adapter`` (asgiref's, made by Django) with stamps around it, on the slots of the layer at ``position`` inside it."""
    start, end = position * STRIDE + HOP_START, position * STRIDE + HOP_END

    if iscoroutinefunction(adapter):

        async def async_hop(request: Any) -> Any:
            tape = getattr(request, "_pipeline_tape", None)
            if tape is None or tape.chain is not chain or tape.slots[start]:
                return await adapter(request)
            tape.slots[start] = now()
            response = await adapter(request)
            tape.slots[end] = now()
            return response

        return update_wrapper(async_hop, adapter)

    def sync_hop(request: Any) -> Any:
        tape = getattr(request, "_pipeline_tape", None)
        if tape is None or tape.chain is not chain or tape.slots[start]:
            return adapter(request)
        tape.slots[start] = now()
        response = adapter(request)
        tape.slots[end] = now()
        return response

    return update_wrapper(sync_hop, adapter)
