"""A request that is not over is listed with the layer it is in and, after half a second, the line where it stands."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.utils.decorators import async_only_middleware, sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

from pipeline_inspector import faults, wiring
from pipeline_inspector.recording import recorder, rows
from pipeline_inspector.records import Summary
from pipeline_inspector.testing import record_pipeline
from tests.scenarios.comparing import urls
from tests.scenarios.driving import INTERFACES, ask, site
from tests.scenarios.layers import Both

here = threading.Event()
go = threading.Event()
BY = f"{__name__}."
LINES = {line.rpartition("# at: ")[2]: n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1)}

both = pytest.mark.parametrize("interface", INTERFACES)


# -- who stands still -------------------------------------------------------------------------------------------------


def plain(request: Any) -> HttpResponse:
    return HttpResponse("plain")


def blocking(request: Any) -> HttpResponse:
    here.set() or go.wait(10)  # at: blocking
    return HttpResponse("blocking")


async def waiting(request: Any) -> HttpResponse:
    loop = asyncio.get_running_loop()
    here.set() or await loop.run_in_executor(None, go.wait, 10)  # at: waiting
    return HttpResponse("waiting")


async def waiting_further_in(request: Any) -> HttpResponse:
    async def further() -> None:
        loop = asyncio.get_running_loop()
        here.set() or await loop.run_in_executor(None, go.wait, 10)  # at: waiting_further_in

    await asyncio.create_task(further())
    return HttpResponse("waiting")


async def blocking_its_loop(request: Any) -> HttpResponse:
    here.set() or go.wait(10)  # at: blocking_its_loop
    return HttpResponse("blocking")


async def waiting_for_a_thread(request: Any) -> HttpResponse:
    def helper() -> None:
        here.set() or go.wait(10)  # at: waiting_for_a_thread

    await sync_to_async(helper)()
    return HttpResponse("waiting")


def rendering(request: Any) -> TemplateResponse:
    def say() -> str:
        here.set() or go.wait(10)  # at: rendering
        return "said"

    return TemplateResponse(request, engines["django"].from_string("{{ say }}"), {"say": say})


def streaming(request: Any) -> StreamingHttpResponse:
    def chunks() -> Iterator[str]:
        yield "one"
        here.set() or go.wait(10)  # at: streaming
        yield "two"

    return StreamingHttpResponse(chunks())


async def streaming_by_coroutine(request: Any) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[str]:
        yield "one"
        loop = asyncio.get_running_loop()
        here.set() or await loop.run_in_executor(None, go.wait, 10)  # at: streaming_by_coroutine
        yield "two"

    return StreamingHttpResponse(chunks())


class In(MiddlewareMixin):
    def process_request(self, request: Any) -> None:
        here.set() or go.wait(10)  # at: In


class Out(MiddlewareMixin):
    def process_response(self, request: Any, response: Any) -> Any:
        here.set() or go.wait(10)  # at: Out
        return response


class Hook(MiddlewareMixin):
    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        here.set() or go.wait(10)  # at: Hook


@sync_only_middleware
def in_a_thread(get_response: Any) -> Any:
    def layer(request: Any) -> Any:
        here.set() or go.wait(10)  # at: in_a_thread
        return get_response(request)

    return layer


@async_only_middleware
def on_the_loop(get_response: Any) -> Any:
    async def layer(request: Any) -> Any:
        loop = asyncio.get_running_loop()
        here.set() or await loop.run_in_executor(None, go.wait, 10)  # at: on_the_loop
        return await get_response(request)

    return layer


@sync_only_middleware
def only_sync(get_response: Any) -> Any:
    return lambda request: get_response(request)


@async_only_middleware
def only_async(get_response: Any) -> Any:
    async def layer(request: Any) -> Any:
        return await get_response(request)

    return layer


class Answering(Both):
    def before(self, request: Any) -> HttpResponse:
        return HttpResponse("answered")


# -- where ------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    here.clear()
    go.clear()
    faults.forget()
    yield
    go.set()
    assert faults.seen() == []


@contextmanager
def standing(interface: str, view: Any, *layers: str) -> Iterator[Summary]:
    """The row of a request while it stands still; after the block it goes on to its end."""
    with urls(view), site([BY + layer for layer in layers]), record_pipeline() as records:
        asking = threading.Thread(target=ask, args=(interface, "/failing/"))
        asking.start()
        try:
            assert here.wait(10)
            [row] = wiring.sealer().rows(recorder.running.values())
            yield row
        finally:
            go.set()
            asking.join(10)
        assert [record.state for record in records] == ["finished"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are old enough as soon as they begin."""
    monkeypatch.setattr(rows, "STANDS_AFTER", -1)


