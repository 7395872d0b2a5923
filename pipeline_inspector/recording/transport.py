"""The way between server and handler for one request: when it began, when bytes went out, how many.

Made by the server probe, filled while the response is sent, read when the record is made.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pipeline_inspector import compiled, faults
from pipeline_inspector.recording import errors
from pipeline_inspector.recording.frames import strip
from pipeline_inspector.recording.tape import Tape, leave, now, put_down, take
from pipeline_inspector.recording.way import Way

Send = Callable[[Any], Awaitable[None]]
CHUNKS_KEPT = 50


class Transport(Way):
    """Stamps of one request's way, and what counts the bytes that go out on it."""

    __slots__ = ()

    def note_chunk(self, size: int, moment: int) -> None:
        """``size`` bytes went out, or were handed to the server, at ``moment``."""
        if self.chunks:
            self.chunks += 1
            self.sent += size
            if self.chunks <= CHUNKS_KEPT:
                self.chunk_stamps.append(moment)
        else:
            self.chunks = 1
            self.sent = size
            self.first_byte = moment
            self.chunk_stamps = [moment]

    def sender(self, send: Send) -> Send:
        """The ASGI ``send`` with the moments of start, chunks and end noted. Messages pass as they are."""

        async def sending(message: Any) -> None:
            await send(message)
            try:
                kind = message["type"]
                if kind == "http.response.body":
                    moment = now()
                    body = message.get("body")
                    if body:
                        self.note_chunk(len(body), moment)
                    if not message.get("more_body"):
                        self.last_byte = moment
                elif kind == "http.response.start":
                    self.response_started = now()
            except Exception as fault:
                faults.note("probes: sending", fault)

        return sending


if not TYPE_CHECKING and compiled.half is not None:
    Transport = compiled.put_into(Way, Transport)

arrived: Callable[[Any, Any], Transport] = getattr(compiled.half, "arrived", None) or Transport.arrived
"""Makes the way of a request that was handed in now, of its ``source`` and ``start_response``."""

arriving: ContextVar[Transport | None] = ContextVar("pipeline_inspector_arriving", default=None)
"""The way of the request that a handler has in hand."""

way_in_hand, set_way, reset_way = arriving.get, arriving.set, arriving.reset


class SyncStream:
    """A streaming response's iterator, each step inside the request's context. Nothing is held back."""

    def __init__(self, chunks: Any, tape: Tape, way: Transport) -> None:
        self._chunks = chunks
        self._tape = tape
        self._way = way

    def __iter__(self) -> "SyncStream":
        return self

    def __next__(self) -> Any:
        token = take(self._tape)
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._way.last_byte = now()
            raise
        except BaseException as error:
            _broke(self._tape, error)
            raise
        finally:
            put_down(token)
        try:
            self._way.note_chunk(_size(chunk), now())
        except Exception as fault:
            faults.note("probes: sending", fault)
        return chunk


class AsyncStream:
    """The same for an async iterator; under ASGI the sender counts what goes out.

    Under WSGI, ``way`` given, Django reads the whole iterator before the server gets the first chunk.
    """

    def __init__(self, chunks: Any, tape: Tape, way: Transport | None = None) -> None:
        self._chunks = chunks
        self._tape = tape
        self._way = way

    def __aiter__(self) -> "AsyncStream":
        return self

    async def __anext__(self) -> Any:
        token = take(self._tape)
        way = self._way
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if way is not None:
                way.first_byte = way.last_byte = now()
            raise
        except BaseException as error:
            if way is not None:
                way.chunks = way.sent = 0
            _broke(self._tape, error)
            raise
        finally:
            leave(token)
        if way is not None:
            way.chunks += 1
            way.sent += _size(chunk)
        return chunk


class QuietStream(SyncStream):
    """A sync iterator under ASGI: the sender counts, this only gives the context."""

    def __next__(self) -> Any:
        token = take(self._tape)
        try:
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            _broke(self._tape, error)
            raise
        finally:
            put_down(token)


def _broke(tape: Tape, error: BaseException) -> None:
    """``error`` ended the stream before its end: write it down, our frames out of its traceback. Never raises."""
    strip(error)
    try:
        if isinstance(error, Exception):
            errors.note(tape, error, errors.STREAM)
    except Exception as fault:
        faults.note("probes: stream", fault)


def _size(chunk: Any) -> int:
    return len(chunk) if isinstance(chunk, bytes | bytearray | memoryview | str) else 0
