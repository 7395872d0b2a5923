"""Advice on hops, followed: chains as Django loads and runs them make as many hops fewer as was told."""

import re
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_inspector.control.advice import advise
from pipeline_inspector.control.hops import hops
from pipeline_inspector.reader import Filter, Reader
from pipeline_inspector.recording import recorder
from pipeline_inspector.records import Plan
from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from tests.scenarios.driving import ask, site
from tests.scenarios.made import MODES, Spec, order

SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_TOLD = re.compile(r"(\w+) only runs \w+\. Listed (?:right after (\w+)|first), it would save (\d+) hops?")


@st.composite
def orders(draw: st.DrawFn) -> list[str]:
    """Dotted paths of two to six layers of all modes, made to order."""
    modes = draw(st.lists(st.sampled_from(MODES), min_size=2, max_size=6))
    return [
        order(Spec(f"Hop{number}", draw(st.sampled_from(("class", "mixin"))) if mode == "both" else "class", mode))
        for number, mode in enumerate(modes)
    ]


def _loaded(paths: Sequence[str]) -> tuple[Plan, int]:
    """The chain as Django loaded it, and how many hops a request through it really made, those inside layers included."""
    store = MemoryStore(lambda: 10)
    with configured.use(store), site(paths):
        ask("asgi", "/async/")
        assert recorder.flush()
    reader = Reader(store)
    plan = reader.newest_plan()
    record = reader.record(reader.newest(1, Filter())[0].id)
    assert plan is not None
    assert record is not None
    between = sum(span.kind == "hop" and span.name == "to thread or loop" for span in record.spans)
    return plan, between + sum(layer.inner_hops for layer in plan.layers)


def _moved(paths: list[str], name: str, behind: str | None) -> list[str]:
    moved = next(path for path in paths if path.endswith("." + name))
    rest = [path for path in paths if path != moved]
    place = 0 if behind is None else 1 + next(at for at, path in enumerate(rest) if path.endswith("." + behind))
    return [*rest[:place], moved, *rest[place:]]


@given(orders())
@SETTINGS
def test_a_layer_moved_as_advised_saves_the_hops_that_were_told(paths: list[str]) -> None:
    plan, made = _loaded(paths)
    assert hops(plan.layers, "asgi") == made
    for finding in advise(plan):
        told = _TOLD.match(finding.message)
        if finding.code == "hop" and told:
            name, behind, saved = told.groups()
            assert _loaded(_moved(paths, name, behind))[1] == made - int(saved)
