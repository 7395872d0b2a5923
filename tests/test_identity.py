"""Whoever asks finds what Django made: layers, what they are handed, views and Django itself are what they were."""

import cProfile
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import AsyncToSync, SyncToAsync, iscoroutinefunction
from django.core.handlers import base as handlers_base
from django.core.handlers import exception as django_exception
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject

from pipeline_inspector import wiring
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import layers, made
from tests.scenarios import urls as site_urls
from tests.scenarios.comparing import HERE, HOOKS, both_ways, urls
from tests.scenarios.driving import INTERFACES, ask, bare, site, watched
from tests.scenarios.made import KINDS, MODES, Spec, order
from tests.scenarios.reading import outcomes
from tests.sites import Site

both = pytest.mark.parametrize("interface", INTERFACES)


def _told(thing: Any) -> dict[str, Any]:
    """What one can ask of a thing without calling it."""
    names = ("__name__", "__qualname__", "__module__", "__doc__", "__self__", "sync_capable", "async_capable")
    asked = {name: repr(getattr(thing, name, "none")).split(" at 0x")[0] for name in names}
    own = sorted(name for name in getattr(thing, "__dict__", ()) if not name.startswith("_pipeline"))
    return asked | {"coroutine": iscoroutinefunction(thing), "own": own, "repr": repr(thing).split(" at 0x")[0]}


# -- what layers are handed -------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("looking", ["Looking", "LookingAsync", "LookingSync"])
def test_a_layer_is_handed_what_django_would_hand_it(interface: str, looking: str, kind: str, mode: str) -> None:
    def seen() -> Any:
        with site([HERE + looking, order(Spec("T1", kind, mode, HOOKS))]):
            _handler(interface)
        return layers.Looking.seen["get_response"]

    without, with_us = both_ways(seen)
    assert with_us == without


def test_a_switch_is_handed_on_as_the_object_that_asgiref_made() -> None:
    handed: list[Any] = []

    class Keeping(layers.Both):
        def __init__(self, get_response: Any) -> None:
            super().__init__(get_response)
            handed.append(get_response)

    class KeepingAsync(Keeping):
        sync_capable = False

    class KeepingSync(Keeping):
        async_capable = False

    layers.KeepingAsync, layers.KeepingSync = KeepingAsync, KeepingSync  # type: ignore[attr-defined]

    def seen() -> list[Any]:
        handed.clear()
        with site([HERE + "KeepingAsync", HERE + "KeepingSync", HERE + "KeepingAsync"]):
            ASGIHandler()
        return [
            (_told(one), isinstance(one, SyncToAsync), isinstance(one, AsyncToSync), type(one).__name__)
            for one in handed
        ]

    without, with_us = both_ways(seen)
    assert with_us == without
    assert [is_one for _, *kinds, _ in with_us for is_one in kinds] == [False, False, False, True, True, False]


@both
@pytest.mark.parametrize("modes", [("both", "both", "both"), ("both", "sync", "both"), ("async", "sync", "async")])
def test_who_walks_along_a_chain_meets_the_same_links(interface: str, modes: tuple[str, ...]) -> None:
    chain = [
        order(Spec(f"T{n}", kind, mode)) for n, (kind, mode) in enumerate(zip(KINDS[1:] + KINDS, modes, strict=False))
    ]

    def seen() -> list[Any]:
        with site(chain):
            link = _handler(interface)._middleware_chain
        links = []
        while link is not None and len(links) < 30:
            links.append((_told(link), callable(link)))
            onward = (getattr(link, name, None) for name in ("__wrapped__", "get_response", "func", "awaitable"))
            link = next((found for found in onward if found is not None), None)
        return links[1:]

    without, with_us = both_ways(seen)
    assert len(with_us) > 3
    assert with_us == without


