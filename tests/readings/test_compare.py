"""Two requests side by side: the differences are found, the likes are not called different."""

from pipeline_inspector.readings.compare import compare, headers, merged, shape
from pipeline_inspector.records import Layer, RequestRecord
from tests.samples import record


def test_a_request_does_not_differ_from_itself() -> None:
    sample = record("passed")
    found = compare(sample, sample)
    assert not [one for one in found.facts if one.differs]
    assert not [pair for pair in found.layers if pair.differs]
    assert not [one for one in [*found.request_headers, *found.response_headers] if one.differs]
    assert not [query for query in found.queries if query.differs]


def test_layers_are_aligned_by_id_in_the_order_of_both() -> None:
    assert merged("abd", "acd") == ["a", "c", "b", "d"]
    assert merged("", "ab") == ["a", "b"]
    assert merged("ab", "ba") == ["a", "b"]


def test_a_layer_of_one_chain_only_stands_alone() -> None:
    found = compare(record("passed", 3), record("passed", 4))
    alone = [pair for pair in found.layers if pair.a is None or pair.b is None]
    assert len(found.layers) == 4
    assert len(alone) == 1
    assert alone[0].a is None
    assert alone[0].differs


def test_outcomes_that_differ_are_told() -> None:
    pairs = {pair.name: pair for pair in compare(record("passed"), record("answered")).layers}
    assert pairs["TenantMiddleware"].outcome_differs
    assert not pairs["SessionMiddleware"].outcome_differs


def test_changes_that_only_one_request_saw_are_told() -> None:
    pair = next(p for p in compare(record("passed"), record("answered")).layers if p.name == "TenantMiddleware")
    assert [change.name for change in pair.only_b] == ["Location"]
    assert "tenant" in [change.name for change in pair.only_a]


def _timed(in_ns: int) -> RequestRecord:
    return RequestRecord("r", 1, "finished", "", 0, layers=[Layer(0, "a.A", "a.A", outcome="passed", in_ns=in_ns)])


def test_only_a_remarkable_difference_of_time_marks_a_layer() -> None:
    assert not compare(_timed(20_000), _timed(60_000)).layers[0].in_differs
    assert not compare(_timed(10_000_000), _timed(11_000_000)).layers[0].in_differs
    slower = compare(_timed(1_000_000), _timed(3_000_000)).layers[0]
    assert slower.in_differs
    assert slower.in_diff_ns == 2_000_000
    assert not slower.out_differs


def test_a_layer_that_one_request_did_not_reach_is_not_called_faster() -> None:
    fast = _timed(0)
    fast.layers[0].outcome = "not_reached"
    pair = compare(_timed(3_000_000), fast).layers[0]
    assert pair.outcome_differs
    assert not pair.in_differs
    assert not pair.out_differs


def test_headers_are_matched_without_regard_to_case_and_kept_when_repeated() -> None:
    found = headers([("Vary", "a"), ("set-cookie", "x"), ("Set-Cookie", "y")], [("vary", "b")])
    assert [(one.a, one.b, one.differs) for one in found] == [("a", "b", True), ("x\ny", None, True)]


def test_a_statement_run_more_often_is_told_with_its_times() -> None:
    found = compare(record("passed", 2), record("n_plus_one", 2))
    more = [query for query in found.queries if query.differs]
    assert [(query.count_a, query.count_b) for query in more] == [(5, 20)]
    assert more[0].ns_b > more[0].ns_a > 0


def test_statements_that_differ_in_numbers_and_texts_alone_are_one() -> None:
    assert shape("SELECT a1 FROM t WHERE id = 12 AND n = 'it''s 3'") == "SELECT a1 FROM t WHERE id = ? AND n = ?"
    assert shape("IN (1, 2,3)") == shape("IN (7, 8)") == shape("IN (%s, %s)") == "IN (?)"
    assert shape('SELECT "t2"."x3" LIMIT 21') == 'SELECT "t2"."x3" LIMIT ?'


def test_facts_name_status_route_and_view() -> None:
    facts = {one.name: (one.a, one.b) for one in compare(record("passed"), record("answered")).facts}
    assert facts["Status"] == ("200", "302")
    assert facts["Route"] == ("article-list", None)
    assert facts["Interface"] == ("wsgi", "wsgi")
