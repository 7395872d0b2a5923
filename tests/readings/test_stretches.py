"""Moments on one line: the stretches between them fill it without gap or overlap."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector.readings.stretches import stretches
from pipeline_inspector.records import Stage


@given(st.lists(st.integers(-(10**12), 10**12), max_size=20))
def test_stretches_follow_one_another_and_fill_the_line(times: list[int]) -> None:
    found = stretches(Stage(str(at), at) for at in times)
    assert [stretch.at_ns for stretch in found] == sorted(times)
    at = 0.0
    for stretch in found:
        assert abs(stretch.left - at) < 1e-9
        at = stretch.left + stretch.width
    assert at <= 1.000001
    if len(set(times)) > 1:
        assert abs(at - 1) < 1e-9


def test_the_first_moment_takes_no_time() -> None:
    found = stretches([Stage("b", 30), Stage("a", 10)])
    assert [(stretch.name, stretch.took_ns) for stretch in found] == [("a", 0), ("b", 20)]
