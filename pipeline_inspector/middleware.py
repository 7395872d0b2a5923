"""The outermost and the innermost middleware: ordinary dual-mode classes, placed by the loader hook around the finished
chain and around the core. They open and close the tape, read the toggles and answer the inspector's own paths.

Nobody lists them: the loader puts them where they belong. Listed by hand they take themselves out, so nothing is doubled.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from threading import get_ident
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed

from pipeline_inspector import clock, faults
from pipeline_inspector.probes import layers
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.chain import LoadedChain
from pipeline_inspector.recording.tape import Tape, current, now
from pipeline_inspector.recording.transport import AsyncStream, QuietStream, SyncStream, Transport, transport

HIDDEN = frozenset(
    {"pipeline_inspector.middleware.OutermostMiddleware", "pipeline_inspector.middleware.InnermostMiddleware"}
)

Handler = Callable[[Any], Any]


class Surroundings:
    """What the outermost middleware needs from above, given by the wiring.

    ``prefix``: where our own pages begin; ``ignored``: path prefixes not recorded; ``enabled``: asked per request;
    ``control_version`` and ``layers_off(request)``: the developer's hand; ``answer``/``aanswer``: our own pages;
    ``first_request(chain)``: told once per chain, in the request's own stack.
    """

    prefix = "/__inspector__/"
    ignored: tuple[str, ...] = ()
    recording = True
    control_version: Callable[[], int] = staticmethod(lambda: 0)

    def enabled(self) -> bool:
        """Is the inspector on for this request?"""
        return True

    def layers_off(self, _request: Any) -> frozenset[str]:
        """Ids of layers that are off for this request."""
        return frozenset()

    def answer(self, request: Any) -> Any:
        """A page of ours."""
        raise NotImplementedError

    async def aanswer(self, request: Any) -> Any:
        """A page of ours, under ASGI."""
        raise NotImplementedError

    def any_browsers(self) -> bool:
        """Are layers off for single browsers, so that each request must be asked?"""
        return False

    def first_request(self, chain: LoadedChain) -> None:
        """The first request of a chain is in hand."""


surroundings = Surroundings()


class OutermostMiddleware:
    """Opens the tape of a request and closes it. Takes ``get_response``, the whole chain as Django built it."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler, chain: LoadedChain | None = None) -> None:
        if chain is None:
            raise MiddlewareNotUsed("placed by the inspector itself; take it out of MIDDLEWARE")
        self.get_response = get_response
        self.chain = chain
        self.unseen = True
        self.version = -1
        self.slots = chain.slots(frozenset())
        self.for_some = False
        update_wrapper(self, get_response, updated=())
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return self.__acall__(request)
        around = surroundings
        path = request.path_info
        if path.startswith(around.prefix) and around.enabled():
            return around.answer(request)
        if (around.ignored and path.startswith(around.ignored)) or not around.recording:
            return self.get_response(request)
        tape = self.open(request)
        if tape is None:
            return self.get_response(request)
        token = current.set(tape)
        tape.start = now()
        try:
            response = self.get_response(request)
        except BaseException:
            tape.end = now()
            self.abort(tape)
            raise
        finally:
            current.reset(token)
        tape.end = now()
        self.close(tape, request, response)
        return response

    async def __acall__(self, request: Any) -> Any:
        around = surroundings
        path = request.path_info
        if path.startswith(around.prefix) and around.enabled():
            return await around.aanswer(request)
        if (around.ignored and path.startswith(around.ignored)) or not around.recording:
            return await self.get_response(request)
        tape = self.open(request)
        if tape is None:
            return await self.get_response(request)
        tape.task = asyncio.current_task()
        token = current.set(tape)
        tape.start = now()
        try:
            response = await self.get_response(request)
        except BaseException:
            tape.end = now()
            self.abort(tape)
            raise
        finally:
            current.reset(token)
            tape.task = None
        tape.end = now()
        self.close(tape, request, response)
        return response

    def open(self, request: Any) -> Tape | None:
        """A new tape on ``request``; None when that failed, and the request goes on without."""
        try:
            opened = now()
            template, off = self.slots
            if surroundings.control_version() != self.version or self.for_some:
                template, off = self.read_toggles(request)
            tape = Tape(self.chain, template[:], next(recorder.numbers), request)
            tape.off = off
            tape.watched = self.chain.watched
            if self.chain.learning:
                self.chain.learning -= 1
            else:
                tape.learning = False
            tape.opened_at = opened
            tape.wall = clock.wall()
            tape.thread = get_ident()
            way = transport.get()
            if way is not None and way.tape is None:
                source = way.source
                if source is request.META or source is getattr(request, "scope", None):
                    way.tape = tape
                    tape.transport = way
            request._pipeline_tape = tape
            recorder.running[tape.number] = tape
        except Exception as error:
            faults.note("middleware: opening the tape", error)
            return None
        if self.unseen:
            self.tell_first()
        return tape

    def tell_first(self) -> None:
        """The chain's first request is in hand."""
        self.unseen = False
        try:
            surroundings.first_request(self.chain)
        except Exception as error:
            faults.note("middleware: first request", error)

    def read_toggles(self, request: Any) -> tuple[list[Any], tuple[str, ...]]:
        """The template of slots that fits the toggles of ``request``, and the layers that are off in it.

        Read once per request, so a request sees one chain; when that fails, the last that held for everyone.
        """
        try:
            version = surroundings.control_version()
            mine = self.chain.slots(surroundings.layers_off(request))
            self.for_some = surroundings.any_browsers()
        except Exception as error:
            faults.note("middleware: reading the switches", error)
            return self.slots
        if not self.for_some:
            self.slots = mine
        self.version = version
        return mine

    def close(self, tape: Tape, request: Any, response: Any) -> None:
        """The chain is through: note the answer, and be told when it has been sent."""
        try:
            tape.response = layers.snapshot(response)
            tape.attributes = tape.seen and request.__dict__.copy()
            tape.streaming = response.streaming
            if tape.streaming:
                self.follow(tape, response)
            else:
                tape.body_bytes = sum(map(len, response._container))
            response._resource_closers.append(Closer(tape))
        except Exception as error:
            faults.note("middleware: closing the tape", error)
            recorder.finish(tape)

    @staticmethod
    def follow(tape: Tape, response: Any) -> None:
        """Give the steps of a stream their tape. Files keep their own iterator, so that servers can send them."""
        if getattr(response, "file_to_stream", None) is not None:
            return
        if response.is_async:
            response._iterator = AsyncStream(response._iterator, tape)
        elif tape.chain.interface == "asgi":
            response._iterator = QuietStream(response._iterator, tape, Transport(None))
        else:
            if tape.transport is None:
                tape.transport = Transport(None)
                tape.transport.tape = tape
            response._iterator = SyncStream(response._iterator, tape, tape.transport)

    @staticmethod
    def abort(tape: Tape) -> None:
        """The chain did not return: cancelled, or an exception that Django does not convert."""
        tape.aborted = True
        recorder.finish(tape)


class Closer:
    """Called with the response's other closers, when it has been sent."""

    __slots__ = ("tape",)

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def __call__(self) -> None:
        """Note the moment; ``request_finished``, which follows, hands the tape over."""
        self.tape.closed_at = now()
        recorder.closing.set(self.tape)


class InnermostMiddleware:
    """Marks the core. Takes the handler's ``_get_response`` and stands where Django's converter stood around it."""

    sync_capable = True
    async_capable = True

    def __init__(
        self,
        get_response: Handler,
        chain: LoadedChain | None = None,
        convert: Callable[[Handler], Handler] | None = None,
    ) -> None:
        if chain is None or convert is None:
            raise MiddlewareNotUsed("placed by the inspector itself; take it out of MIDDLEWARE")
        update_wrapper(self, get_response, updated=())
        self.seam = layers.seam(get_response, chain, 0, get_response, convert)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any | Awaitable[Any]:
        return self.seam(request)
