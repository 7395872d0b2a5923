"""The recorder's pace: what it takes of a busy process is bounded, and what nobody else wants it may have."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector.recording.pacing import BURST, FEWEST, QUEUE_LIMIT, SOON, WHOLE, Pace

SHARE = 0.05

turns = st.lists(st.tuples(st.floats(1e-5, 0.2), st.integers(1, 1000), st.floats(0, 0.5)), min_size=1, max_size=100)


@given(turns, st.floats(0, 1e6))
def test_of_a_busy_process_it_takes_its_share_and_what_was_saved_up(
    turns: list[tuple[float, int, float]], began: float
) -> None:
    pace, now, used, taken = Pace(began, 0.0), began, 0.0, 0.0
    for spent, requests, waited in turns:
        now, used = now + spent + waited, used + spent + waited
        taken += spent
        pace.worked(now, used, spent, requests, SHARE)
        assert 0 <= pace.rest <= SOON
        assert FEWEST <= pace.room <= QUEUE_LIMIT
        if taken > BURST + SHARE * (now - began) + 1e-6:
            assert pace.rest > 0
            assert pace.room <= max(FEWEST, SOON * SHARE * requests / spent)
            while rest := pace.rest:
                now, used = now + rest + 1e-9, used + rest + 1e-9
                pace.worked(now, used, 0.0, 0, SHARE)
        assert taken <= BURST + SHARE * (now - began) + 1e-3 or pace.rest > 0


@given(turns, st.floats(0, 1000))
def test_in_a_process_with_time_to_spare_nothing_is_held_back(
    turns: list[tuple[float, int, float]], ease: float
) -> None:
    pace, now, used = Pace(0.0, 0.0), 0.0, 0.0
    for spent, requests, _ in turns:
        now, used = now + spent * (2 + ease) / WHOLE, used + spent
        pace.worked(now, used, spent, requests, SHARE)
        assert pace.rest == 0
        assert pace.room == QUEUE_LIMIT


def test_after_lasting_load_a_long_queue_may_form_again() -> None:
    pace = Pace(0.0, 0.0)
    pace.worked(10.0, 10.0, 5.0, 1000, SHARE)
    assert pace.room == FEWEST
    pace.worked(20.0, 10.0, 0.0, 0, SHARE)
    assert pace.room == QUEUE_LIMIT
    assert pace.rest == 0
