"""Moments on one line: the stretches between them fill it without gap or overlap."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector.readings.stretches import RUN, stretches, together
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


def _stream(chunks: int) -> list[Stage]:
    moments = [Stage("first byte", 10), *(Stage(f"chunk {number}", 10 * number) for number in range(2, chunks + 1))]
    return [Stage("get_response", 0), *moments, Stage("last byte", 10 * chunks + 5)]


def test_numbered_neighbours_are_told_as_one_with_totals() -> None:
    moments = _stream(9)
    moments[-2] = Stage("chunk 9", 150)
    told = together(stretches(moments))
    assert [one.name for one in told] == ["get_response", "first byte", "chunks 2 to 8", "last byte", "chunk 9"]
    moments[-1] = Stage("last byte", 160)
    told = together(stretches(moments))
    assert [one.name for one in told] == ["get_response", "first byte", "chunks 2 to 9", "last byte"]
    run = told[2]
    assert (run.at_ns, run.took_ns, run.usual_ns, run.longest_ns) == (150, 140, 10, 70)
    assert run.parts_ns == (10,) * 7 + (70,)
    assert [round(end * 160) for end in run.ends] == [20, 30, 40, 50, 60, 70, 80]
    assert (round(run.left * 160), round(run.width * 160)) == (10, 140)


@given(st.integers(0, 60), st.integers(0, 10**9))
def test_what_is_told_as_one_fills_the_same_line(chunks: int, pause: int) -> None:
    moments = [Stage("chunk 1", 0), *(Stage(f"chunk {number}", number * pause) for number in range(2, chunks + 2))]
    each = stretches(moments)
    told = together(each)
    assert len(told) == (len(each) if len(each) < RUN else 1)
    assert sum(one.took_ns for one in told) == sum(one.took_ns for one in each)
    assert told[-1].at_ns == each[-1].at_ns
    assert abs(sum(one.width for one in told) - sum(one.width for one in each)) < 1e-9


def test_stretches_of_other_kinds_are_told_one_by_one() -> None:
    moments = [Stage(name, at) for at, name in enumerate(("a 1", "b 2", "a 3", "close", "close", "close"))]
    assert [one.name for one in together(stretches(moments))] == ["a 1", "b 2", "a 3", "close", "close", "close"]
