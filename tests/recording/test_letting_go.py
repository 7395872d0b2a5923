"""Once its record is made nothing of a request is kept: what Python lets go by itself without us, it lets go with us."""

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.errors import ErrorNote
from pipeline_inspector.recording.fields import closing
from pipeline_inspector.recording.tape import Tape, current
from pipeline_inspector.recording.transport import Transport
from pipeline_inspector.records import RequestRecord
from pipeline_inspector.testing import Records, record_pipeline
from tests.scenarios import journey, layers
from tests.scenarios.comparing import HERE, HOOKS, OFF, urls
from tests.scenarios.driving import INTERFACES, connections_kept, site, through_asgi, through_wsgi
from tests.scenarios.made import Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")

OURS = Tape | ErrorNote | Transport

OUTCOMES = [
    *("/", "/async/", "/class/", "/template/", "/stream/", "/stream-async/", "/file/", "/big/"),
    *("/missing/", "/forbidden/", "/no/such/page/", "/broken/", "/broken-async/", "/broken-render/", "/nothing/"),
]
ACTS = ["answer", "raise_in", "raise_out", "raise_view", "raise_template", "rescue_exception", "raise_exception"]


class Kept(layers.Both):
    """Holds every request weakly, from its way in on."""

    requests: list[weakref.ref[Any]] = []

    def before(self, request: Any) -> None:
        """One more."""
        Kept.requests.append(weakref.ref(request))


layers.Kept = Kept  # type: ignore[attr-defined]


