"""Layers of every shape pass as in Django, and are told as what they are."""

import gc
from typing import Any

import pytest

from tests.scenarios import journey, layers
from tests.scenarios.comparing import HERE, HOOKS, OURS, both_ways, frames
from tests.scenarios.driving import INTERFACES, ask, bare, site, watched
from tests.scenarios.made import Spec, order
from tests.scenarios.reading import assert_adds_up, outcomes, way

both = pytest.mark.parametrize("interface", INTERFACES)


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


def test_a_stand_in_for_the_request_passes() -> None:
    chain = [order(Spec("T0")), HERE + "handing_on_a_proxy", order(Spec("T2", "mixin"))]
    assert watched("wsgi", chain)[0].plain == bare("wsgi", chain).plain