@pytest.mark.usefixtures("at_once")
@both
@pytest.mark.parametrize(
    "view",
    [
        blocking,
        waiting,
        waiting_further_in,
        blocking_its_loop,
        waiting_for_a_thread,
        rendering,
        streaming,
        streaming_by_coroutine,
    ],
)
@pytest.mark.parametrize("layers", [(), ("only_sync", "only_async", "only_sync"), ("only_async", "only_sync")])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's own words about the other kind
def test_a_view_that_stands_still_is_told_with_its_line(interface: str, view: Any, layers: tuple[str, ...]) -> None:
    with standing(interface, view, *layers) as row:
        assert row.state == "running"
        assert row.view == view.__name__
        assert row.layer_now is None
        assert row.where == f"{__file__}:{LINES[view.__name__]}"


@pytest.mark.usefixtures("at_once")
@both
@pytest.mark.parametrize("layer", ["In", "Out", "Hook", "in_a_thread", "on_the_loop"])
@pytest.mark.parametrize("around", [(), ("only_sync",), ("only_async",), ("only_async", "only_sync")])
def test_a_layer_that_stands_still_is_named_with_its_line(interface: str, layer: str, around: tuple[str, ...]) -> None:
    with standing(interface, plain, *around, layer, "only_sync") as row:
        assert row.layer_now == BY + layer
        assert row.where == f"{__file__}:{LINES[layer]}"


@both
def test_a_layer_on_its_way_out_is_named_though_another_answered_further_in(interface: str) -> None:
    with standing(interface, plain, "only_sync", "Out", "Answering", "only_sync") as row:
        assert row.layer_now == BY + "Out"


@both
def test_the_line_is_told_when_the_request_has_run_for_half_a_second(interface: str) -> None:
    with standing(interface, waiting) as row:
        assert row.where is None
        [tape] = recorder.running.values()
        tape.opened_at -= rows.STANDS_AFTER
        [row] = wiring.sealer().rows([tape])
        assert row.where == f"{__file__}:{LINES['waiting']}"


@pytest.mark.usefixtures("at_once")
@both
def test_what_is_not_the_sites_own_stands_at_its_innermost_line(interface: str) -> None:
    names = {"here": here, "go": go, "__name__": "other.views"}
    source = "def view(request):\n    here.set() or go.wait(10)"
    exec(compile(source, "/lib/python3/site-packages/other/views.py", "exec"), names)
    with standing(interface, names["view"], "only_sync") as row:
        assert row.where is not None
        assert row.where.startswith((f"{threading.__file__}:", "/lib/python3/site-packages/other/views.py:2"))


OF_OTHERS = """
from functools import partial
from django.utils.deprecation import MiddlewareMixin

def stand():
    here.set() or go.wait(10)

def function(get_response):
    def layer(request):
        stand()
        return get_response(request)
    return layer

class Mixin(MiddlewareMixin):
    def process_request(self, request):
        stand()

class Callable:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        stand()
        return self.get_response(request)

def bound(get_response):
    return Callable(get_response).__call__

def answer(get_response, request):
    stand()
    return get_response(request)

def in_part(get_response):
    return partial(answer, get_response)
"""


@pytest.mark.usefixtures("at_once")
@both
@pytest.mark.parametrize("kind", ["function", "Mixin", "Callable", "bound", "in_part"])
def test_a_layer_of_others_stands_at_its_own_line_and_not_at_that_of_a_layer_around_it(
    interface: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {"here": here, "go": go, "__name__": "other.layers"}
    exec(compile(OF_OTHERS, "/lib/python3/site-packages/other/layers.py", "exec"), names)
    monkeypatch.setitem(globals(), "of_others", names[kind])
    with standing(interface, plain, "only_sync", "of_others", "only_sync") as row:
        assert row.layer_now == BY + "of_others"
        assert row.where is not None
        assert row.where.startswith((f"{threading.__file__}:", "/lib/python3/site-packages/other/layers.py:"))
