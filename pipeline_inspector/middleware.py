"""The outermost and the innermost middleware: ordinary dual-mode classes, placed by the loader hook around the finished
chain and around the core. They open and close the tape, read the toggles and answer the inspector's own paths.

Nobody lists them: the loader puts them where they belong. Listed by hand they take themselves out, so nothing is doubled.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponseBase

from pipeline_inspector import compiled, faults
from pipeline_inspector.probes import layers
from pipeline_inspector.probes.base import strip
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.attributes import sieves
from pipeline_inspector.recording.chain import LEARN_AGAIN, LoadedChain
from pipeline_inspector.recording.moments import END, START
from pipeline_inspector.recording.tape import Tape, begun, current, leave, put_down, take
from pipeline_inspector.recording.transport import (
    AsyncStream,
    QuietStream,
    SyncStream,
    Transport,
    arriving,
    way_in_hand,
)

HIDDEN = frozenset(
    {"pipeline_inspector.middleware.OutermostMiddleware", "pipeline_inspector.middleware.InnermostMiddleware"}
)

Handler = Callable[[Any], Any]

ASK_AGAIN = -1
"""Stands for the version of the switches where each request is asked."""


class Surroundings:
    """What the outermost middleware needs from above, given by the wiring.

    ``prefix``: where our own pages begin; ``apart``: path prefixes not recorded, with it; ``enabled``: asked per request;
    ``control_version`` and ``layers_off(request)``: the developer's hand; ``answer``/``aanswer``: our own pages;
    ``first_request(chain)``: told once per chain, in the request's own stack.
    """

    prefix = "/__inspector__/"
    apart: tuple[str, ...] = (prefix,)
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


def not_opened(error: Exception) -> None:
    """There is no tape for a request."""
    faults.note("middleware: opening the tape", error)


class OutermostMiddleware:
    """Opens the tape of a request and closes it. Takes ``get_response``, the whole chain as Django built it."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler, chain: LoadedChain | None = None) -> None:
        if chain is None:
            raise MiddlewareNotUsed("placed by the inspector itself; take it out of MIDDLEWARE")
        self.chain = chain
        self.unseen = True
        self.version = ASK_AGAIN
        self.slots = chain.slots(frozenset())
        # By the interface: an outermost layer that nobody marked gives a coroutine all the same.
        way = self._async_way if chain.interface == "asgi" else self._sync_way
        handle: Handler = update_wrapper(way(get_response), get_response, updated=())
        # Who walks along the chain comes from here where it would come from what Django made.
        handle.__dict__ = {**getattr(get_response, "__dict__", {}), "_pipeline_inspector": True}
        if compiled.half is not None and chain.interface == "wsgi":
            parts = self, surroundings, vars(recorder), current, arriving, sieves, not_opened, LEARN_AGAIN
            handle = compiled.half.outermost(handle, get_response, chain, *parts)
        self.handle = handle

    def __call__(self, request: Any) -> Any:
        return self.handle(request)

    # What a handler calls is a plain function: an instance would cost another frame in every request.

    def _sync_way(self, get_response: Handler) -> Handler:
        def handle(request: Any) -> Any:
            around = surroundings
            if not around.recording or request.path_info.startswith(around.apart):
                return around.answer(request) if self.is_own(request) else get_response(request)
            tape = self.open(request)
            if tape is None:
                return get_response(request)
            token = take(tape)
            tape.stamp(START)
            try:
                response = get_response(request)
            except BaseException as error:
                tape.stamp(END)
                self.abort(tape, error)
                raise
            finally:
                put_down(token)
            tape.stamp(END)
            self.close(tape, request, response)
            return response

        return handle

    def _async_way(self, get_response: Handler) -> Handler:
        async def handle(request: Any) -> Any:
            around = surroundings
            if not around.recording or request.path_info.startswith(around.apart):
                return await (around.aanswer(request) if self.is_own(request) else get_response(request))
            tape = self.open(request)
            if tape is None:
                return await get_response(request)
            tape.task = asyncio.current_task()
            token = take(tape)
            tape.stamp(START)
            try:
                response = await get_response(request)
            except BaseException as error:
                tape.stamp(END)
                self.abort(tape, error)
                raise
            finally:
                leave(token)
            tape.stamp(END)
            self.close(tape, request, response)
            return response

        return handle

    @staticmethod
    def is_own(request: Any) -> bool:
        """Is it one of our own pages that is asked for?"""
        return bool(request.path_info.startswith(surroundings.prefix)) and surroundings.enabled()

    def open(self, request: Any) -> Tape | None:
        """A new tape on ``request``; None when that failed or too many wait to be recorded: the request goes on without."""
        try:
            chain = self.chain
            template, off = self.slots
            control_version = surroundings.control_version  # an attribute of no class costs less to call by a name
            if control_version() != self.version:
                template, off = self.read_toggles(request)
            if not off and len(recorder.waiting) >= recorder.room and recorder.full():
                return None
            number = next(recorder.numbers)
            tape = begun(chain, template, number, request, off)
            if chain.learning > 0 or chain.watched or not number % LEARN_AGAIN:
                self.learn(tape)
            way = way_in_hand()
            if (
                way is not None
                and way.tape is None
                and way.source is (tape.meta if chain.interface == "wsgi" else request.scope)
            ):
                way.tape = tape
                tape.transport = way
            request._pipeline_tape = tape
            recorder.running[number] = tape
        except Exception as error:
            not_opened(error)
            return None
        if self.unseen:
            self.tell_first()
        return tape

    @staticmethod
    def learn(tape: Tape) -> None:
        """``tape`` is one of those whose attributes are looked at closely, to learn what its chain does with them; or some
        are watched."""
        chain = tape.chain
        if chain.learning > 0 or not tape.number % LEARN_AGAIN:
            chain.learning -= 1
            tape.learn()
        else:
            tape.watched = chain.watched
            tape.keep_all()

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
            for_some = surroundings.any_browsers()
        except Exception as error:
            faults.note("middleware: reading the switches", error)
            return self.slots
        if for_some:
            self.version = ASK_AGAIN
        else:
            self.slots, self.version = mine, version
        return mine

    def close(self, tape: Tape, request: Any, response: Any) -> None:
        """The chain is through: note the answer, and be told when it has been sent."""
        try:
            done = tape.through(request.__dict__, response, sieves)
        except Exception as error:
            self.not_closed(tape, response, error)
        else:
            if not done:
                self.follow_on(tape, response)

    def follow_on(self, tape: Tape, response: Any) -> None:
        """The chain is through, but ``response`` not noted whole: the rest."""
        try:
            if response.streaming:
                tape.streaming = True
                self.follow(tape, response)
            else:
                chunks = response._container
                tape.body_bytes = len(chunks[0]) if len(chunks) == 1 else sum(map(len, chunks))
            response._resource_closers.append(tape.sent)
        except Exception as error:
            self.not_closed(tape, response, error)

    @staticmethod
    def not_closed(tape: Tape, response: Any, error: Exception) -> None:
        """The tape could not be closed. What a chain answers instead of a response has nothing to be closed at."""
        if isinstance(response, HttpResponseBase):
            faults.note("middleware: closing the tape", error)
        recorder.finish(tape)

    @staticmethod
    def follow(tape: Tape, response: Any) -> None:
        """Give the steps of a stream their tape. Files keep their own iterator, so that servers can send them."""
        if getattr(response, "file_to_stream", None) is not None:
            return
        asgi = tape.chain.interface == "asgi"
        if not asgi and tape.transport is None:
            tape.transport = Transport()
            tape.transport.tape = tape
        if response.is_async:
            response._iterator = AsyncStream(response._iterator, tape, None if asgi else tape.transport)
        elif asgi:
            response._iterator = QuietStream(response._iterator, tape, Transport())
        else:
            response._iterator = SyncStream(response._iterator, tape, tape.transport)

    @staticmethod
    def abort(tape: Tape, error: BaseException) -> None:
        """The chain did not return: cancelled, or an exception that Django does not convert."""
        strip(error)
        tape.aborted = True
        if tape.errors and tape.errors[-1].identity == id(error):
            tape.errors[-1].rescued_by = None
        recorder.finish(tape)


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
