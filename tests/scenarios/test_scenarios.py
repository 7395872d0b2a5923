"""One scenario after another through WSGI and ASGI handlers, each held against the trace that its own code wrote."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse, StreamingHttpResponse

from pipeline_inspector import faults
from pipeline_inspector.page import tabs
from pipeline_inspector.recording.chain import LEARNING
from pipeline_inspector.records import RequestRecord
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey
from tests.scenarios.comparing import OURS, frames, urls
from tests.scenarios.driving import INTERFACES, ask, bare, only, site, through_asgi, through_wsgi, watched
from tests.scenarios.made import Spec, order
from tests.scenarios.model import Model
from tests.scenarios.reading import assert_adds_up, outcomes, way
from tests.scenarios.urls import ViewError

HERE = "tests.scenarios.layers."
both = pytest.mark.parametrize("interface", INTERFACES)


def chain(*specs: Spec) -> list[str]:
    """The paths of layers made to order."""
    return [order(spec) for spec in specs]


def three(act: str = "pass", at: int = 1, hooks: frozenset[str] = frozenset()) -> list[Spec]:
    """Three layers, the one at ``at`` doing ``act``."""
    return [Spec(f"L{n}", "class", "both", hooks, act if n == at else "pass") for n in range(3)]


def core(record: RequestRecord) -> list[tuple[str, str]]:
    """The way inside the layers."""
    return [step for step in way(record) if step[0] not in ("layer_in", "layer_out")]


def assert_changes_of_layers_that_passed(record: RequestRecord) -> None:
    """Each layer made to order is told of what its own trace says that it did, and of nothing else."""
    steps = journey.steps
    came = [step.name for step in steps if step.kind == "layer_in"]
    out = [(step.name, str(step.status)) for step in steps if step.kind == "layer_out"]
    last: str | None = None
    expected: dict[str, set[tuple[str, str, str, str | None, str | None]]] = {
        name: {("attribute", f"seen_by_{name}", "added", None, "True")} for name in came
    }
    for name, status in out:
        kind = "added" if last is None else "changed"
        expected[name] |= {("header", f"X-{name}", "added", None, status), ("header", "X-Last", kind, last, name)}
        expected[name].add(("cookie", f"c-{name}", "added", None, None))
        last = name
    for layer in record.layers:
        told = {(c.what, c.name, c.kind, c.before, None if c.what == "cookie" else c.after) for c in layer.changes}
        assert told == expected[layer.name]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's own words about a file under ASGI
@both
@pytest.mark.parametrize(
    ("path", "status", "view"),
    [
        ("/", 200, "plain"),
        ("/class/", 200, "Classy.get"),
        ("/async/", 200, "plain_async"),
        ("/redirect/", 302, "redirect"),
        ("/missing/", 404, "missing"),
        ("/forbidden/", 403, "forbidden"),
        ("/broken/", 500, "broken"),
        ("/broken-async/", 500, "broken_async"),
        ("/nothing/", 500, "nothing"),
        ("/big/", 200, "big"),
        ("/file/", 200, "file"),
        ("/nested/in/2024/spam/", 200, "deep"),
    ],
)
def test_a_view_runs_once_in_its_place_and_the_sums_are_right(
    interface: str, path: str, status: int, view: str
) -> None:
    journey.begin()
    specs = three()
    answer, record = watched(interface, chain(*specs), path)

    assert answer.status == status
    assert record.response is not None
    assert record.response.status == status
    assert journey.told() == [step for step in way(record) if step[0] != "resolve"]
    assert core(record) == [("resolve", "URL resolver"), ("view", view)]
    assert outcomes(record) == {"L0": "passed", "L1": "passed", "L2": "passed"}
    assert record.view is not None
    assert f"{record.view.name.rpartition('.')[2]}{record.view.method and '.'}{record.view.method}" == view
    assert_changes_of_layers_that_passed(record)
    assert_adds_up(record)


@both
def test_what_nothing_matches_tells_every_pattern_tried(interface: str) -> None:
    journey.begin()
    answer, record = watched(interface, chain(*three()), "/nested/in/not-a-year/")
    assert answer.status == 404
    assert record.view is None
    assert record.route is None
    assert record.exception is not None
    assert record.exception.raised_in == "resolver"
    assert record.exception.rescued_by == "django"
    assert record.tried[0] == ""
    assert record.tried[-3:] == ["nested/ other/", "nested/ in/ <int:year>/<slug:name>/"][-3:] or len(record.tried) > 15
    assert "nested/ in/ <int:year>/<slug:name>/" in record.tried
    assert core(record) == [("resolve", "URL resolver")]
    assert_adds_up(record)


@both
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    ("act", "path"),
    [
        ("answer", "/"),
        ("raise_in", "/"),
        ("raise_out", "/"),
        ("answer_view", "/"),
        ("raise_view", "/"),
        ("raise_template", "/template/"),
        ("raise_exception", "/broken/"),
        ("rescue_exception", "/broken/"),
        ("rescue_exception", "/broken-render/"),
        ("rescue_own", "/broken/"),
        ("pass", "/broken-render/"),
        ("pass", "/template/"),
    ],
)
def test_answered_raised_and_rescued_at_each_place(interface: str, act: str, path: str, at: int) -> None:
    hooks = frozenset({"process_view", "process_template_response", "process_exception"})
    specs = three(act, at, hooks)
    journey.begin()
    answer, record = watched(interface, chain(*specs), path)
    expected = Model(specs, path).run()

    assert answer.status == expected.status
    assert outcomes(record) == expected.outcomes
    assert way(record) == expected.way
    assert [step for step in expected.way if step[0] != "resolve"] == journey.told()
    assert (record.exception is None) == (expected.raised_in is None)
    if record.exception is not None:
        assert (record.exception.raised_in, record.exception.rescued_by) == (expected.raised_in, expected.rescued_by)
    assert_adds_up(record)


@both
def test_a_layer_that_replaces_the_404_of_an_exception_rescued_it(interface: str) -> None:
    _, record = watched(interface, ["tests.scenarios.layers.Found", *chain(*three())], "/missing/")
    assert outcomes(record)["Found"] == "rescued"


def test_self_times_lie_between_what_the_layers_measured_themselves() -> None:
    specs = [Spec(f"Timed{number}", "function", "sync") for number in range(5)]
    steps = journey.begin()
    _, record = watched("wsgi", chain(*specs))
    came = [step.at for step in steps if step.kind == "layer_in"]
    called = [step.at for step in steps if step.kind == "called"]
    view = next(step.at for step in steps if step.kind == "view")
    came.append(view)
    back = [step.at for step in steps if step.kind == "layer_out"][::-1]
    left = [step.at for step in steps if step.kind == "left"][::-1]
    for number, layer in enumerate(record.layers):
        least = called[number] - came[number]
        most = came[number + 1] - (called[number - 1] if number else came[0] - record.duration_ns)
        assert least <= layer.in_ns <= most
        assert left[number] - back[number] <= layer.out_ns
        if number:
            assert layer.out_ns <= back[number - 1] - (left[number + 1] if number < 4 else view)


@both
def test_changes_are_told_at_the_boundary_where_they_happened(interface: str) -> None:
    _, record = watched(interface, [HERE + "Around", HERE + "Changing", HERE + "Under"])
    by_layer = {
        layer.name: {(c.on, c.what, c.name, c.kind, c.before, c.after) for c in layer.changes}
        for layer in record.layers
    }
    on = "request", "attribute"
    assert by_layer["Changing"] >= {
        (*on, "added", "added", None, "'new'"),
        (*on, "altered", "changed", "'by Around'", "'by Changing'"),
        (*on, "removed", "removed", "'by Around'", None),
        (*on, "late", "added", None, "'on the way out'"),
        ("response", "header", "X-Added", "added", None, "new"),
        ("response", "header", "X-Altered", "changed", "by Under", "by Changing"),
        ("response", "header", "X-Removed", "removed", "by Under", None),
        ("response", "status", "status", "changed", "200", "201"),
    }
    assert {change[:4] for change in by_layer["Changing"]} >= {("response", "cookie", "added", "added")}
    assert by_layer["Around"] == {
        (*on, "altered", "added", None, "'by Around'"),
        (*on, "removed", "added", None, "'by Around'"),
    }
    assert by_layer["Under"] == {
        ("response", "header", "X-Altered", "added", None, "by Under"),
        ("response", "header", "X-Removed", "added", None, "by Under"),
    }


@both
def test_the_layer_that_chose_the_urlconf_is_named(interface: str) -> None:
    journey.begin()
    _, record = watched(interface, [*chain(Spec("L0")), HERE + "ChooseUrls", *chain(Spec("L2"))], "/class/")
    assert record.route is not None
    assert record.route.urlconf == "tests.scenarios.other_urls"
    assert record.route.urlconf_set_by == HERE + "ChooseUrls"
    assert len(record.layers) == 3


@both
@pytest.mark.parametrize("chosen_by", [("ChooseUrls",), ("ChooseOwnUrls", "ChooseUrls")])
def test_the_layer_that_chose_the_urlconf_is_named_in_every_request_of_a_chain(
    interface: str, chosen_by: tuple[str, ...]
) -> None:
    layers = [*chain(Spec("L0")), *(HERE + name for name in chosen_by), *chain(Spec("L2"), Spec("L3"))]
    with site(layers), record_pipeline() as records:
        handler = WSGIHandler() if interface == "wsgi" else ASGIHandler()
        for number in range(LEARNING + 5):
            assert len(records) == number  # a chain learns as its records are made
            if isinstance(handler, WSGIHandler):
                through_wsgi(handler, "/class/")
            else:
                asyncio.run(through_asgi(handler, "/class/"))
    routes = [record.route for record in records]
    assert {route and route.urlconf_set_by for route in routes} == {HERE + chosen_by[-1]}
    assert {route and route.urlconf for route in routes} == {"tests.scenarios.other_urls"}


@both
def test_a_urlconf_chosen_when_the_view_is_found_is_a_change_and_no_more(interface: str) -> None:
    journey.begin()
    layers = [HERE + "ChooseUrlsLate", *chain(Spec("L1"))]
    answer, record = watched(interface, layers, "/class/")
    assert answer.plain == bare(interface, layers, "/class/").plain
    assert record.route is not None
    assert (record.route.urlconf, record.route.urlconf_set_by) == ("tests.scenarios.urls", None)
    changes = [(c.what, c.name, c.kind, c.after) for c in record.layers[0].changes]
    assert changes == [("attribute", "urlconf", "added", "'tests.scenarios.other_urls'")]


@both
@pytest.mark.parametrize("rendered", [False, True])
def test_a_layer_may_exchange_the_response_before_it_is_rendered(interface: str, rendered: bool) -> None:
    hook = frozenset({"process_template_response"})
    layers = [*chain(Spec("L0", hooks=hook)), HERE + "Exchanging", *chain(Spec("L2", "mixin", "sync", hook))]
    path = "/template/?rendered" if rendered else "/template/"
    journey.begin()
    answer, record = watched(interface, layers, path)
    assert answer.body == b"exchanged"
    assert answer.plain == bare(interface, layers, path).plain
    steps = [step for step in core(record) if step[0] in ("hook", "render")]
    inner, own, outer = ((("hook", f"{name}.process_template_response")) for name in ("L2", "Exchanging", "L0"))
    render = ("render", "render")
    assert steps == ([inner, own, render, outer] if rendered else [inner, own, outer, render])
    assert {(c.what, c.kind, c.after) for c in record.layers[1].changes} >= {("status", "changed", "201")}
    assert [template.name for template in record.templates] == ["<string>"]
    assert_adds_up(record)


@both
def test_nested_includes_give_the_whole_route(interface: str) -> None:
    _, record = watched(interface, [], "/nested/in/2024/spam/")
    assert record.route is not None
    assert record.route.pattern == "nested/in/<int:year>/<slug:name>/"
    assert record.route.name == "deep"
    assert record.route.namespaces == ["outer", "inner"]
    assert record.route.kwargs == {"year": "2024", "name": "spam"}
    assert record.route.converters == {"year": "int", "name": "slug"}


# -- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's own words about the other kind
@both
@pytest.mark.parametrize("path", ["/stream/", "/stream-async/"])
def test_a_stream_is_told_as_it_was_sent(interface: str, path: str) -> None:
    steps = journey.begin()
    answer, record = watched(interface, chain(*three()), path)
    assert answer.body == b"chunk 0\nchunk 1\nchunk 2\n"
    assert [step.name for step in steps if step.kind == "chunk"] == ["0", "1", "2"]
    assert [step for step in journey.told() if step[0] != "chunk"] == [s for s in way(record) if s[0] != "resolve"]
    assert record.response is not None
    assert record.response.streaming
    assert record.response.body_bytes == len(answer.body)
    assert record.response.chunks == answer.chunks == 3
    assert record.state == "finished"
    assert record.response.first_byte_ns is not None
    assert record.response.last_byte_ns is not None
    assert 0 < record.response.first_byte_ns <= record.response.last_byte_ns
    assert_changes_of_layers_that_passed(record)
    assert_adds_up(record)


@pytest.mark.parametrize(("interface", "path"), [("wsgi", "/stream/"), ("asgi", "/stream-async/")])
def test_a_stream_is_never_held_back(interface: str, path: str) -> None:
    steps = journey.begin()
    with site([]), record_pipeline() as records:
        if interface == "wsgi":
            through_wsgi(WSGIHandler(), path)
        else:
            asyncio.run(through_asgi(ASGIHandler(), path, on_chunk=lambda n: journey.note("sent", str(n), path)))
            assert [step.kind for step in steps if step.kind in ("chunk", "sent")] == ["chunk", "sent"] * 3
    made = [step.at for step in steps if step.kind == "chunk"]
    stages = {stage.name: stage.at_ns for stage in only(records).server.stages}
    told = [stages["first byte"], stages["chunk 2"], stages["chunk 3"], stages["last byte"]]
    assert told == sorted(told)
    assert made == sorted(made)


def test_under_wsgi_each_chunk_is_made_when_the_server_asks_for_it() -> None:
    steps = journey.begin()
    with site([]), record_pipeline():
        made = WSGIHandler()(_environ("/stream/"), lambda status, headers, exc_info=None: lambda data: None)
        chunks = iter(made)
        for number in range(3):
            assert sum(step.kind == "chunk" for step in steps) == number
            assert next(chunks) == b"chunk %d\n" % number
        made.close()


def _environ(path: str) -> dict[str, object]:
    from django.test import RequestFactory

    return RequestFactory()._base_environ(PATH_INFO=path)


def test_a_file_still_goes_through_the_servers_own_wrapper() -> None:
    answer, record = watched("wsgi", [], "/file/")
    assert answer.file_wrapper
    assert answer.body == b"x" * 20_000
    assert record.response is not None
    assert record.response.streaming
    assert record.state == "finished"
    assert_adds_up(record)


@both
def test_a_big_body_arrives_whole(interface: str) -> None:
    journey.begin()
    answer, record = watched(interface, chain(*three()), "/big/", method="POST", body=b"z" * 2_000_000)
    assert dict(answer.headers)["X-Got"] == "2000000"
    assert len(answer.body) == 1_000_000
    assert record.request.body_bytes == 2_000_000
    assert record.response is not None
    assert record.response.body_bytes == 1_000_000
    assert_changes_of_layers_that_passed(record)
    assert_adds_up(record)


@both
@pytest.mark.parametrize("path", ["/in-pieces/", "/big/", "/unread/"])
def test_a_body_of_fifty_megabytes_arrives_as_in_django_alone_read_or_not(interface: str, path: str) -> None:
    journey.begin()
    sent: dict[str, Any] = {"method": "POST", "body": b"z" * 50_000_000}
    sent["settings"] = {"DATA_UPLOAD_MAX_MEMORY_SIZE": None}
    layers = chain(Spec("B0", "mixin"), Spec("B1", "function", "sync"))
    answer, record = watched(interface, layers, path, **sent)
    trace = [step for step in journey.told() if step[0] != "resolve"]
    assert trace == [step for step in way(record) if step[0] != "resolve"]
    assert record.request.body_bytes == 50_000_000
    assert record.state == "finished"
    assert_adds_up(record)
    assert answer.plain == bare(interface, layers, path, **sent).plain


@both
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/class/", "/template/", "/async/"])
def test_head_and_options_are_answered_as_by_django_alone(interface: str, method: str, path: str) -> None:
    journey.begin()
    layers = chain(*three(hooks=frozenset({"process_view", "process_template_response"})))
    answer, record = watched(interface, layers, path, method=method)
    called = [step for step in journey.told() if step != ("view", "Classy.get")]
    assert called == [s for s in way(record) if s[0] != "resolve" and not s[1].startswith("Classy")]
    assert record.request.method == method
    assert record.response is not None
    assert record.response.status == answer.status
    assert_adds_up(record)
    assert answer.plain == bare(interface, layers, path, method=method).plain


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@both
@pytest.mark.parametrize("path", ["/broken-stream/", "/broken-stream-async/"])
def test_a_stream_that_breaks_in_the_middle_is_told_with_what_broke_it(interface: str, path: str) -> None:
    layers = chain(Spec("L0"), Spec("S1", "function", "sync"))
    journey.begin()
    with site(layers), record_pipeline() as records:
        with pytest.raises(ViewError) as with_us:
            ask(interface, path)
        record = only(records)
    with pytest.raises(ViewError) as without:
        bare(interface, layers, path)
    assert frames(with_us.value) == [frame for frame in frames(without.value) if not frame[0].startswith(OURS)]
    assert record.state == "aborted"
    assert record.exception is not None
    told = record.exception.type, record.exception.raised_in, record.exception.rescued_by
    assert told == ("ViewError", "stream", None)
    assert record.exception.frames[-1].function.endswith("chunks")
    assert record.response is not None
    assert record.response.status == 200
    reaches_the_server = (interface == "asgi") == ("async" in path)  # Django collects the other kind first
    assert record.response.chunks == reaches_the_server
    assert outcomes(record) == {"L0": "passed", "S1": "passed"}
    assert_adds_up(record)
    assert "ViewError broke it off" in tabs.body("server", record, "/__inspector__/")
    del with_us, without
    gc.collect()


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("path", ["/stream/", "/stream-async/"])
def test_a_stream_passes_layers_of_the_other_mode_unread(path: str) -> None:
    layers = chain(Spec("S0", "function", "sync"), Spec("A1", "function", "async"), Spec("S2", "mixin", "sync"))
    steps = journey.begin()
    answer, record = watched("asgi", layers, path)
    order_of_steps = [step.kind for step in steps]
    assert order_of_steps.index("chunk") > max(n for n, kind in enumerate(order_of_steps) if kind == "left")
    assert record.response is not None
    assert record.response.chunks == answer.chunks == 3
    assert_adds_up(record)
    assert answer.plain == bare("asgi", layers, path).plain


# -- gone -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/waiting/", "/stream-async/?endless"])
def test_a_client_that_leaves_ends_the_request_as_in_django_alone(path: str) -> None:
    ways = []
    for settings in ({}, {"PIPELINE_INSPECTOR": {"ENABLED": False}}):
        steps = journey.begin()
        if settings:
            with site(chain(*three()), **settings):
                asyncio.run(_leave(path))
        else:
            with site(chain(*three())), record_pipeline() as records:
                asyncio.run(_leave(path))
            record = only(records)
            assert record.state == "aborted"
            assert record.exception is None
            assert way(record)[:5] == [("layer_in", f"L{n}") for n in range(3)] + [
                ("resolve", "URL resolver"),
                ("view", "waiting" if "waiting" in path else "stream_async"),
            ]
            assert set(outcomes(record).values()) == {"passed"}
            assert_adds_up(record)
        ways.append([(step.kind, step.name) for step in steps])
    assert ways[0] == ways[1]
    assert ("cancelled", "waiting" if "waiting" in path else "stream") in ways[0]


def _ticking(request: Any) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        journey.note("view", "ticking", request.path)
        try:
            for _ in range(10):
                yield b"tick"
        finally:
            journey.note("cancelled", "ticking", request.path)

    return StreamingHttpResponse(chunks())


def test_under_wsgi_a_client_that_leaves_in_a_stream_ends_it_as_in_django_alone() -> None:
    with urls(_ticking):
        steps = journey.begin()
        answer, record = watched("wsgi", chain(*three()), "/failing/", leave_after=2)
        with_us = [(step.kind, step.name) for step in steps]
        steps = journey.begin()
        assert bare("wsgi", chain(*three()), "/failing/", leave_after=2).plain == answer.plain
    assert with_us == [(step.kind, step.name) for step in steps]
    assert with_us[-1] == ("cancelled", "ticking")
    assert record.state == "aborted"
    assert record.response is not None
    assert (record.response.chunks, record.response.body_bytes) == (2, len(answer.body))
    assert outcomes(record) == {"L0": "passed", "L1": "passed", "L2": "passed"}
    assert_adds_up(record)


async def _leave(path: str) -> None:
    gone = asyncio.Event()
    asking = asyncio.create_task(
        through_asgi(ASGIHandler(), path, gone=gone, on_chunk=lambda number: number == 3 and gone.set())
    )
    while not any(step.kind == "view" for step in journey.steps):
        await asyncio.sleep(0)
    if "stream" not in path:
        gone.set()
    try:
        await asking
    except asyncio.CancelledError:
        journey.note("raised", "CancelledError", path)


def test_a_task_cancelled_from_outside_stays_cancelled() -> None:
    async def cancelled() -> bool:
        asking = asyncio.create_task(through_asgi(ASGIHandler(), "/waiting/"))
        while not any(step.kind == "view" for step in journey.steps):
            await asyncio.sleep(0)
        asking.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            return True
        return False

    journey.begin()
    with site(chain(*three())), record_pipeline():
        watched_one = asyncio.run(cancelled())
    journey.begin()
    with site(chain(*three()), PIPELINE_INSPECTOR={"ENABLED": False}):
        assert asyncio.run(cancelled()) == watched_one
    gc.collect()


# -- many, atomic -----------------------------------------------------------------------------------------------------


def _told_of_each(records: list[RequestRecord]) -> None:
    assert len(records) == 50
    assert sorted(record.request.path for record in records) == sorted(f"/many/{n}/" for n in range(50))
    assert len({record.id for record in records}) == 50
    for record in records:
        assert [step for step in way(record) if step[0] != "resolve"] == journey.told(record.request.path)
        assert_adds_up(record)


def test_fifty_at_once_under_asgi_each_have_their_own_record() -> None:
    journey.begin()
    layers = chain(Spec("M0", "mixin"), Spec("M1", "class"), Spec("M2", "function", "async"), Spec("M3", "mixin"))

    async def all_at_once() -> None:
        handler = ASGIHandler()
        await asyncio.gather(*(through_asgi(handler, f"/many/{number}/") for number in range(50)))

    with site(layers), record_pipeline() as records:
        asyncio.run(all_at_once())
    _told_of_each(list(records))


def test_fifty_at_once_in_threads_each_have_their_own_record() -> None:
    journey.begin()
    layers = chain(Spec("M0", "mixin"), Spec("M1", "class"), Spec("M2", "function", "sync"), Spec("M3", "mixin"))
    start = threading.Barrier(10)

    def one(number: int) -> None:
        if number < 10:
            start.wait()
        through_wsgi(handler, f"/many/{number}/")

    with site(layers), record_pipeline() as records, ThreadPoolExecutor(10) as threads:
        handler = WSGIHandler()
        list(threads.map(one, range(50)))
    _told_of_each(list(records))


@pytest.fixture
def atomic_requests(transactional_db: None) -> Iterator[None]:
    """Views run in a transaction each."""
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connection.settings_dict["ATOMIC_REQUESTS"] = False


def _asking_the_database(request: Any) -> HttpResponse:
    journey.note("view", "_asking_the_database", request.path)
    journey.note("in a transaction", str(connection.in_atomic_block), request.path)
    answer = HttpResponse(str(Group.objects.count()))
    if threading.current_thread() is not threading.main_thread():
        # Django leaves a connection to a database in memory open.
        on_leaving_the_transaction(lambda: BaseDatabaseWrapper.close(connections["default"]))
    return answer


def on_leaving_the_transaction(act: Any) -> None:
    """What a thread of its own has to tidy up."""
    connection.run_on_commit.append((set(), act, True))


@both
@pytest.mark.usefixtures("atomic_requests")
def test_a_view_in_a_transaction_is_said_to_be(interface: str) -> None:
    journey.begin()
    with urls(_asking_the_database):
        _, record = watched(interface, chain(*three()), "/failing/")
    assert record.view is not None
    assert record.view.atomic
    assert ("in a transaction", "True") in journey.told()
    assert [query.in_transaction for query in record.queries if "COUNT" in query.sql] == [True]
    steps = [step for step in journey.told() if step[0] != "in a transaction"]
    assert steps == [step for step in way(record) if step[0] != "resolve"]
    assert_changes_of_layers_that_passed(record)
    assert_adds_up(record)


@both
@pytest.mark.usefixtures("atomic_requests")
def test_a_coroutine_that_should_run_in_a_transaction_is_refused_by_django(interface: str) -> None:
    journey.begin()
    answer, record = watched(interface, chain(*three()), "/async/")
    assert answer.status == 500
    assert record.exception is not None
    told = record.exception.type, record.exception.raised_in, record.exception.rescued_by
    assert told == ("RuntimeError", "django", "django")
    assert outcomes(record) == {"L0": "passed", "L1": "passed", "L2": "passed"}
    assert_adds_up(record)


# -- twice, away, elsewhere -------------------------------------------------------------------------------------------


def test_a_layer_that_calls_inward_again_leaves_the_record_in_order() -> None:
    layers = [HERE + "Twice", *chain(*three(hooks=frozenset({"process_view"})))]
    steps = journey.begin()
    answer, record = watched("wsgi", layers, "/template/")
    assert answer.plain == bare("wsgi", layers, "/template/").plain
    first = [(step.kind, step.name) for step in steps][: len(journey.told()) // 2]
    assert first
    assert [s for s in way(record) if s[0] in ("view", "render")] == [("view", "template"), ("render", "render")]
    assert sum(step == ("hook", "L0.process_view") for step in way(record)) == 1
    assert_adds_up(record)


# -- odd ones ---------------------------------------------------------------------------------------------------------


def _interrupted(request: Any) -> Any:
    raise KeyboardInterrupt("in the view")


def test_a_layer_that_catches_what_django_lets_through_rescued_it() -> None:
    with urls(_interrupted):
        answer, record = watched("wsgi", [*chain(Spec("L0")), HERE + "Catching", *chain(Spec("L2"))], "/failing/")
    assert answer.body == b"caught"
    assert outcomes(record) == {"L0": "passed", "Catching": "rescued", "L2": "passed"}
    assert record.exception is not None
    told = record.exception.type, record.exception.raised_in, record.exception.rescued_by
    assert told == ("KeyboardInterrupt", "view", HERE + "Catching")
    assert_adds_up(record)


def test_what_nobody_catches_is_told_though_the_request_was_given_up() -> None:
    with urls(_interrupted), site(chain(*three())), record_pipeline() as records:
        with pytest.raises(KeyboardInterrupt):
            through_wsgi(WSGIHandler(), "/failing/")
        record = only(records)
    assert record.state == "aborted"
    assert record.exception is not None
    assert (record.exception.raised_in, record.exception.rescued_by) == ("view", None)
    assert outcomes(record) == {"L0": "passed", "L1": "passed", "L2": "passed"}
    assert_adds_up(record)


def test_a_layer_that_answers_with_no_response_is_no_failure_of_ours() -> None:
    faults.forget()
    with site([HERE + "Wordy"]), record_pipeline() as records:
        with pytest.raises(AttributeError):
            through_wsgi(WSGIHandler(), "/")
        assert only(records).layers[0].outcome == "answered"
    assert faults.seen() == []
