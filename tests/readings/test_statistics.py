"""Many requests together: what each layer cost and did."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector.readings.statistics import spread, statistics
from pipeline_inspector.records import Change, Layer, RequestRecord
from tests.samples import record

_ADDED = Change("response", "header", "X-A", "added", None, "1")


def _request(outcome: str = "passed", in_ns: int = 10, *, changes: int = 0, duration: int = 100) -> RequestRecord:
    layer = Layer(0, "a.A", "a.A", outcome=outcome, in_ns=in_ns, changes=[_ADDED] * changes)  # type: ignore[arg-type]
    return RequestRecord("r", 1, "finished", "", duration, layers=[layer])


def test_percentiles_are_values_that_were_seen() -> None:
    assert spread(range(1, 101)).p50 == 50
    assert spread(range(1, 101)).p95 == 95
    assert spread(range(1, 101)).p99 == 99
    assert spread([7]).p99 == 7
    assert spread([]).p50 == 0


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_percentiles_rise_and_lie_among_the_values(values: list[int]) -> None:
    found = spread(values)
    assert {found.p50, found.p95, found.p99} <= set(values)
    assert min(values) <= found.p50 <= found.p95 <= found.p99 <= max(values)


@given(st.lists(st.integers(0, 50), min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_the_least_value_that_so_many_of_a_hundred_do_not_exceed(values: list[int], rank: int) -> None:
    def reached(value: int) -> bool:
        return 100 * sum(other <= value for other in values) >= rank * len(values)

    assert getattr(spread(values), f"p{rank}") == min(value for value in values if reached(value))


def test_the_numbers_of_a_layer_are_those_of_its_own_times_in_the_requests_it_ran_in() -> None:
    requests = [_request(in_ns=number, duration=1000) for number in range(1, 201)]
    requests += [_request("off", in_ns=10**9), _request("not_reached", in_ns=10**9)]
    found = statistics(requests)
    layer = found.layers[0]
    assert (layer.in_ns.p50, layer.in_ns.p95, layer.in_ns.p99) == (100, 190, 198)
    assert (layer.out_ns.p50, layer.out_ns.p99) == (0, 0)
    assert layer.share == sum(range(1, 201)) / (200 * 1000 + 200)


def test_a_layer_is_counted_only_where_it_ran() -> None:
    found = statistics([_request(), _request("off"), _request("not_reached")]).layers[0]
    assert (found.count, found.off, found.not_reached) == (1, 1, 1)


def test_outcomes_and_changes_are_counted_in_requests() -> None:
    requests = [_request("answered"), _request("raised"), _request("rescued"), _request(changes=3), _request(changes=1)]
    found = statistics(requests).layers[0]
    assert (found.answered, found.raised, found.rescued, found.changed) == (1, 1, 1, 2)


def test_the_share_is_of_the_time_of_all_requests() -> None:
    found = statistics([_request(in_ns=50), _request(in_ns=0, duration=300)]).layers[0]
    assert found.share == 50 / 400


def test_a_layer_that_did_nothing_visible_is_idle() -> None:
    assert statistics([_request()] * 3).layers[0].idle
    assert not statistics([_request(), _request(changes=1)]).layers[0].idle
    assert not statistics([_request("off")]).layers[0].idle


def test_unfinished_requests_do_not_count() -> None:
    assert statistics([record("running")]).count == 0


def test_layers_come_outermost_first_and_are_found_by_id() -> None:
    found = statistics(record(kind, 13) for kind in ("passed", "answered", "off"))
    assert [layer.index for layer in found.layers] == list(range(13))
    session = found.of("django.contrib.sessions.middleware.SessionMiddleware")
    assert session is not None
    assert session.count == 3
    assert found.of("no.Such") is None
