"""Hooks of every shape, in their place and in their mode."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core.signals import got_request_exception

from pipeline_inspector.recording.kinds import EVENT_LIMIT, RENDER
from pipeline_inspector.recording.tape import current
from tests.scenarios import journey
from tests.scenarios.comparing import HERE, HOOKS, both_ways
from tests.scenarios.driving import INTERFACES, ask, bare, site, watched
from tests.scenarios.made import MODES, Spec, order
from tests.scenarios.reading import assert_adds_up, outcomes, way

both = pytest.mark.parametrize("interface", INTERFACES)


@both
@pytest.mark.parametrize("path", ["/broken/", "/missing/", "/", "/template/", "/nothing/"])
def test_a_function_with_hooks_as_attributes_behaves_as_in_django(interface: str, path: str) -> None:
    for chain in ([HERE + "with_exception_attribute"], [HERE + "with_template_attribute"]):
        answer, record = watched(interface, chain, path)
        assert answer.plain == bare(interface, chain, path).plain
        if answer.status == 299:
            assert outcomes(record) == {"with_exception_attribute": "rescued"}


@both
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["/", "/template/", "/broken/"])
def test_each_hook_is_timed_inside_the_core_and_belongs_to_its_layer(interface: str, mode: str, path: str) -> None:
    _, record = watched(interface, [order(Spec(f"H{number}", "mixin", mode, HOOKS)) for number in range(3)], path)
    hooks = [span for span in record.spans if span.kind == "hook"]
    views = [span for span in record.spans if span.kind == "view"]
    names = {
        "/": [*("H0.process_view", "H1.process_view", "H2.process_view")],
        "/template/": [
            *("H0.process_view", "H1.process_view", "H2.process_view"),
            *(f"H{number}.process_template_response" for number in (2, 1, 0)),
        ],
        "/broken/": [
            *("H0.process_view", "H1.process_view", "H2.process_view"),
            *(f"H{number}.process_exception" for number in (2, 1, 0)),
        ],
    }[path]
    assert [hook.name for hook in hooks] == names
    assert [f"H{hook.layer}" for hook in hooks] == [hook.name.partition(".")[0] for hook in hooks]
    for hook in hooks:
        before = hook.name.endswith("process_view")
        assert (hook.start_ns + hook.duration_ns <= views[0].start_ns) == before
    assert_adds_up(record)


@both
def test_what_a_hook_changes_is_told_of_its_layer(interface: str) -> None:
    _, record = watched(interface, [HERE + "Hooking", order(Spec("H1"))], "/template/")
    changes = {(one.on, one.what, one.name) for one in record.layers[0].changes}
    assert changes == {("request", "attribute", "hooked"), ("response", "header", "X-Hooked")}
    assert not {one.name for one in record.core_changes} & {"hooked", "X-Hooked"}


@pytest.mark.parametrize("hook", ["process_view", "process_template_response"])
def test_an_async_hook_of_an_async_layer_is_awaited_and_timed(hook: str) -> None:
    journey.begin()
    answer, record = watched("asgi", [HERE + "AsyncHooks"], "/template/")
    assert answer.plain == bare("asgi", [HERE + "AsyncHooks"], "/template/").plain
    steps = [step for step in journey.told() if step == ("hook", f"AsyncHooks.{hook}")]
    assert len(steps) == 2
    assert [step for step in way(record) if step[0] == "hook"] == [
        ("hook", "AsyncHooks.process_view"),
        ("hook", "AsyncHooks.process_template_response"),
    ]


@both
def test_a_hook_that_returns_nothing_is_named_by_django_as_ever(interface: str) -> None:
    def said() -> str:
        with site([HERE + "Forgetful"]):
            ask(interface, "/template/")
        return errors[-1]

    errors: list[str] = []

    def look(**_: Any) -> None:
        errors.append(str(sys.exc_info()[1]))

    got_request_exception.connect(look)
    try:
        without, with_us = both_ways(said)
    finally:
        got_request_exception.disconnect(look)
    assert with_us == without
    assert "Forgetful.process_template_response" in with_us


class Filling:
    """Leaves no room on the tape, until it has seen how many events found none."""

    found_none = -1

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        tape = current.get()
        assert tape is not None
        tape.events.extend([(RENDER, 0, 0, 0)] * EVENT_LIMIT)
        response = self.get_response(request)
        Filling.found_none = tape.dropped
        tape.events.clear()
        return response


def test_a_hook_that_finds_no_room_on_the_tape_is_counted() -> None:
    _, record = watched("wsgi", [f"{__name__}.Filling", order(Spec("H1", "mixin", "sync", HOOKS))], "/")
    assert Filling.found_none == 1
    assert not [span for span in record.spans if span.kind == "hook"]
    assert record.dropped.events == 1
