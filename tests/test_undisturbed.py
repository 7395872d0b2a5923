"""With the inspector recording, Django and the site behave as if it were not there."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest
from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import AsyncToSync, SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception, request_finished, request_started
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey, layers
from tests.scenarios.comparing import HERE, HOOKS, OURS, Frames, both_ways, frames, urls
from tests.scenarios.driving import INTERFACES, ask, site, through_asgi, through_wsgi
from tests.scenarios.made import Raised, Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)

FAILING = [
    ("/broken/", "pass"),
    ("/broken-async/", "pass"),
    ("/broken-render/", "pass"),
    ("/nothing/", "pass"),
    ("/broken/", "raise_exception"),
    ("/", "raise_in"),
    ("/", "raise_out"),
    ("/", "raise_view"),
    ("/template/", "raise_template"),
]


async def _ask_in_context(path: str) -> None:
    await through_asgi(ASGIHandler(), path)


def _ask_by_hand(interface: str, path: str) -> None:
    """Without the event loop's own treatment of what stops it: the chain is called by itself."""
    if interface == "wsgi":
        WSGIHandler()._middleware_chain(RequestFactory().get(path))
    else:
        asyncio.run(_caught(path))


async def _caught(path: str) -> None:
    await ASGIHandler()._middleware_chain(AsyncRequestFactory().get(path))


@both
@pytest.mark.parametrize("mode", ["sync", "async", "both"])
@pytest.mark.parametrize(("path", "act"), FAILING)
def test_the_traceback_is_the_same_frame_by_frame(interface: str, mode: str, path: str, act: str) -> None:
    chain = [
        order(Spec(f"T{number}", kind, mode, HOOKS, act if number == 1 else "pass"))
        for number, kind in enumerate(("class", "mixin", "class"))
    ]

    def seen() -> list[tuple[str, Frames, Frames | None]]:
        met: list[tuple[str, Frames, Frames | None]] = []

        def look(**_: Any) -> None:
            error = sys.exc_info()[1]
            assert error is not None
            met.append((repr(error), frames(error), error.__context__ and frames(error.__context__)))

        got_request_exception.connect(look)
        try:
            with site(chain):
                assert ask(interface, path).status == 500
        finally:
            got_request_exception.disconnect(look)
        return met

    without, with_us = both_ways(seen)
    assert with_us == without
    assert not [frame for _, shown, _ in with_us for frame in shown if frame[0].startswith(OURS)]


@both
def test_the_debug_page_shows_no_frame_of_ours(interface: str) -> None:
    with site([order(Spec("T0", "mixin"))], DEBUG=True), record_pipeline():
        page = ask(interface, "/broken/").body.decode()
        missing = ask(interface, "/no/such/page/").body.decode()
    assert "broken on purpose" in page
    assert "tests/scenarios/urls.py" in page
    for place in ("probes/", "recording/", "middleware.py", "wiring.py"):
        assert f"pipeline_inspector/{place}" not in page
        assert f"pipeline_inspector/{place}" not in missing


