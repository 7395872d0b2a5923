"""Random chains against Django's documented order, against their own trace, and against Django without us."""

from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_inspector.recording.chain import LEARNING
from tests.scenarios import journey
from tests.scenarios.driving import INTERFACES, bare, watched
from tests.scenarios.made import ACTS, HOOKS, KINDS, MODES, Spec, order
from tests.scenarios.model import VIEWS, Model
from tests.scenarios.reading import assert_adds_up, outcomes, way

SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

_NEEDS = {
    "answer_view": "process_view",
    "raise_view": "process_view",
    "raise_template": "process_template_response",
    "rescue_exception": "process_exception",
    "raise_exception": "process_exception",
}


@st.composite
def chains(draw: st.DrawFn) -> list[Spec]:
    """Up to six layers of all kinds, most of them passing."""
    specs = []
    for number in range(draw(st.integers(0, 6))):
        act = draw(st.sampled_from(("pass",) * 6 + ACTS))
        hooks = draw(st.frozensets(st.sampled_from(HOOKS))) | ({_NEEDS[act]} if act in _NEEDS else set())
        kind, mode = draw(st.sampled_from(KINDS)), draw(st.sampled_from(MODES))
        specs.append(Spec(f"Layer{number}", kind, mode, frozenset(hooks), act))
    return specs


paths = st.sampled_from(sorted(VIEWS))
interfaces = st.sampled_from(INTERFACES)


@given(interfaces, chains(), paths)
@SETTINGS
def test_a_random_chain_is_recorded_in_the_documented_order_and_as_its_own_trace_says(
    interface: str, specs: list[Spec], path: str
) -> None:
    trace = journey.begin()
    answer, record = watched(interface, [order(spec) for spec in specs], path)
    expected = Model(specs, path).run()

    assert answer.status == expected.status
    assert outcomes(record) == expected.outcomes
    assert way(record) == expected.way
    assert [step for step in expected.way if step[0] != "resolve"] == journey.told(), trace
    assert_adds_up(record)
    assert record.response is not None
    assert record.response.status == answer.status
    if expected.raised_in is None:
        assert record.exception is None
    else:
        assert record.exception is not None
        assert record.exception.raised_in == expected.raised_in
        assert record.exception.rescued_by == expected.rescued_by


@given(interfaces, chains(), paths)
@SETTINGS
def test_the_answer_of_a_random_chain_is_that_of_django_alone(interface: str, specs: list[Spec], path: str) -> None:
    layers = [order(spec) for spec in specs]
    assert watched(interface, layers, path)[0].plain == bare(interface, layers, path).plain


@given(interfaces, chains(), paths, st.data())
@SETTINGS
def test_a_layer_switched_off_answers_as_if_it_were_not_listed(
    interface: str, specs: list[Spec], path: str, data: st.DataObject
) -> None:
    layers = [order(spec) for spec in specs]
    off = frozenset(spec.name for spec in specs if data.draw(st.booleans()))
    stay = [spec for spec in specs if spec.name not in off]
    journey.begin()
    answer, record = watched(interface, layers, path, off=[spec.path for spec in specs if spec.name in off])

    assert answer.plain == bare(interface, [spec.path for spec in stay], path).plain
    expected = Model(specs, path, off).run()
    assert outcomes(record) == expected.outcomes
    assert way(record) == expected.way
    assert_adds_up(record)
    assert record.toggles == [spec.path for spec in specs if spec.name in off]


@given(interfaces, chains(), st.sampled_from((0, LEARNING)))
@SETTINGS
def test_the_changes_of_a_random_chain_are_told_of_the_layer_that_made_them(
    interface: str, specs: list[Spec], learning: int
) -> None:
    journey.begin()
    with mock.patch("pipeline_inspector.recording.chain.LEARNING", learning):
        answer, record = watched(interface, [order(spec) for spec in specs], "/")
    names = {name for name, _ in answer.headers}
    came = {step.name for step in journey.steps if step.kind == "layer_in"}
    left = {step.name for step in journey.steps if step.kind == "left"}
    for layer in record.layers:
        told = {(change.on, change.what, change.name) for change in layer.changes}
        reached = layer.name in came
        assert (("request", "attribute", f"seen_by_{layer.name}") in told) == reached
        if f"X-{layer.name}" in names:
            assert layer.name in left
            assert ("response", "header", f"X-{layer.name}") in told
            assert ("response", "cookie", f"c-{layer.name}") in told
    told_of_others = {
        change.name
        for layer in record.layers
        for change in layer.changes
        if change.name.startswith(("X-Layer", "seen_by"))
    }
    assert all(name.rpartition("_")[2].removeprefix("X-") in came for name in told_of_others)


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_chain_of_no_layers_is_recorded(interface: str) -> None:
    journey.begin()
    answer, record = watched(interface, [])
    assert answer.body == b"hello"
    assert way(record) == [("resolve", "URL resolver"), ("view", "plain")]
    assert_adds_up(record)
