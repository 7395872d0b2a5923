"""The loader hook: each chain seen as Django loads it, and nothing of the site's touched."""

import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.test import Client, override_settings

from pipeline_inspector.page import panels
from pipeline_inspector.probes import loader, startup
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey
from tests.scenarios.comparing import HERE, HOOKS, OFF
from tests.scenarios.driving import INTERFACES, ask, bare, site, watched
from tests.scenarios.made import Spec, order
from tests.scenarios.reading import assert_adds_up, outcomes, way

both = pytest.mark.parametrize("interface", INTERFACES)


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


def test_a_chain_loaded_while_another_is_loaded_does_not_mix_with_it() -> None:
    chain = [order(Spec("T0")), HERE + "asking_in_its_factory", order(Spec("T2", "mixin", hooks=HOOKS))]
    with site(chain), record_pipeline() as records:
        ask("wsgi")
    assert [[layer.name for layer in record.layers] for record in records[-2:]] == [
        ["T0", "asking_in_its_factory", "T2"],
        ["T0", "asking_in_its_factory", "T2"],
    ]
    for record in records:
        assert set(outcomes(record).values()) == {"passed"}
        assert_adds_up(record)


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


def test_a_layer_tells_what_its_import_took_unless_it_was_imported_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fresh_layers.py").write_text("def one(get_response): return get_response\n\n\ntwo = one\n")
    monkeypatch.syspath_prepend(tmp_path)
    told: list[tuple[str, int, int]] = []
    with record_pipeline(), site(["fresh_layers.one", "fresh_layers.two"]):  # handlers of other tests are loaded before
        monkeypatch.setattr(startup, "chain_loaded", lambda interface, layers, loader: told.extend(layers))
        WSGIHandler()
    sys.modules.pop("fresh_layers")
    assert [path for path, _, _ in told] == ["fresh_layers.one", "fresh_layers.two"]
    assert told[0][1] == 0  # Django loads from the innermost outward
    assert told[1][1] > 0
    assert all(constructed > 0 for _, _, constructed in told)


def test_the_order_of_each_kind_of_hook_is_djangos_own_and_shown_on_the_page() -> None:
    first, second, third = Spec("O0", hooks=HOOKS), Spec("O1", "mixin"), Spec("O2", "mixin", hooks=HOOKS)
    with record_pipeline(), site([order(spec) for spec in (first, second, third)]):
        before = set(loader._chains)
        handler = WSGIHandler()
        [chain] = set(loader._chains) - before
    plan = chain.plan()
    page = panels.pipeline_page(plan, (), None, (), "/__inspector__/")
    shown = page[page.index("The order of hooks") :]
    lists = {
        "process_view": handler._view_middleware,
        "process_template_response": handler._template_response_middleware,
        "process_exception": handler._exception_middleware,
    }
    for hook, called in lists.items():
        names = [type(method.__self__).__name__ for method in called]
        assert sorted(names) == ["O0", "O2"]
        assert [plan.layers[index].name for index in plan.hook_order[hook]] == names
        part = shown[shown.index(hook) :]
        assert part.index(names[0]) < part.index(names[1])
