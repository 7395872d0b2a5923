"""Server and signals: the moments around the handler, and our own socket beside it.

``WSGIHandler.__call__`` and ``ASGIHandler.__call__`` are wrapped at class level, and Channels' ``ProtocolTypeRouter``
where the site routes sockets itself. What they return and what they pass on stays what it was: ``start_response`` and
``send`` are only stamped, the response object of WSGI is not touched, so files still use ``wsgi.file_wrapper``. That a
WSGI server asks for the body, right before it writes the first byte, is seen at ``HttpResponse.__iter__``.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Protocol

from channels.routing import ProtocolTypeRouter
from django.core.handlers import asgi, wsgi
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.http import HttpResponse

from pipeline_inspector import compiled, faults
from pipeline_inspector.probes.base import strip
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.fields import finished
from pipeline_inspector.recording.moments import FIRST_BYTE, PREFIXED, STARTED
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.recording.transport import arrived, reset_way, set_way, way_in_hand

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class Switch(Protocol):
    """``recording``: is there anything to do? Read per request."""

    recording: bool


def install(switch: Switch, is_own_socket: Callable[[Any], bool], socket: Asgi) -> None:
    """Wrap the handlers and connect the receivers. Once per process, whatever others put on top since: see the wiring.

    Websocket scopes that ``is_own_socket`` accepts go to the ASGI app ``socket``.
    """
    request_started.connect(_started, weak=False, dispatch_uid="pipeline_inspector.started")
    request_finished.connect(_finished, weak=False, dispatch_uid="pipeline_inspector.finished")
    for module in (wsgi, asgi):
        _wrap_prefix(module)
    _wrap_body()
    _wrap_wsgi(switch)
    _wrap_asgi(switch, is_own_socket, socket)
    _wrap_router(switch, is_own_socket, socket)


def _wrap_prefix(module: Any) -> None:
    """``set_script_prefix`` as the handler of ``module`` calls it; Django's own function stays what it is."""
    original = module.set_script_prefix

    @wraps(original)
    def set_script_prefix(prefix: str) -> None:
        original(prefix)
        way = way_in_hand()
        if way is not None:
            way.stamp(PREFIXED)
            way.script_prefix = prefix

    module.set_script_prefix = set_script_prefix


def _handed_out(response: Any) -> None:
    """A WSGI server asks for the body of ``response``, right before it writes the first byte."""
    try:
        tape = response._resource_closers[-2].__self__  # behind ours the handler puts its request's
        if type(tape) is Tape and tape.body_bytes:  # an empty body has no first byte, under WSGI as under ASGI
            tape.transport.stamp(FIRST_BYTE)
    except (AttributeError, IndexError):  # a closer of another kind, or none; a tape without a way
        pass
    except Exception as fault:
        faults.note("probes: body", fault)


handed_out: Callable[[Any], None] = getattr(compiled.half, "handed_out", _handed_out)


def _wrap_body() -> None:
    original = HttpResponse.__iter__

    @wraps(original)
    def __iter__(self: Any) -> Any:  # noqa: N807
        handed_out(self)
        return original(self)

    HttpResponse.__iter__ = __iter__  # type: ignore[method-assign]


def _wrap_wsgi(switch: Switch) -> None:
    original = WSGIHandler.__call__

    @wraps(original)
    def __call__(self: Any, environ: Any, start_response: Any) -> Any:  # noqa: N807
        if not switch.recording:
            return original(self, environ, start_response)
        try:
            way = arrived(environ, start_response)
            token = set_way(way)
        except Exception as fault:
            faults.note("probes: server", fault)
            return original(self, environ, start_response)
        try:
            return original(self, environ, way.starting)
        except BaseException as error:
            strip(error)
            raise
        finally:
            reset_way(token)
            way.start_response = None
            if way.tape is None:
                way.forget()

    WSGIHandler.__call__ = __call__  # type: ignore[method-assign]


def _wrap_asgi(switch: Switch, is_own_socket: Callable[[Any], bool], socket: Asgi) -> None:
    original = ASGIHandler.__call__

    @wraps(original)
    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> None:  # noqa: N807
        if not switch.recording:
            await original(self, scope, receive, send)
            return
        if scope["type"] != "http":
            if scope["type"] == "websocket" and is_own_socket(scope):
                await socket(scope, receive, send)
            else:
                await original(self, scope, receive, send)
            return
        try:
            way = arrived(scope, None)
            sending = way.sender(send)
            before = way_in_hand()
            set_way(way)
        except Exception as fault:
            faults.note("probes: server", fault)
            await original(self, scope, receive, send)
            return
        try:
            await original(self, scope, receive, sending)
        except BaseException as error:
            strip(error)
            raise
        finally:
            set_way(before)
            if way.tape is not None:
                recorder.finish(way.tape)
            else:
                way.forget()

    ASGIHandler.__call__ = __call__  # type: ignore[method-assign]


def _wrap_router(switch: Switch, is_own_socket: Callable[[Any], bool], socket: Asgi) -> None:
    original = ProtocolTypeRouter.__call__

    @wraps(original)
    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> Any:  # noqa: N807
        if scope["type"] == "websocket" and switch.recording and is_own_socket(scope):
            return await socket(scope, receive, send)
        return await original(self, scope, receive, send)

    ProtocolTypeRouter.__call__ = __call__


def _started(signal: Any, sender: Any, environ: Any = None, scope: Any = None, **_: Any) -> None:
    way = way_in_hand()
    if way is not None and (way.source is environ or way.source is scope):
        way.stamp(STARTED)


def _finished(signal: Any, sender: Any, **_: Any) -> None:
    tape = finished()
    if tape is not None and (tape.chain.interface == "wsgi" or tape.transport is None):
        recorder.finish(tape)


if compiled.half is not None:
    _finished = compiled.half.request_finished(_finished, vars(recorder), recorder.BATCH)