@both
@pytest.mark.parametrize("kind", KINDS)
def test_another_tool_that_looks_at_what_is_loaded_sees_the_sites_own(
    interface: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that wrapped ``load_middleware`` before us puts its own ``import_string`` above ours."""
    path = order(Spec("T0", kind, "sync"))
    made.T0.__doc__ = "The site's own words."  # type: ignore[attr-defined]
    found: list[Any] = []
    inner = handlers_base.BaseHandler.load_middleware.__wrapped__  # type: ignore[attr-defined]

    def loading(self: Any, is_async: bool = False) -> None:
        below = handlers_base.import_string

        def looking(dotted: str) -> Any:
            factory = below(dotted)
            asked = _told(factory)
            found.append({name: asked[name] for name in asked if name not in ("own", "repr")})
            return factory

        with monkeypatch.context() as patch:
            patch.setattr(handlers_base, "import_string", looking)
            inner(self, is_async)

    cell = handlers_base.BaseHandler.load_middleware.__closure__  # type: ignore[attr-defined]
    original = next(one for one in cell if one.cell_contents is inner)
    original.cell_contents = loading
    try:

        def seen() -> list[Any]:
            found.clear()
            with site([path]):
                ask(interface)
            return found[:]

        without, with_us = both_ways(seen)
    finally:
        original.cell_contents = inner
    assert with_us == without
    assert with_us[0]["__doc__"] == '"The site\'s own words."'


def _handler(interface: str) -> Any:
    handler = WSGIHandler() if interface == "wsgi" else ASGIHandler()
    assert handler._middleware_chain is not None
    return handler


# -- what stays untouched ---------------------------------------------------------------------------------------------


@both
def test_no_class_function_or_instance_of_the_site_is_written_to(interface: str) -> None:
    chain = [order(Spec(f"T{number}", kind, hooks=HOOKS)) for number, kind in enumerate(KINDS)]
    instances: list[Any] = []

    class Apart(layers.Both):
        def __init__(self, get_response: Any) -> None:
            super().__init__(get_response)
            instances.append(self)

    layers.Apart = Apart  # type: ignore[attr-defined]
    mine = [made.T0, made.T1, made.T2, Apart, site_urls.Classy, site_urls.plain]  # type: ignore[attr-defined]
    before = [dict(vars(one)) for one in mine]
    patterns = [(pattern, pattern.callback) for pattern in site_urls.urlpatterns if hasattr(pattern, "callback")]
    for path in ("/", "/class/", "/template/", "/broken/"):
        watched(interface, [*chain, HERE + "Apart"], path)
    assert [dict(vars(one)) for one in mine] == before
    assert [(pattern, pattern.callback) for pattern, _ in patterns] == patterns
    for instance in instances:
        marks = {"_is_coroutine", "_is_coroutine_mark", "_is_coroutine_marker"}
        assert set(vars(instance)) - marks == {"get_response", "is_async"}


def test_asgiref_is_left_alone() -> None:
    with record_pipeline():
        for kind in (SyncToAsync, AsyncToSync):
            for name, member in vars(kind).items():
                code = getattr(member, "__code__", None)
                assert code is None or "asgiref" in code.co_filename, name


def test_what_another_tool_put_on_top_of_ours_stays_and_goes_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for owner, name in (
        (handlers_base.BaseHandler, "load_middleware"),
        (handlers_base.BaseHandler, "resolve_request"),
        (handlers_base.BaseHandler, "make_view_atomic"),
        (WSGIHandler, "__call__"),
        (django_exception, "response_for_exception"),
    ):
        ours = getattr(owner, name)

        def theirs(*args: Any, _ours: Any = ours, _name: str = name, **kwargs: Any) -> Any:
            called.append(_name)
            return _ours(*args, **kwargs)

        monkeypatch.setattr(owner, name, theirs)
    chain = [order(Spec("T0", "mixin", hooks=HOOKS))]
    wiring.connect()
    assert outcomes(watched("wsgi", chain, "/broken/")[1]) == {"T0": "passed"}
    assert called == [
        *("load_middleware", "__call__", "resolve_request", "make_view_atomic", "response_for_exception"),
    ]
    monkeypatch.undo()
    called.clear()
    wiring.connect()
    answer, record = watched("wsgi", chain, "/broken/")
    assert (answer.status, called, outcomes(record)) == (500, [], {"T0": "passed"})
    assert len([span for span in record.spans if span.kind == "view"]) == 1


@both
def test_a_converter_that_another_tool_put_in_place_of_djangos_is_used(
    interface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    djangos = handlers_base.convert_exception_to_response
    converted: list[str] = []

    def theirs(get_response: Any) -> Any:
        called = djangos(get_response)
        converted.append(getattr(get_response, "__name__", type(get_response).__name__))
        if iscoroutinefunction(get_response):

            async def around(request: Any) -> Any:
                response = await called(request)
                response.headers["X-Theirs"] = str(int(response.headers.get("X-Theirs", 0)) + 1)
                return response

        else:

            def around(request: Any) -> Any:
                response = called(request)
                response.headers["X-Theirs"] = str(int(response.headers.get("X-Theirs", 0)) + 1)
                return response

        return around

    monkeypatch.setattr(handlers_base, "convert_exception_to_response", theirs)
    chain = [order(Spec("T0", "mixin", hooks=HOOKS)), order(Spec("T1", "class", act="raise_in"))]
    for path in ("/", "/broken/"):
        answer, record = watched(interface, chain, path)
        assert answer.plain == bare(interface, chain, path).plain
        assert dict(answer.headers)["X-Theirs"] == "2"
        assert outcomes(record) == {"T0": "passed", "T1": "raised"}


@both
def test_each_handler_has_its_hooks_watched(interface: str) -> None:
    with site([order(Spec("T0", hooks=HOOKS))]), record_pipeline() as records:
        ask(interface, "/template/")
        ask(interface, "/template/")
    hooks = [[span.name for span in record.spans if span.kind == "hook"] for record in records]
    assert hooks == [["T0.process_view", "T0.process_template_response"]] * 2


def test_a_profiler_and_a_tracer_of_the_sites_own_are_not_in_the_way() -> None:
    def view(request: Any) -> Any:
        assert sys.getprofile() is None
        assert sys.gettrace() is tracer
        profile = cProfile.Profile()
        profile.runcall(lambda: None)
        return HttpResponse(str(len(profile.getstats()) > 0))

    tracer = sys.gettrace()
    with urls(view):
        assert watched("wsgi", [order(Spec("T0", "mixin"))], "/failing/")[0].body == b"True"


def test_looking_for_handlers_that_were_made_before_evaluates_nothing_lazy() -> None:
    asked: list[str] = []
    lazy = SimpleLazyObject(lambda: asked.append("evaluated"))
    with record_pipeline():
        pass
    assert asked == []
    assert lazy is not None


IMPORTED = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django
from django.conf import settings
settings.MIDDLEWARE += ["mysite.own.layer"]
django.setup()
names = [settings.ROOT_URLCONF, "mysite.own", *(path.rpartition(".")[0] for path in settings.MIDDLEWARE)]
print(json.dumps([name for name in names if name in sys.modules]))
"""


def test_starting_imports_neither_urls_nor_middleware_of_the_site(make_site: Callable[..., Site]) -> None:
    def imported(*apps: str) -> list[str]:
        site = make_site(*apps)
        site.write("mysite/own.py", "def layer(get_response):\n    return get_response\n")
        told: list[str] = json.loads(site.run("-c", IMPORTED).stdout.splitlines()[-1])
        return told

    assert set(imported("pipeline_inspector")) <= set(imported("django.contrib.humanize"))


# -- marks, hooks and modes of odd layers -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/broken/", "/async/"])
def test_an_async_function_keeps_the_hook_that_it_carries_as_an_attribute(path: str) -> None:
    answer, record = watched("asgi", [HERE + "async_with_exception_attribute"], path)
    assert answer.plain == bare("asgi", [HERE + "async_with_exception_attribute"], path).plain
    assert answer.status == (299 if "broken" in path else 200)
    assert record.layers[0].outcome == ("rescued" if "broken" in path else "passed")


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_thread_that_a_view_starts_by_itself_is_outside_any_request() -> None:
    from pipeline_inspector.recording.tape import current

    found: list[Any] = []

    def view(request: Any) -> Any:
        thread = threading.Thread(target=lambda: found.append(current.get()))
        thread.start()
        thread.join()
        found.append(current.get())
        return HttpResponse()

    with urls(view):
        watched("wsgi", [], "/failing/")
    assert found[0] is None
    assert found[1].path == "/failing/"