@both
@pytest.mark.parametrize("mode", ["sync", "async", "both"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_django_lets_through_comes_out_with_the_same_traceback(
    interface: str, mode: str, kind: type[BaseException]
) -> None:
    def failing(request: Any) -> Any:
        raise kind("from the view")

    def seen() -> Frames:
        chain = [order(Spec("T0", "mixin")), order(Spec("T1", "function", mode)), order(Spec("T2", "class"))]
        with site(chain), urls(failing), pytest.raises(kind) as raised:
            _ask_by_hand(interface, "/failing/")
        return frames(raised.value)

    without, with_us = both_ways(seen)
    assert [frame for frame in with_us if frame[0].startswith(OURS)] == []
    assert with_us == without
    assert sum(name == "inner" for _, name, _ in with_us) == 4


@both
@pytest.mark.parametrize("mode", ["sync", "async", "both"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_layer_that_catches_what_django_lets_through_sees_the_same_traceback(
    interface: str, mode: str, kind: type[BaseException]
) -> None:
    def failing(request: Any) -> Any:
        raise kind("from the view")

    met: list[tuple[str, Frames]] = []

    class CatchingAll(layers.Both):
        sync_capable, async_capable = mode != "async", mode != "sync"

        def __call__(self, request: Any) -> Any:
            if self.is_async:
                return self.__acall__(request)
            try:
                return self.get_response(request)
            except BaseException as error:
                met.append((repr(error), frames(error)))
                return HttpResponse("caught")

        async def __acall__(self, request: Any) -> Any:
            try:
                return await self.get_response(request)
            except BaseException as error:
                met.append((repr(error), frames(error)))
                return HttpResponse("caught")

    layers.CatchingAll = CatchingAll  # type: ignore[attr-defined]

    def seen() -> list[tuple[str, Frames]]:
        met.clear()
        chain = [
            order(Spec("T0", "mixin")),
            HERE + "CatchingAll",
            order(Spec("T2", "function", "sync")),
            order(Spec("T3")),
        ]
        with site(chain), urls(failing):
            _ask_by_hand(interface, "/failing/")
        return met[:]

    without, with_us = both_ways(seen)
    assert len(with_us) == 1
    assert with_us == without


def test_an_exception_while_a_stream_is_sent_comes_out_with_the_same_traceback() -> None:
    def breaking(request: Any) -> StreamingHttpResponse:
        def chunks() -> Iterator[str]:
            yield "one"
            raise Raised("in the stream")

        return StreamingHttpResponse(chunks())

    def seen() -> Frames:
        with site([]), urls(breaking), pytest.raises(Raised) as raised:
            through_wsgi(WSGIHandler(), "/breaking/")
        return frames(raised.value)

    without, with_us = both_ways(seen)
    assert with_us == without


@both
@pytest.mark.parametrize("path", ["/", "/broken/", "/template/", "/stream-async/", "/missing/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_signals_come_in_the_same_order(interface: str, path: str) -> None:
    chain = [order(Spec("T0", "mixin", hooks=HOOKS)), order(Spec("T1", "function"))]

    def seen() -> list[tuple[str, str]]:
        steps = journey.begin()
        receivers = {
            request_started: lambda **_: journey.note("signal", "started", path),
            got_request_exception: lambda **_: journey.note("signal", "exception", path),
            request_finished: lambda **_: journey.note("signal", "finished", path),
        }
        for signal, receiver in receivers.items():
            signal.connect(receiver)
        try:
            with site(chain):
                ask(interface, path)
        finally:
            for signal, receiver in receivers.items():
                signal.disconnect(receiver)
        return [(step.kind, step.name) for step in steps]

    without, with_us = both_ways(seen)
    assert ("signal", "finished") in with_us
    assert with_us == without


@both
@pytest.mark.parametrize("path", ["/", "/async/", "/template/", "/broken/", "/missing/"])
@pytest.mark.parametrize(
    "modes", [("both",) * 3, ("sync", "both", "both"), ("both", "sync", "async"), ("async", "both", "sync")]
)
def test_no_switch_between_loop_and_thread_is_added(
    interface: str, path: str, modes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = [
        order(Spec(f"T{number}", kind, mode, HOOKS))
        for number, (kind, mode) in enumerate(zip(("mixin", "class", "mixin"), modes, strict=True))
    ]
    count = {"to thread": 0, "to loop": 0, "work for a thread": 0}
    for kind, name in ((SyncToAsync, "to thread"), (AsyncToSync, "to loop")):
        original = kind.__call__

        def counting(self: Any, *args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            count[_name] += 1
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__call__", counting)

    for pool in (ThreadPoolExecutor, CurrentThreadExecutor):
        submit = pool.submit

        def submitting(self: Any, *args: Any, _submit: Any = submit, **kwargs: Any) -> Any:
            count["work for a thread"] += 1
            return _submit(self, *args, **kwargs)

        monkeypatch.setattr(pool, "submit", submitting)

    def switches() -> dict[str, int]:
        with site(chain):
            count.update(dict.fromkeys(count, 0))
            ask(interface, path)
        return dict(count)

    without, with_us = both_ways(switches)
    assert with_us == without
    assert with_us["work for a thread"] > 0 or interface == "wsgi"


def test_contextvars_of_layers_reach_where_they_reached() -> None:
    mark: ContextVar[str] = ContextVar("mark", default="none")
    found: list[str] = []

    class Marking(layers.Both):
        def before(self, request: Any) -> None:
            mark.set("set by a layer")

        def after(self, request: Any, response: Any) -> Any:
            found.append(mark.get())
            return response

    layers.Marking = Marking  # type: ignore[attr-defined]

    def view(request: Any) -> Any:
        found.append(mark.get())
        return HttpResponse()

    def seen() -> list[str]:
        found.clear()
        with site([HERE + "Marking", order(Spec("T1", "mixin"))]), urls(view):
            asyncio.run(_ask_in_context("/failing/"))
        return found[:]

    without, with_us = both_ways(seen)
    assert with_us == without == ["set by a layer", "set by a layer"]


def test_closers_run_once_in_order_before_the_request_is_over() -> None:
    def view(request: Any) -> Any:
        response = HttpResponse("hello")
        for name in ("one", "two"):
            response._resource_closers.append(lambda name=name: journey.note("closed", name, request.path))
        return response

    def seen() -> list[str]:
        steps = journey.begin()

        def finished(**_: Any) -> None:
            journey.note("closed", "finished", "")

        request_finished.connect(finished)
        try:
            with site([]), urls(view):
                through_wsgi(WSGIHandler(), "/failing/")
        finally:
            request_finished.disconnect(finished)
        return [step.name for step in steps if step.kind == "closed"]

    without, with_us = both_ways(seen)
    assert with_us == without == ["one", "two", "finished"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_request_whose_coroutine_is_closed_half_way_ends_as_in_django_alone(elsewhere: bool) -> None:
    """By a server that gives up, or by Python's collector, in whatever context that works."""

    def seen() -> list[str]:
        ended: list[str] = []

        async def waiting(request: Any) -> Any:
            try:
                await asyncio.Event().wait()
            except BaseException as error:
                ended.append(type(error).__name__)
                raise

        async def closed() -> None:
            way = ASGIHandler()._middleware_chain(AsyncRequestFactory().get("/failing/"))
            copy_context().run(way.send, None)
            if elsewhere:
                Context().run(way.close)
            else:
                way.close()

        with site([order(Spec("T0", "class", "async")), order(Spec("T1", "function", "async"))]), urls(waiting):
            asyncio.run(closed())
        return ended

    without, with_us = both_ways(seen)
    assert with_us == without == ["GeneratorExit"]


def test_a_stream_that_is_closed_half_way_in_another_context_ends_as_in_django_alone() -> None:
    def seen() -> list[str]:
        ended: list[str] = []

        async def streaming(request: Any) -> Any:
            async def chunks() -> AsyncIterator[str]:
                yield "one"
                try:
                    await asyncio.Event().wait()
                except BaseException as error:
                    ended.append(type(error).__name__)
                    raise

            return StreamingHttpResponse(chunks())

        async def read(response: Any) -> None:
            ended.extend([chunk.decode() async for chunk in response])

        async def closed() -> None:
            reading = read(await ASGIHandler()._middleware_chain(AsyncRequestFactory().get("/failing/")))
            copy_context().run(reading.send, None)
            Context().run(reading.close)

        with site([order(Spec("T0", "class", "async"))]), urls(streaming):
            asyncio.run(closed())
        return ended

    without, with_us = both_ways(seen)
    assert with_us == without
    assert len(with_us) == 1