@contextmanager
def without_collector() -> Iterator[None]:
    """What there is already is left out of its work, what comes in the block stays until somebody lets go of it.

    It is left out for good, so that every collection after this is a short one: nothing in a circle is among it, and no
    handler that is recorded later.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def _no_log_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest keeps log records, and what they hold."""
    for name in ("django.request", "django.response"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


def _ask(interface: str, path: str) -> None:
    with connections_kept():
        try:
            if interface == "wsgi":
                through_wsgi(WSGIHandler(), path)
            else:
                asyncio.run(through_asgi(ASGIHandler(), path))
        except ValueError:
            assert path == "/breaking/"


def _alive() -> int:
    """How many requests there still are, without Python's collector."""
    assert Kept.requests
    alive = sum(request() is not None for request in Kept.requests)
    Kept.requests.clear()
    return alive


def _in_circles() -> list[Any]:
    """Requests with their bodies, responses and what is ours of them that only Python's collector finds."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = gc.garbage[:]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return [one for one in found if isinstance(one, HttpRequest | HttpResponseBase | SpooledTemporaryFile | OURS)]


def _compare(interface: str, chain: list[str], path: str) -> None:
    with site([HERE + "Kept", *chain], **OFF), without_collector():
        _ask(interface, path)
        without = _alive(), sorted(type(one).__name__ for one in _in_circles())
    with site([HERE + "Kept", *chain]), record_pipeline() as records, without_collector():
        _ask(interface, path)
        assert len(records) == 1
        alive, circles = _alive(), _in_circles()
    theirs = sorted(type(one).__name__ for one in circles if not isinstance(one, OURS))
    assert (alive, theirs) == without
    assert theirs or not circles  # what is ours hangs on theirs, and makes no circle of its own
    _nothing_is_held()


def _nothing_is_held() -> None:
    assert not recorder.running
    assert not closing
    assert current.get() is None


@both
@pytest.mark.parametrize("path", OUTCOMES)
def test_a_request_is_let_go_however_it_ends(interface: str, path: str) -> None:
    _compare(interface, [order(Spec("T0", "mixin", hooks=HOOKS)), order(Spec("T1", "function"))], path)


@both
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("act", ACTS)
def test_a_request_is_let_go_whatever_a_layer_does(interface: str, mode: str, act: str) -> None:
    path = "/broken/" if "exception" in act else "/template/"
    _compare(interface, [order(Spec("T0", "mixin", mode, HOOKS)), order(Spec("T1", "class", mode, HOOKS, act))], path)


@both
def test_a_request_whose_stream_breaks_is_let_go(interface: str) -> None:
    def breaking(request: Any) -> StreamingHttpResponse:
        def chunks() -> Iterator[str]:
            yield "one"
            raise ValueError("in the stream")

        async def achunks() -> AsyncIterator[str]:
            yield "one"
            raise ValueError("in the stream")

        return StreamingHttpResponse(chunks() if interface == "wsgi" else achunks())

    with urls(breaking):
        _compare(interface, [order(Spec("T0", "mixin"))], "/breaking/")


@pytest.mark.parametrize("path", ["/waiting/", "/stream-async/?endless"])
def test_a_request_that_its_client_gave_up_is_let_go(path: str) -> None:
    async def leave() -> None:
        gone = asyncio.Event()
        asking = asyncio.create_task(
            through_asgi(ASGIHandler(), path, gone=gone, on_chunk=lambda number: number == 3 and gone.set())
        )
        while not any(step.kind == "view" for step in journey.steps):
            await asyncio.sleep(0)
        if "stream" not in path:
            gone.set()
        await asyncio.wait([asking])
        assert asking.cancelled() or asking.exception() is None

    journey.begin()
    with site([HERE + "Kept", order(Spec("T0", "mixin", hooks=HOOKS))]), record_pipeline() as records:
        asyncio.run(leave())
        assert [record.state for record in records] == ["aborted"]
        gc.collect()
        assert _alive() == 0
    _nothing_is_held()


def test_a_request_given_up_while_its_thread_goes_on_is_let_go_when_the_thread_is_through() -> None:
    reached, left, go_on, through = (threading.Event() for _ in range(4))

    class Given(layers.Both):
        sync_capable = False

        async def __acall__(self, request: Any) -> Any:
            try:
                return await self.get_response(request)
            finally:
                left.set()

    class Slow(layers.Both):
        async_capable = False

        def before(self, request: Any) -> None:
            reached.set()
            assert go_on.wait(10)
            request.late = "after the record was made"

        def after(self, request: Any, response: Any) -> Any:
            request.later = "still"
            through.set()
            return response

    layers.Given, layers.Slow = Given, Slow  # type: ignore[attr-defined]
    made: list[RequestRecord] = []

    async def leave() -> None:
        gone = asyncio.Event()
        asking = asyncio.create_task(through_asgi(ASGIHandler(), "/template/", gone=gone))
        await asyncio.to_thread(reached.wait, 10)
        gone.set()
        await asyncio.to_thread(left.wait, 10)
        made.extend(records or ())
        go_on.set()
        await asyncio.wait([asking])
        assert await asyncio.to_thread(through.wait, 10)

    def kinds() -> list[str]:
        """Of what Django leaves in circles."""
        for event in (reached, go_on, through, left):
            event.clear()
        with without_collector():
            asyncio.run(leave())
            circles = _in_circles()
        assert not any(tape.came or tape.first or tape.attributes for tape in circles if isinstance(tape, Tape))
        return sorted(type(one).__name__ for one in circles if not isinstance(one, OURS))

    chain = [HERE + "Given", HERE + "Slow", order(Spec("T1", "mixin", "sync", HOOKS))]
    records: Records | None = None
    with site(chain, **OFF):
        without = kinds()
    with site(chain), record_pipeline() as found:
        records = found
        assert kinds() == without
    assert [record.state for record in made] == ["aborted"]
    _nothing_is_held()


@both
@pytest.mark.parametrize("path", ["/", "/broken/", "/stream/", "/async/"])
def test_the_recorders_thread_keeps_nothing_either(interface: str, path: str) -> None:
    with site([HERE + "Kept"], PIPELINE_INSPECTOR={**settings.PIPELINE_INSPECTOR, "ENABLED": True}):
        _ask(interface, path)
        assert recorder.flush()
        gc.collect()
        assert _alive() == 0
    _nothing_is_held()
