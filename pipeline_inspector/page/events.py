"""The event stream of an open page, where there is no socket: the same updates, as server-sent events.

Under WSGI a stream holds a thread. So there is none where the server has one thread at a time, only one where threads
come from a pool of unknown size (a newer page takes its place), it ends by itself after a while (the browser comes back
at once), and it says something every few seconds so that a closed tab, or a dead connection, is noticed. It also holds
one of the six connections that a browser opens to a site by HTTP/1.1: so each browser has a few streams at most.
"""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Literal

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from pipeline_inspector import clock, faults, live
from pipeline_inspector.page import hub, query, source
from pipeline_inspector.page.responses import Refused, by_method
from pipeline_inspector.page.viewer import Update, Viewer

Transport = Literal["ws", "sse", "poll"]
Browser = tuple[str, str]
"""Where it is and what it calls itself: enough to tell whose connections a stream takes."""

LIFETIME_NS = 25_000_000_000
HEARTBEAT_NS = 2_000_000_000
STREAMS_MAX = 40
PER_BROWSER = 3
HEARTBEAT = b"event: still\ndata: here\n\n"
HELLO = b"retry: 200\n: hello\n\n"
POLL_INSTEAD = b"event: poll\ndata: another page took the stream\n\n"


def transport(request: HttpRequest) -> Transport:
    """By what a page that ``request`` asks for can be kept up to date."""
    if isinstance(request, ASGIRequest):
        return "ws"
    return "sse" if _threads(request) != "one" else "poll"


def _threads(request: HttpRequest) -> Literal["one", "pool", "any"]:
    """What the server has: one thread at a time, some threads, or a new one for each request.

    Django's development server says ``wsgi.multithread`` even with ``--nothreading``; then it serves in its main thread.
    """
    thread = threading.current_thread()
    in_main = thread is threading.main_thread() or thread.name == "django-main-thread"
    if in_main or not request.META.get("wsgi.multithread"):
        return "one"
    return "any" if "process_request_thread" in thread.name else "pool"


def event(html: str, upto: int) -> bytes:
    """One server-sent event that the browser remembers as ``upto``."""
    lines = html.replace("\r", "&#13;").split("\n")
    return (f"id: {upto}\n" + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


class Seats:
    """The threads that streams of this process hold."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[tuple[threading.Event, Browser]] = []

    @contextmanager
    def taken(self, browser: Browser, at_most: int) -> Iterator[threading.Event]:
        """A seat; the event is set when a newer stream needs it. The oldest go so that no more than ``at_most`` stay,
        and no more than ``PER_BROWSER`` of ``browser``."""
        seat = threading.Event()
        with self._lock:
            self._held.append((seat, browser))
            same = [held for held in self._held if held[1] == browser]
            for older, _ in (*self._held[:-at_most], *same[:-PER_BROWSER]):
                older.set()
        try:
            yield seat
        finally:
            with self._lock:
                self._held.remove((seat, browser))

    def count(self) -> int:
        """How many are held now."""
        return len(self._held)


seats = Seats()


def _stream(viewer: Viewer, browser: Browser, at_most: int) -> Iterator[bytes]:
    """The stream of one page under WSGI; closing it gives the seat back."""
    with seats.taken(browser, at_most) as seat:
        yield HELLO
        end = clock.now() + LIFETIME_NS
        said = clock.now()
        while clock.now() < end:
            if seat.is_set():
                yield POLL_INSTEAD
                return
            update = _next(viewer)
            if update is not None:
                yield event(update, viewer.after)
                seat.wait(hub.TICK)
            elif clock.now() - said >= HEARTBEAT_NS:
                yield HEARTBEAT
            else:
                live.wait(hub.TICK)
                continue
            said = clock.now()


def _next(viewer: Viewer) -> Update | None:
    try:
        viewer.tail.refresh()
        return viewer.update()
    except Exception as error:
        faults.note("page: event stream", error)
        return None


async def _astream(viewer: Viewer) -> AsyncIterator[bytes]:
    """The stream of one page under ASGI."""
    yield HELLO
    end = clock.now() + LIFETIME_NS
    async with aclosing(hub.updates(viewer)) as updates:
        async for update in updates:
            yield HEARTBEAT if update is None else event(update, viewer.after)
            if clock.now() > end:
                break


def _events(request: HttpRequest) -> HttpResponseBase:
    given = query.parameters(request).copy()
    last_shown = request.META.get("HTTP_LAST_EVENT_ID")
    if last_shown:
        given["after"] = last_shown
    asked = query.read(given)
    tail = source.newest(source.base(request))
    after = tail.reader.store.last_seq() if asked.after is None else asked.after
    viewer = Viewer(tail, asked.wanted, after, asked.paused)
    if isinstance(request, ASGIRequest):
        return _answer(_astream(viewer))
    threads = _threads(request)
    if threads == "one":
        raise Refused(
            409, "cannot_stream", "This server answers one request at a time: the page asks now and then instead."
        )
    browser = (request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_USER_AGENT", ""))
    return _answer(_stream(viewer, browser, STREAMS_MAX if threads == "any" else 1))


def _answer(content: Iterator[bytes] | AsyncIterator[bytes]) -> HttpResponseBase:
    return StreamingHttpResponse(content, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


stream = by_method(GET=_events)
