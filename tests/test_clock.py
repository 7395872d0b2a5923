"""Moments as text: the same whatever was told before."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector import clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _text(wall_ns: int) -> str:
    return f"{EPOCH + timedelta(microseconds=wall_ns // 1000):%Y-%m-%dT%H:%M:%S.%fZ}"


@given(st.lists(st.integers(0, 4 * 10**18) | st.integers(10**18, 10**18 + 3 * 10**9), min_size=1, max_size=9))
def test_each_moment_is_told_to_the_microsecond(moments: list[int]) -> None:
    assert [clock.iso(moment) for moment in moments] == [_text(moment) for moment in moments]


@given(st.integers(0, 4 * 10**15))
def test_what_was_told_is_understood(microseconds: int) -> None:
    assert clock.from_iso(clock.iso(microseconds * 1000)) == microseconds * 1000
