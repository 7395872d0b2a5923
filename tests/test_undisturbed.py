"""With the inspector recording, Django and the site behave as if it were not there."""

import asyncio
import copy
import gc
import pickle
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import AsyncToSync, SyncToAsync
from django.apps import apps
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception, request_finished, request_started
from django.test import Client, override_settings

import pipeline_inspector
from pipeline_inspector.recording import recorder
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey, layers
from tests.scenarios.driving import INTERFACES, ask, bare, site, through_wsgi, watched
from tests.scenarios.made import Raised, Spec, order
from tests.scenarios.reading import assert_adds_up, outcomes, way

HERE = "tests.scenarios.layers."
OURS = str(Path(pipeline_inspector.__file__).parent) + "/"
OFF: dict[str, Any] = {"PIPELINE_INSPECTOR": {"ENABLED": False}}
both = pytest.mark.parametrize("interface", INTERFACES)

Frames = list[tuple[str, str, int]]


def frames(error: BaseException) -> Frames:
    """File, function and line of each frame of the error, the tests' own driving left out."""
    return [
        (frame.f_code.co_filename, frame.f_code.co_name, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.endswith(("driving.py", "test_undisturbed.py"))
    ]


def both_ways(act: Callable[[], Any]) -> tuple[Any, Any]:
    """What ``act`` gives without us and with us."""
    with override_settings(**OFF):
        without = act()
    with record_pipeline():
        return without, act()


# -- exceptions -------------------------------------------------------------------------------------------------------

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
HOOKS = frozenset({"process_view", "process_template_response", "process_exception"})


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


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_django_lets_through_comes_out_with_the_same_traceback(kind: type[BaseException]) -> None:
    def failing(request: Any) -> Any:
        raise kind("from the view")

    def seen() -> Frames:
        with site([order(Spec("T0", "mixin")), order(Spec("T1", "function"))]), urls(failing):
            with pytest.raises(kind) as raised:
                through_wsgi(WSGIHandler(), "/failing/")
        return frames(raised.value)

    without, with_us = both_ways(seen)
    assert [frame for frame in with_us if frame[0].startswith(OURS)] == []
    # Django's converter, which lets these pass, is not among our frames: ours stands in its place.
    assert with_us == [frame for frame in without if not frame[0].startswith(OURS) and frame[1] != "inner"]


def test_an_exception_while_a_stream_is_sent_comes_out_with_the_same_traceback() -> None:
    from django.http import StreamingHttpResponse

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
@pytest.mark.parametrize("path", ["/broken/", "/missing/", "/", "/template/", "/nothing/"])
def test_a_function_with_hooks_as_attributes_behaves_as_in_django(interface: str, path: str) -> None:
    for chain in ([HERE + "with_exception_attribute"], [HERE + "with_template_attribute"]):
        answer, record = watched(interface, chain, path)
        assert answer.plain == bare(interface, chain, path).plain
        if answer.status == 299:
            assert outcomes(record) == {"with_exception_attribute": "rescued"}


# -- layers of every shape --------------------------------------------------------------------------------------------


@both
def test_layers_see_the_same_get_response_and_the_same_view(interface: str) -> None:
    chain = [HERE + "Looking", order(Spec("T1", "mixin", hooks=HOOKS)), order(Spec("T2", "function", "sync"))]

    def seen() -> dict[str, Any]:
        layers.Looking.seen.clear()
        with site(chain):
            ask(interface, "/class/")
        return dict(layers.Looking.seen)

    without, with_us = both_ways(seen)
    assert with_us == without


@both
def test_a_layer_that_takes_itself_out_is_told_and_left_out(interface: str) -> None:
    chain = [order(Spec("T0")), HERE + "NotUsed", order(Spec("T2", "function", "sync"))]
    answer, record = watched(interface, chain)
    assert answer.plain == bare(interface, chain).plain
    assert [layer.name for layer in record.layers] == ["T0", "T2"]
    assert [(gone.path, gone.message) for gone in record.not_used] == [(HERE + "NotUsed", "not in this project")]


@both
def test_a_layer_listed_twice_is_two_layers(interface: str) -> None:
    path = order(Spec("T0", "mixin", hooks=HOOKS))
    journey.begin()
    answer, record = watched(interface, [path, path])
    assert answer.plain == bare(interface, [path, path]).plain
    assert [layer.id for layer in record.layers] == [path, f"{path}#2"]
    one = watched(interface, [path, path], off=[f"{path}#2"])[1]
    assert [layer.outcome for layer in one.layers] == ["passed", "off"]


def test_an_unmarked_async_layer_is_timed_to_its_real_end() -> None:
    journey.begin()
    chain = [HERE + "Unmarked", order(Spec("T1")), order(Spec("T2"))]
    answer, record = watched("asgi", chain, "/async/")
    assert journey.told() == [step for step in way(record) if step[0] != "resolve"]
    assert answer.plain == bare("asgi", chain, "/async/").plain
    assert outcomes(record) == {"Unmarked": "passed", "T1": "passed", "T2": "passed"}
    assert ("response", "header", "X-Unmarked") in {(c.on, c.what, c.name) for c in record.layers[0].changes}
    assert ("layer_out", "Unmarked") in way(record)
    assert_adds_up(record)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Django leaves the body's file to Python
def test_an_exception_of_an_unmarked_async_layer_is_met_where_django_meets_it() -> None:
    def seen(chain: list[str]) -> Any:
        with site(chain):
            try:
                return ask("asgi", "/?raise").status
            except RuntimeError as error:
                return [frame for frame in frames(error) if "asyncio" not in frame[0]]

    for chain in ([HERE + "Unmarked"], [HERE + "Unmarked", order(Spec("T1"))]):
        without, with_us = both_ways(lambda chain=chain: seen(chain))
        assert with_us == [frame for frame in without if not frame[0].startswith(OURS)]
        gc.collect()


def test_a_layer_without_room_for_marks_passes() -> None:
    journey.begin()
    _, record = watched("wsgi", [HERE + "Slotted", order(Spec("T1", "mixin"))])
    assert journey.told() == [step for step in way(record) if step[0] != "resolve" and step != ("layer_out", "Slotted")]
    assert outcomes(record) == {"Slotted": "passed", "T1": "passed"}


def test_a_chain_loaded_while_another_is_loaded_does_not_mix_with_it() -> None:
    chain = [order(Spec("T0")), HERE + "asking_in_its_factory", order(Spec("T2", "mixin", hooks=HOOKS))]
    with site(chain), record_pipeline() as records:
        ask("wsgi")
    assert [[layer.name for layer in record.layers] for record in records] == [
        ["T0", "asking_in_its_factory", "T2"],
        ["T0", "asking_in_its_factory", "T2"],
    ]
    for record in records:
        assert set(outcomes(record).values()) == {"passed"}
        assert_adds_up(record)


def test_a_stand_in_for_the_request_passes() -> None:
    chain = [order(Spec("T0")), HERE + "handing_on_a_proxy", order(Spec("T2", "mixin"))]
    assert watched("wsgi", chain)[0].plain == bare("wsgi", chain).plain


# -- views ------------------------------------------------------------------------------------------------------------


@contextmanager
def urls(view: Any) -> Iterator[None]:
    """``view`` at ``/failing/`` and ``/breaking/``."""
    from django.urls import path

    from tests.scenarios import urls as module

    added = [path("failing/", view), path("breaking/", view)]
    kept = module.urlpatterns[:]
    module.urlpatterns[:] = [*added, *kept]
    from django.urls import clear_url_caches

    clear_url_caches()
    try:
        yield
    finally:
        module.urlpatterns[:] = kept
        clear_url_caches()


class Callable_:
    """A view that is an object; its class has neither ``__name__`` nor room for marks."""

    __slots__ = ("__weakref__",)

    def __call__(self, request: Any) -> Any:
        """Says hello."""
        from django.http import HttpResponse

        return HttpResponse("hello")


def _views() -> dict[str, Any]:
    import functools

    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_GET

    from tests.scenarios import urls as module

    return {
        "function": module.plain,
        "partial": functools.partial(module.one_of_many, number=3),
        "decorated": require_GET(module.plain),
        "exempt": csrf_exempt(module.plain),
        "object": Callable_(),
        "async": module.plain_async,
        "async partial": functools.partial(module.plain_async),
        "class": module.Classy.as_view(),
    }


@both
@pytest.mark.parametrize("kind", list(_views()))
def test_hooks_are_given_the_developers_own_view(interface: str, kind: str) -> None:
    view = _views()[kind]
    layers.Looking.seen.clear()
    with urls(view):
        answer, record = watched(interface, [HERE + "Looking"], "/failing/")
    assert answer.status == 200
    assert layers.Looking.seen["view"] is view
    assert layers.Looking.seen["match"] is view
    assert layers.Looking.seen["csrf_exempt"] == (True if kind == "exempt" else None)
    assert record.view is not None
    names = {"partial": "one_of_many", "class": "Classy", "object": "Callable_"}
    names |= {"async": "plain_async", "async partial": "plain_async"}
    assert record.view.name.rpartition(".")[2] == names.get(kind, "plain")
    assert record.view.kind == {"class": "class", "async": "async", "async partial": "async"}.get(kind, "function")


@both
def test_exempt_views_stay_exempt_and_others_stay_guarded(interface: str) -> None:
    guard = ["django.middleware.csrf.CsrfViewMiddleware"]
    for kind, status in (("exempt", 200), ("function", 403)):
        with urls(_views()[kind]):
            assert watched(interface, guard, "/failing/", method="POST")[0].status == status


# -- signals, threads -------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("path", ["/", "/broken/", "/template/", "/stream-async/", "/missing/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_signals_come_in_the_same_order(interface: str, path: str) -> None:
    chain = [order(Spec("T0", "mixin", hooks=HOOKS)), order(Spec("T1", "function"))]

    def seen() -> list[tuple[str, str]]:
        steps = journey.begin()
        receivers = {
            signal: (lambda name: lambda **_: journey.note("signal", name, path))(name)
            for signal, name in (
                (request_started, "started"),
                (got_request_exception, "exception"),
                (request_finished, "finished"),
            )
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
    count = {"to thread": 0, "to loop": 0}
    for kind, name in ((SyncToAsync, "to thread"), (AsyncToSync, "to loop")):
        original = kind.__call__

        def counting(self: Any, *args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            count[_name] += 1
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__call__", counting)

    def switches() -> dict[str, int]:
        with site(chain):
            count.update(dict.fromkeys(count, 0))
            ask(interface, path)
        return dict(count)

    without, with_us = both_ways(switches)
    assert with_us == without


def test_contextvars_of_layers_reach_where_they_reached() -> None:
    from contextvars import ContextVar

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
        from django.http import HttpResponse

        found.append(mark.get())
        return HttpResponse()

    def seen() -> list[str]:
        found.clear()
        with site([HERE + "Marking", order(Spec("T1", "mixin"))]), urls(view):
            asyncio.run(_ask_in_context("/failing/"))
        return found[:]

    without, with_us = both_ways(seen)
    assert with_us == without == ["set by a layer", "set by a layer"]


async def _ask_in_context(path: str) -> None:
    from tests.scenarios.driving import through_asgi

    await through_asgi(ASGIHandler(), path)


# -- what is kept alive -----------------------------------------------------------------------------------------------


class Weakly(layers.Both):
    """Keeps what passes, weakly."""

    kept: list[weakref.ref[Any]] = []

    def after(self, request: Any, response: Any) -> Any:
        """Request and response."""
        Weakly.kept += [weakref.ref(request), weakref.ref(response)]
        return response


@both
@pytest.mark.parametrize("path", ["/", "/template/", "/stream/", "/class/", "/redirect/", "/big/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_request_is_let_go_as_soon_as_in_django_alone(interface: str, path: str) -> None:
    layers.Weakly = Weakly  # type: ignore[attr-defined]
    Weakly.kept.clear()
    with site([HERE + "Weakly", order(Spec("T1", "mixin", hooks=HOOKS))]):
        with record_pipeline() as records:
            handler = WSGIHandler() if interface == "wsgi" else ASGIHandler()
            gc.collect()
            gc.disable()
            try:
                _ask(handler, interface, path)
                assert len(records) == 1
                alive = _alive()
            finally:
                gc.enable()
    Weakly.kept.clear()
    with site([HERE + "Weakly", order(Spec("T1", "mixin", hooks=HOOKS))], **OFF):
        handler = WSGIHandler() if interface == "wsgi" else ASGIHandler()
        gc.collect()
        gc.disable()
        try:
            _ask(handler, interface, path)
            assert alive == _alive()
        finally:
            gc.enable()


def _alive() -> list[str]:
    """What Python has not let go by itself, without its collector."""
    assert len(Weakly.kept) == 2
    return [type(kept()).__name__ for kept in Weakly.kept if kept() is not None]


def _ask(handler: Any, interface: str, path: str) -> None:
    from tests.scenarios.driving import through_asgi

    if interface == "wsgi":
        through_wsgi(handler, path)
    else:
        asyncio.run(through_asgi(handler, path))


@both
def test_nothing_of_a_failed_request_is_kept(interface: str) -> None:
    layers.Weakly = Weakly  # type: ignore[attr-defined]
    Weakly.kept.clear()
    with site([HERE + "Weakly"]), record_pipeline() as records:
        ask(interface, "/broken/")
        assert len(records) == 1
        gc.collect()
        assert [kept() for kept in Weakly.kept if kept() is not None] == []


def test_the_recorder_keeps_nothing_either() -> None:
    layers.Weakly = Weakly  # type: ignore[attr-defined]
    Weakly.kept.clear()
    with site([HERE + "Weakly"], PIPELINE_INSPECTOR={**settings.PIPELINE_INSPECTOR, "ENABLED": True}):
        ask("wsgi")
        assert recorder.flush()
        gc.collect()
        assert [kept() for kept in Weakly.kept if kept() is not None] == []


def test_a_request_can_be_copied_and_pickled_on_its_way() -> None:
    made: list[Any] = []

    def view(request: Any) -> Any:
        from django.http import HttpResponse

        request.environ = request.META = {name: value for name, value in request.META.items() if isinstance(value, str)}
        request.resolver_match = None  # Django's own refuses
        again = pickle.loads(pickle.dumps(request))
        made.extend((copy.copy(request), copy.deepcopy(again), again))
        return HttpResponse()

    with urls(view):
        answer, record = watched("wsgi", [order(Spec("T0", "mixin"))], "/failing/")
    assert answer.status == 200
    assert record.state == "finished"
    assert [one.path for one in made] == ["/failing/"] * 3


def test_a_chain_is_let_go_with_its_handler() -> None:
    with site([order(Spec("T0", "mixin", hooks=HOOKS))]), record_pipeline() as records:
        handler = WSGIHandler()
        through_wsgi(handler, "/")
        assert len(records) == 1
        gone = weakref.ref(handler)
        del handler
        gc.collect()
        assert gone() is None


def test_closers_run_once_in_order_before_the_request_is_over() -> None:
    def view(request: Any) -> Any:
        from django.http import HttpResponse

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


# -- settings and registry --------------------------------------------------------------------------------------------


@both
def test_our_own_two_listed_by_hand_are_not_doubled(interface: str) -> None:
    own = ["pipeline_inspector.middleware.OutermostMiddleware", "pipeline_inspector.middleware.InnermostMiddleware"]
    made = order(Spec("T0", "mixin", hooks=HOOKS))
    for chain in ([own[0], made, own[1]], [own[1], made, own[0]], [made, *own]):
        answer, record = watched(interface, chain)
        assert answer.plain == bare(interface, chain).plain == bare(interface, [made]).plain
        assert [layer.name for layer in record.layers] == ["T0"]
        assert record.not_used == []


def test_the_list_of_middleware_may_be_a_tuple_and_stays_what_it_is() -> None:
    chain = (order(Spec("T0")), order(Spec("T1")))
    with site([]), override_settings(MIDDLEWARE=chain), record_pipeline() as records:
        ask("wsgi")
        assert settings.MIDDLEWARE is chain
    assert [layer.path for layer in records[0].layers] == list(chain)


def test_a_test_that_replaces_the_middleware_sees_its_own() -> None:
    with record_pipeline() as records:
        for name in ("T0", "T1"):
            with site([order(Spec(name))]):
                assert Client().get("/").status_code == 200
    assert [[layer.name for layer in record.layers] for record in records] == [["T0"], ["T1"]]


def test_ready_twice_records_once() -> None:
    config = apps.get_app_config("pipeline_inspector")
    config.ready()
    config.ready()
    journey.begin()
    _, record = watched("wsgi", [order(Spec("T0", hooks=HOOKS))], "/template/")
    assert journey.told() == [step for step in way(record) if step[0] != "resolve"]
    assert len(record.templates) == 1


def test_a_site_from_which_a_test_takes_the_app_works_on() -> None:
    without_us = [app for app in settings.INSTALLED_APPS if app != "pipeline_inspector"]
    with site([order(Spec("T0"))]), override_settings(INSTALLED_APPS=without_us):
        assert ask("wsgi").body == b"hello"
        assert ask("asgi").body == b"hello"


def test_switched_off_nothing_stands_between_the_layers() -> None:
    chain = [order(Spec("T0", "mixin", hooks=HOOKS)), order(Spec("T1"))]
    with site(chain, **OFF):
        handler = WSGIHandler()
    assert type(handler._middleware_chain).__name__ == "function"
    assert handler._middleware_chain.__code__.co_filename.endswith("django/core/handlers/exception.py")
    assert [type(hook).__name__ for hook in handler._view_middleware] == ["method"]
    link = handler._middleware_chain
    while hasattr(link, "get_response"):
        link = link.get_response
        assert not getattr(link, "__code__", link).__class__.__module__.startswith("pipeline_inspector")


def test_receivers_of_signals_are_connected_once() -> None:
    def ours() -> int:
        return sum("pipeline_inspector" in str(entry[0]) for entry in request_started.receivers)

    before = ours()
    with record_pipeline(), record_pipeline():
        assert ours() == before == 1
