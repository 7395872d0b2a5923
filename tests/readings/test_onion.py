"""The onion's numbers: rings nest, arcs fill, nothing overlaps, the way falls and rises, for any chain and any times."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector.readings.core import LETTER, SMALLEST, Words, fitted
from pipeline_inspector.readings.crossings import LARGE, USUAL, Crossing
from pipeline_inspector.readings.onion import (
    CORE,
    CX,
    CY,
    HEIGHT,
    OUTER,
    WIDTH,
    heat,
    onion,
    running,
)
from pipeline_inspector.readings.way import figure
from pipeline_inspector.records import ExceptionInfo, Layer, RequestRecord, Response, Span
from tests import samples

_TIMES = st.integers(min_value=0, max_value=20_000_000_000)


@st.composite
def records(draw: st.DrawFn) -> RequestRecord:
    """Any request through 1 to 40 layers: it passes, is answered, raises or still runs; some layers are off."""
    count = draw(st.integers(1, 40))
    story = draw(st.sampled_from(["passed", "answered", "raised", "running"]))
    turn = draw(st.integers(0, count - 1))
    layers = []
    for index in range(count):
        off = draw(st.booleans()) and index != turn and draw(st.booleans())
        reached = story == "passed" or index <= turn
        own = story if story in ("answered", "raised") else "passed"
        outcome = "off" if off else "not_reached" if not reached else own if index == turn else "passed"
        path = f"site.layers.L{index}Middleware"
        layers.append(
            Layer(
                index=index,
                id=path,
                path=path,
                name=f"L{index}Middleware",
                outcome=outcome,  # type: ignore[arg-type]
                enabled=not off,
                in_ns=draw(_TIMES) if reached and not off else 0,
                out_ns=draw(_TIMES) if outcome == "passed" and story != "running" else 0,
                hops=draw(st.sampled_from([0, 0, 2])),
            )
        )
    return RequestRecord(
        id="any",
        seq=1,
        state="running" if story == "running" else "finished",
        started_at="",
        duration_ns=1,
        response=None if story == "running" else Response(200),
        layers=layers,
        spans=[Span(1, None, "view", "view", None, 0, 1)] if story == "passed" else [],
        exception=ExceptionInfo("E", "", raised_in=layers[turn].id, rescued_by="django") if story == "raised" else None,
    )


def boxes(numbers: list[Crossing]) -> list[tuple[float, float, float, float]]:
    return [(at.left, at.top, at.left + at.width, at.top + at.height) for at in numbers if not at.spare]


@given(records())
def test_rings_nest_and_together_fill_the_room_around_the_core(record: RequestRecord) -> None:
    picture = onion(record)
    assert picture.rings[0].outer == OUTER
    for outer, inner in pairwise(picture.rings):
        assert outer.outer > outer.inner > inner.outer - 0.01
        assert outer.inner - inner.outer <= 2.01, "a gap wider than the line between two rings"
    assert 0 <= picture.rings[-1].inner - picture.core.radius <= 2.01
    assert picture.core.radius >= CORE


@given(records())
def test_both_halves_of_a_ring_run_from_top_to_bottom_at_its_two_radii(record: RequestRecord) -> None:
    for ring in onion(record).rings:
        for half, sweep in ((ring.way_in, "0"), (ring.way_out, "1")):
            numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", half.path)]
            assert numbers[:2] == pytest.approx([CX, CY - ring.outer], abs=0.01)
            assert numbers[2:4] == pytest.approx([ring.outer, ring.outer], abs=0.01)
            assert numbers[7:9] == pytest.approx([CX, CY + ring.outer], abs=0.01)
            assert numbers[9:11] == pytest.approx([CX, CY + ring.inner], abs=0.01)
            assert f" 0 0 {sweep} " in half.path


@given(records())
def test_numbers_at_the_crossings_never_overlap_and_stay_in_the_box(record: RequestRecord) -> None:
    picture = onion(record)
    for numbers in (picture.crossings, picture.large_crossings):
        found = boxes(numbers)
        for index, (left, top, right, bottom) in enumerate(found):
            assert left >= 0
            assert right <= WIDTH
            assert top >= 0
            assert bottom <= HEIGHT
            for other_left, other_top, other_right, other_bottom in found[index + 1 :]:
                assert left >= other_right or right <= other_left or top >= other_bottom or bottom <= other_top


@given(records())
def test_each_number_stands_on_its_ring_and_on_its_side(record: RequestRecord) -> None:
    picture = onion(record)
    for at in picture.crossings + picture.large_crossings:
        ring = picture.rings[at.layer]
        assert math.dist((at.x, at.y), (CX, CY)) == pytest.approx(ring.middle)
        assert (at.x < CX) == (at.side == "in")


@given(records())
def test_an_exception_is_marked_where_the_red_line_begins_and_where_it_ends_in_a_response(
    record: RequestRecord,
) -> None:
    picture = onion(record)
    red = [stretch for stretch in picture.way if stretch.kind == "error"]
    expected = [("raised", *red[0].start)] if red else []
    if red and picture.way[-1].kind != "error":
        expected.append(("rescued", *red[-1].end))
    assert [(mark.kind, mark.x, mark.y) for mark in picture.marks] == expected
    for left, top, right, bottom in boxes(picture.crossings + picture.large_crossings):
        for mark in picture.marks:
            assert not (left < mark.x < right and top < mark.y < bottom), "a number covers it"


@pytest.mark.parametrize("layers", [1, 3, 8, 12, 16])
def test_in_a_usual_chain_there_is_room_for_every_number(layers: int) -> None:
    numbers = onion(samples.record("passed", layers)).crossings
    assert len(numbers) == 2 * layers
    assert not any(at.spare for at in numbers)


@given(records())
def test_every_crossing_has_its_number_be_it_a_spare_one(record: RequestRecord) -> None:
    picture = onion(record)
    expected = {(ring.layer.index, half.side) for ring in picture.rings for half in (ring.way_in, ring.way_out)
                if half.reached and (record.state == "finished" or half.ns)}  # fmt: skip
    for numbers in (picture.crossings, picture.large_crossings):
        assert {(at.layer, at.side) for at in numbers} == expected
        assert len(numbers) == len(expected)


def test_in_a_crowd_the_costly_numbers_stay_and_in_a_small_picture_only_they() -> None:
    record = samples.record("passed", 40)
    picture = onion(record)
    costly = {(layer.index, side) for layer in record.layers for side, ns in (("in", layer.in_ns), ("out", layer.out_ns))
              if ns >= 100_000}  # fmt: skip
    assert costly <= {(at.layer, at.side) for at in picture.crossings if not at.spare}
    assert costly == {(at.layer, at.side) for at in picture.large_crossings if not at.spare}
    assert {at.size for at in picture.large_crossings} == {LARGE}
    assert {at.size for at in picture.crossings} == {USUAL}


@pytest.mark.parametrize("layers", [3, 12, 40])
@pytest.mark.parametrize("kind", ["answered", "layer_raised"])
def test_where_the_way_turns_there_is_room_for_it(kind: str, layers: int) -> None:
    record = samples.record(kind, layers)
    for layer in record.layers:
        layer.in_ns = layer.out_ns = 1_000
    rings = onion(record).rings
    widths = {ring.layer.outcome: ring.outer - ring.inner for ring in rings}
    assert widths[kind.removeprefix("layer_")] > 2 * widths["passed"]


@given(records())
def test_marks_of_hops_lie_on_their_boundary_and_never_touch(record: RequestRecord) -> None:
    picture = onion(record)
    for index, hop in enumerate(picture.hops):
        radius = picture.rings[hop.layer].outer if hop.layer is not None else picture.core.radius
        assert math.dist((hop.x, hop.y), (CX, CY)) == pytest.approx(radius)
        for other in picture.hops[index + 1 :]:
            assert math.dist((hop.x, hop.y), (other.x, other.y)) > hop.radius + other.radius


@given(records())
def test_the_way_is_unbroken_and_comes_nearer_until_it_turns_and_then_goes_away(record: RequestRecord) -> None:
    way = onion(record).way
    for before, after in pairwise(way):
        if before.kind == "in" and after.kind != "in" and after.radius is None:
            assert (before.end[0] - CX) == pytest.approx(CX - after.start[0]), "the core lies between"
        else:
            assert before.end == pytest.approx(after.start)
    for stretch in way:
        start, end = abs(stretch.start[0] - CX), abs(stretch.end[0] - CX)
        if stretch.radius is not None:
            assert start == pytest.approx(end)
        elif stretch.kind == "in":
            assert stretch.start[0] < stretch.end[0] <= CX
        else:
            assert CX <= stretch.start[0] < stretch.end[0]
    assert sum(stretch.radius is not None for stretch in way) <= 1


@given(records())
def test_the_line_is_dashed_exactly_where_it_passes_a_layer_that_is_off(record: RequestRecord) -> None:
    picture = onion(record)
    off = [ring for ring in picture.rings if ring.layer.outcome == "off"]
    for stretch in picture.way:
        if stretch.radius is None:
            middle = abs((stretch.start[0] + stretch.end[0]) / 2 - CX)
            assert stretch.through_off == any(ring.inner < middle < ring.outer for ring in off)


def test_a_costly_layer_gets_more_room_than_a_quiet_one_and_the_sum_stays() -> None:
    quiet = samples.record("passed", 11)
    loud = samples.record("passed", 11)
    loud.layers[4].in_ns = 90_000_000
    widths = [[ring.outer - ring.inner for ring in onion(record).rings] for record in (quiet, loud)]
    assert widths[1][4] > widths[0][4]
    assert onion(quiet).core.radius == onion(loud).core.radius


def test_heat_is_one_log_scale_for_all_requests() -> None:
    assert [heat(ns) for ns in (0, 29_999, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10**10)] == [
        0, 0, 1, 2, 3, 4, 5, 5,
    ]  # fmt: skip


def test_numbers_at_crossings_are_short() -> None:
    assert [figure(ns) for ns in (0, 4_000, 60_000, 994_000, 999_000, 3_800_000, 94_000_000, 1_200_000_000)] == [
        "0", "0", ".06", ".99", "1.0", "3.8", "94", "1200",
    ]  # fmt: skip


def test_an_answering_layer_turns_the_line_around_along_its_own_ring() -> None:
    picture = onion(samples.record("answered", 11))
    ring = next(ring for ring in picture.rings if ring.layer.outcome == "answered")
    [turn] = [stretch for stretch in picture.way if stretch.radius is not None]
    assert (turn.kind, turn.radius) == ("out", ring.middle)
    assert picture.core.state == "not_reached"
    assert picture.core.note == "Tenant answered"


def test_an_exception_of_the_view_is_red_up_to_the_boundary_of_the_core() -> None:
    picture = onion(samples.record("raised", 11))
    [red] = [stretch for stretch in picture.way if stretch.kind == "error"]
    assert red.end[0] == pytest.approx(CX + picture.core.radius)
    assert picture.core.state == "raised"
    assert (picture.core.title, picture.core.figure) == ("ArticleEdit.post", "ValueError")


def test_an_exception_of_a_layer_is_red_along_its_ring_up_to_its_outer_boundary() -> None:
    picture = onion(samples.record("layer_raised", 11))
    ring = next(ring for ring in picture.rings if ring.layer.outcome == "raised")
    red = [stretch for stretch in picture.way if stretch.kind == "error"]
    assert red[0].radius == ring.middle
    assert red[-1].end[0] == pytest.approx(CX + ring.outer)
    assert picture.way[-1].kind == "out"


def test_an_exception_that_nobody_rescued_is_red_to_the_end() -> None:
    record = samples.record("layer_raised", 5)
    assert record.exception is not None
    record.exception.rescued_by = None
    way = onion(record).way
    assert way[-1].kind == "error"
    assert way[-1].end[0] > CX + OUTER


def test_a_running_request_is_drawn_as_far_as_it_has_come() -> None:
    record = samples.record("running", 11)
    row = samples.summary(record)
    picture = onion(running(row, samples.plan(11)))
    assert picture.way[-1].open
    assert all(stretch.kind == "in" for stretch in picture.way)
    reached = [ring.layer.name for ring in picture.rings if ring.way_in.reached]
    assert reached[-1] == "TenantMiddleware"
    assert not any(ring.way_out.reached for ring in picture.rings)


def test_a_running_request_of_an_unknown_chain_is_a_core_without_rings() -> None:
    picture = onion(running(samples.summary(samples.record("running", 3)), None))
    assert picture.rings == []
    assert len(picture.way) == 1


def test_names_are_drawn_only_where_they_fit() -> None:
    assert all(ring.name_path for ring in onion(samples.record("passed", 14)).rings)
    named = [ring.short for ring in onion(samples.record("passed", 40)).rings if ring.name_path]
    assert named == ["Session", "Tenant", "Audit"], "in a crowd only the costly ones have room"


def test_a_path_that_no_pattern_matches_says_so_in_the_core() -> None:
    record = samples.record("not_found", 8)
    record.exception = ExceptionInfo("Resolver404", "no pattern matches", raised_in="resolver", rescued_by="django")
    core = onion(record).core
    assert (core.state, core.title, core.figure, core.note) == ("reached", "no match", "404", "5 patterns tried")


def test_the_core_tells_resolver_hooks_and_render_with_their_times() -> None:
    bands = {(band.label, band.side) for band in onion(samples.record("passed", 11)).core.bands}
    assert ("resolver", "in") in bands
    assert ("render", "out") in bands
    assert any(label.startswith("process_view") and side == "in" for label, side in bands)
    assert any(label.startswith("template hook") and side == "out" for label, side in bands)


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("layers", [1, 2, 11, 40])
def test_every_sample_can_be_drawn(kind: str, layers: int) -> None:
    picture = onion(samples.record(kind, layers))
    assert len(picture.rings) == layers
    assert picture.way


@given(st.text(min_size=1, max_size=60), st.floats(9, 40), st.floats(20, 200))
def test_words_are_made_small_and_then_cut_until_they_fit(text: str, size: float, room: float) -> None:
    words = fitted(text, size, room)
    assert len(words.text) * LETTER * words.size <= room + 0.05 * LETTER * len(words.text)
    assert min(size, SMALLEST) <= words.size <= size
    assert words.text == text or words.text.endswith("…")


def test_short_words_stay_as_large_as_asked() -> None:
    assert fitted("feed", 20, 140) == Words("feed", 20)
