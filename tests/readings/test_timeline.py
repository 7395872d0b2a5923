"""The waterfall: bars lie where their spans lie, rows nest, likes are one row, ticks are round."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector.readings.timeline import RUN, Row, ticks, timeline
from pipeline_inspector.records import Query, RequestRecord, Span
from tests.samples import KINDS, record


def _rows(kind: str, layers: int = 8) -> list[Row]:
    return timeline(record(kind, layers)).rows


def _named(rows: list[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 8, 40])
def test_every_bar_lies_inside_the_shown_time_and_inside_its_extent(kind: str, layers: int) -> None:
    for row in _rows(kind, layers):
        right = row.extent.left + row.extent.width
        assert 0 <= row.extent.left <= right <= 1.000001
        for segment in row.segments:
            assert row.extent.left <= segment.left + 1e-9
            assert segment.left + segment.width <= right + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_lies_within_the_row_it_is_nested_in(kind: str) -> None:
    around: list[Row] = []
    for row in _rows(kind, 13):
        del around[row.depth :]
        assert len(around) == row.depth
        if around:
            assert around[-1].start_ns <= row.start_ns
            assert row.start_ns + row.duration_ns <= around[-1].start_ns + around[-1].duration_ns
        around.append(row)


def test_the_first_row_is_the_whole_request() -> None:
    sample = record("passed")
    first = timeline(sample).rows[0]
    assert (first.kind, first.name, first.duration_ns) == ("request", "GET /articles/", sample.duration_ns)


def test_a_layer_is_one_row_with_a_bar_for_the_way_in_and_one_for_the_way_out() -> None:
    sample = record("passed")
    row = _named(timeline(sample).rows, "SessionMiddleware")
    layer = next(layer for layer in sample.layers if layer.name == "SessionMiddleware")
    assert len(row.segments) == 2
    assert row.busy_ns == layer.in_ns + layer.out_ns


def test_the_view_is_nested_in_the_innermost_layer() -> None:
    rows = _rows("passed")
    innermost = max((row for row in rows if row.kind == "layer"), key=lambda row: row.depth)
    assert _named(rows, "ArticleList.get").depth == innermost.depth + 1


def test_queries_and_templates_are_nested_by_time_where_their_parents_are_not_told() -> None:
    spans = [
        Span(1, None, "render", "render", None, 0, 100, "a"),
        Span(2, 1, "query", "SELECT", None, 20, 5, "a"),
        Span(3, None, "template", "list.html", None, 10, 80, "a"),
        Span(4, 1, "query", "OTHER", None, 20, 5, "b"),
    ]
    depths = {row.name: row.depth for row in timeline(RequestRecord("a", 1, "finished", "", 100, spans=spans)).rows}
    assert (depths["render"], depths["list.html"], depths["SELECT"], depths["OTHER"]) == (1, 2, 3, 2)


def test_like_siblings_become_one_row_that_counts_them() -> None:
    row = next(row for row in _rows("n_plus_one") if row.count > 1)
    assert (row.count, row.kind, row.duplicate, len(row.segments)) == (20, "query", True, 20)


def _tiny(*starts: int) -> RequestRecord:
    spans = [Span(1, None, "view", "home", None, 0, 1000)]
    spans += [Span(2 + number, 1, "query", "SELECT 1", None, start, 10) for number, start in enumerate(starts)]
    return RequestRecord("a", 1, "finished", "", 1000, spans=spans)


def test_fewer_than_a_run_of_likes_stay_rows_of_their_own() -> None:
    few = timeline(_tiny(*range(100, 100 + 20 * (RUN - 1), 20))).rows
    assert [row.count for row in few if row.kind == "query"] == [1] * (RUN - 1)
    many = timeline(_tiny(*range(100, 100 + 20 * RUN, 20))).rows
    assert [row.count for row in many if row.kind == "query"] == [RUN]


def test_like_siblings_with_like_things_inside_are_one_row_with_one_row_for_each_kind_inside() -> None:
    spans = [Span(1, None, "render", "render", None, 0, 1000)]
    for number in range(6):
        spans.append(Span(10 + number, 1, "template", "row.html", None, 100 + 50 * number, 40))
        spans.append(Span(20 + number, 10 + number, "template", "price.html", None, 105 + 50 * number, 10))
    rows = timeline(RequestRecord("a", 1, "finished", "", 1000, spans=spans)).rows
    told = [(row.name, row.depth, row.count, row.busy_ns, row.own_ns) for row in rows[1:]]
    assert told == [("render", 1, 1, 1000, 760), ("row.html", 2, 6, 240, 180), ("price.html", 3, 6, 60, 60)]


def test_a_layers_own_time_is_without_its_queries_but_with_nothing_taken_for_layers_further_in() -> None:
    spans = [
        Span(1, None, "layer_in", "a.A", 0, 0, 100),
        Span(2, 1, "query", "SELECT", None, 10, 30),
        Span(3, None, "layer_in", "a.B", 1, 100, 50),
        Span(4, None, "layer_out", "a.B", 1, 150, 50),
        Span(5, None, "layer_out", "a.A", 0, 200, 100),
    ]
    rows = timeline(RequestRecord("a", 1, "finished", "", 300, spans=spans)).rows
    assert [(row.name, row.busy_ns, row.own_ns) for row in rows[1:3]] == [("a.A", 200, 170), ("SELECT", 30, 30)]


def test_queries_of_one_group_are_alike_though_their_text_differs() -> None:
    sample = _tiny(100, 120, 140, 160)
    for number, span in enumerate(sample.spans[1:]):
        span.name = f"SELECT {number}"
        sample.queries.append(Query(span.id, span.name, duplicate_group=3))
    assert [row.count for row in timeline(sample).rows if row.kind == "query"] == [4]


def test_quiet_layers_of_a_long_chain_are_told_together() -> None:
    short, long = _rows("passed", 12), _rows("passed", 40)
    assert not [row for row in short if row.kind == "layer" and row.count > 1]
    together = [row for row in long if row.kind == "layer" and row.count > 1]
    assert together
    assert sum(row.count for row in long if row.kind == "layer") == 40
    assert " … " in together[0].name


def test_rows_beyond_the_limit_are_counted() -> None:
    whole = timeline(record("passed"))
    cut = timeline(record("passed"), limit=5)
    assert len(cut.rows) == 5
    assert cut.hidden == len(whole.rows) - 5


def test_a_span_before_the_request_moves_the_start_of_the_picture() -> None:
    sample = _tiny()
    sample.spans.append(Span(9, None, "send", "accept", None, -500, 100))
    shown = timeline(sample)
    assert (shown.start_ns, shown.length_ns) == (-500, 1500)


def test_a_record_without_spans_still_has_its_whole() -> None:
    shown = timeline(RequestRecord("a", 1, "running", "", 0))
    assert len(shown.rows) == 1
    assert shown.length_ns > 0


@given(st.integers(-(10**9), 10**6), st.integers(1, 10**12))
def test_ticks_are_round_evenly_spaced_and_inside(start: int, length: int) -> None:
    marks = ticks(start, length)
    assert len(marks) <= 8
    assert all(0 <= mark.left <= 1 for mark in marks)
    steps = {after.at_ns - before.at_ns for before, after in pairwise(marks)}
    assert len(steps) <= 1
    for step in steps:
        assert str(step).strip("0") in ("1", "2", "5")
