"""The seam between two layers: one frame that converts exceptions as Django does and stamps entry and exit.

Django wraps every layer in ``convert_exception_to_response``; these functions stand in its place, so no layer gets an
extra frame. Sync and async stand side by side. On an exception Django's own converter runs, and our frames leave the
traceback before anyone looks at it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import update_wrapper, wraps
from threading import get_ident
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.handlers import exception as django_exception

from pipeline_inspector.probes.base import strip
from pipeline_inspector.recording import errors
from pipeline_inspector.recording.chain import LoadedChain
from pipeline_inspector.recording.tape import (
    AGAIN,
    ATTRIBUTES_IN,
    ATTRIBUTES_OUT,
    COOKIES,
    ENTRY,
    EXIT,
    HEADERS,
    HOP_END,
    HOP_START,
    OFF,
    RENDER,
    STATUS,
    STRIDE,
    Tape,
    now,
)

Handler = Callable[[Any], Any]

_convert = django_exception.convert_exception_to_response


def snapshot(response: Any) -> tuple[Any, ...] | None:
    """Status, headers and cookies (0: none) of a response as it is now; None when it is no response."""
    try:
        cookies = response.cookies
        return (
            response.status_code,
            response.headers._store.copy(),
            {name: morsel.value for name, morsel in cookies.items()} if cookies else 0,
        )
    except Exception:
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
    entry, attributes_in, exit_, status, headers, cookies, attributes_out = _places(position)

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
        attributes = request.__dict__
        if len(attributes) != tape.width or (tape.watched and tape.exchanged(attributes)):
            slots[attributes_in] = tape.kept(attributes)
        slots[entry] = now()
        try:
            response = called(request)
        except Exception as error:
            response = respond(request, error, tape, position)
        slots[exit_] = now()
        try:
            slots[status] = response.status_code
            if response.headers._store != tape.headers:
                slots[headers] = tape.headers = response.headers._store.copy()
            if response.cookies:
                slots[cookies] = {name: morsel.value for name, morsel in response.cookies.items()}
        except Exception:
            slots[status] = 0
        if len(attributes) != tape.width or (tape.watched and tape.exchanged(attributes)):
            slots[attributes_out] = tape.kept(attributes)
        return response

    return layer


def _async_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    entry, attributes_in, exit_, status, headers, cookies, attributes_out = _places(position)

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
        attributes = request.__dict__
        if len(attributes) != tape.width or (tape.watched and tape.exchanged(attributes)):
            slots[attributes_in] = tape.kept(attributes)
        slots[entry] = now()
        try:
            response = await called(request)
        except Exception as error:
            response = await arespond(request, error, tape, position)
        slots[exit_] = now()
        try:
            slots[status] = response.status_code
            if response.headers._store != tape.headers:
                slots[headers] = tape.headers = response.headers._store.copy()
            if response.cookies:
                slots[cookies] = {name: morsel.value for name, morsel in response.cookies.items()}
        except Exception:
            slots[status] = 0
        if len(attributes) != tape.width or (tape.watched and tape.exchanged(attributes)):
            slots[attributes_out] = tape.kept(attributes)
        return response

    return layer


def _unmarked_seam(
    get_response: Handler, called: Handler, plain: Handler, chain: LoadedChain, position: int, inward: Handler
) -> Handler:
    """For a layer whose call returns a coroutine though it is not marked: Django's converter never awaits it."""
    sync = _sync_seam(get_response, called, plain, chain, position, inward)
    entry, _, exit_, status, headers, cookies, attributes_out = _places(position)

    async def finish(coroutine: Awaitable[Any], request: Any, tape: Tape) -> Any:
        try:
            response = await coroutine
        except Exception as error:
            errors.note(tape, error, ("layer", position))
            strip(error)
            raise
        tape.slots[exit_] = now()
        answer = snapshot(response)
        if answer is not None:
            tape.slots[status], tape.slots[headers], tape.slots[cookies] = answer
        tape.slots[attributes_out] = request.__dict__.copy()
        return response

    @wraps(get_response)
    def layer(request: Any) -> Any:
        tape: Tape | None = getattr(request, "_pipeline_tape", None)
        fresh = tape is not None and tape.chain is chain and not tape.slots[entry]
        response = sync(request)
        if tape is not None and fresh and asyncio.iscoroutine(response):
            return finish(response, request, tape)
        return response

    return layer


def _places(position: int) -> tuple[int, ...]:
    places = (ENTRY, ATTRIBUTES_IN, EXIT, STATUS, HEADERS, COOKIES, ATTRIBUTES_OUT)
    return tuple(position * STRIDE + place for place in places)


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

    answer: Awaitable[Any] = _convert(raise_it)(request)  # type: ignore[assignment]
    return await answer


def met_at_seam(tape: Tape, error: Exception, position: int) -> None:
    """An exception arrived at the seam of ``position``: write down who raised it and that Django answers here."""
    strip(error)
    met = errors.note(tape, error, ("layer", position) if position else in_core(tape))
    met.rescued_by = ("django", position)
    met.rescued_at = now()


def in_core(tape: Tape) -> tuple[str, int]:
    """Where an exception of the core comes from that neither resolver, hook nor view raised."""
    rendered = tape.events and tape.events[-1][0] == RENDER
    return ("render" if rendered else "django", 0)


def clean_tracebacks() -> None:
    """Let ``response_for_exception`` see tracebacks without our frames. Once per process; twice is harmless."""
    original = django_exception.response_for_exception
    if getattr(original, "_pipeline_inspector", False):
        return

    @wraps(original)
    def response_for_exception(request: Any, exc: Exception) -> Any:
        strip(exc)
        return original(request, exc)

    response_for_exception._pipeline_inspector = True  # type: ignore[attr-defined]
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
