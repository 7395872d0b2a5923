"""The way of a request through the rings as stretches of line: in, turned around, out, broken where an exception ran.

A stretch is straight along the axis or half a circle along a ring; each begins where the one before it ends. On the way in
the distance from the centre falls all the time, on the way out it rises.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pipeline_inspector.records import RequestRecord

Kind = Literal["in", "out", "error"]
Radii = tuple[float, float]

TAIL = 14.0
"""So far from the edge of the box the line begins and ends."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the way from ``start`` to ``end``. ``radius``: half a circle below the centre, None: straight.
    ``through_off``: it passes a layer that is switched off. ``last``: the way ends here; ``open``: it still goes on."""

    kind: Kind
    start: tuple[float, float]
    end: tuple[float, float]
    radius: float | None = None
    through_off: bool = False
    last: bool = False
    open: bool = False

    @property
    def path(self) -> str:
        """The stretch as an SVG path."""
        (x1, y1), (x2, y2) = self.start, self.end
        if self.radius is None:
            return f"M{x1:.2f},{y1:.2f} H{x2:.2f}"
        return f"M{x1:.2f},{y1:.2f} A{self.radius:.2f},{self.radius:.2f} 0 0 0 {x2:.2f},{y2:.2f}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the way at which an exception was raised, or became a response: a circle around ``(x, y)``."""

    kind: Literal["raised", "rescued"]
    x: float
    y: float
    radius: float

    @property
    def cross(self) -> str:
        """Two strokes within the circle, as an SVG path."""
        arm = self.radius * 0.42
        return (
            f"M{self.x - arm:.2f},{self.y - arm:.2f} l{2 * arm:.2f},{2 * arm:.2f} "
            f"m{-2 * arm:.2f},0 l{2 * arm:.2f},{-2 * arm:.2f}"
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """Where the way in ends: in the core (``layer`` None) or in the middle of a layer's ring."""

    layer: int | None
    radius: float


def figure(ns: int) -> str:
    """Milliseconds as they stand at a crossing: ``.06``, ``3.8``, ``94``; ``0`` below five microseconds."""
    ms = ns / 1_000_000
    if ms < 0.005:
        return "0"
    if ms < 0.995:
        return f"{ms:.2f}"[1:]
    return f"{ms:.1f}" if ms < 9.95 else f"{ms:.0f}"


def half_path(inner: float, outer: float, side: Literal["in", "out"], centre: tuple[float, float]) -> str:
    """The closed outline of the left (in) or right (out) half of a ring around ``centre``, as an SVG path."""
    (cx, cy), sweep = centre, 0 if side == "in" else 1
    return (
        f"M{cx},{cy - outer:.2f} A{outer:.2f},{outer:.2f} 0 0 {sweep} {cx},{cy + outer:.2f} "
        f"L{cx},{cy + inner:.2f} A{inner:.2f},{inner:.2f} 0 0 {1 - sweep} {cx},{cy - inner:.2f} Z"
    )


def way_of(
    record: RequestRecord,
    rings: list[Radii],
    core_radius: float,
    centre: tuple[float, float],
    width: float,
) -> list[Stretch]:
    """The stretches of ``record``'s way, first to last, through ``rings`` of (inner, outer) radii, outermost first."""
    draw = _Pen(record, rings, centre)
    middles = [(inner + outer) / 2 for inner, outer in rings]
    edge = width / 2 - TAIL
    turn = _turn(record, middles, core_radius)
    stretches = draw.line("in", -edge, -turn.radius, turn.layer)
    if record.state != "finished":
        return [*stretches[:-1], _ended(stretches[-1], still_open=record.state == "running")]
    error = _error(record, turn, rings, core_radius, edge)
    at = turn.radius
    if turn.layer is not None:
        kind: Kind = "error" if error and error[0] <= at else "out"
        stretches.append(draw.turn(kind, at))
    if error is not None:
        start, stop = error
        if start > at:
            stretches += draw.line("out", at, start)
        stretches += draw.line("error", max(start, at), stop)
        at = stop
    if at < edge:
        stretches += draw.line("out", at, edge)
    return [*stretches[:-1], _ended(stretches[-1], still_open=False)]


def marks_of(way: list[Stretch]) -> list[Mark]:
    """Where on the ``way`` an exception was raised, and where it became a response; none where no exception ran."""
    errors = [stretch for stretch in way if stretch.kind == "error"]
    if not errors:
        return []
    (x1, y1), (x2, y2) = errors[0].start, errors[-1].end
    room = abs(x2 - x1)
    raised = Mark("raised", x1, y1, min(7.0, max(3.5, room * 0.4)))
    if errors[-1].last:
        return [raised]
    return [raised, Mark("rescued", x2, y2, min(5.0, max(2.5, room * 0.3)))]


def _ended(stretch: Stretch, *, still_open: bool) -> Stretch:
    return Stretch(
        stretch.kind,
        stretch.start,
        stretch.end,
        stretch.radius,
        stretch.through_off,
        last=not still_open,
        open=still_open,
    )


class _Pen:
    """Draws lines along the axis, cut where they pass layers that are off."""

    def __init__(self, record: RequestRecord, rings: list[Radii], centre: tuple[float, float]) -> None:
        self._off = [
            radii
            for layer, radii in zip(record.layers, rings, strict=True)
            if layer.outcome == "off" or not layer.enabled
        ]
        self._cx, self._cy = centre

    def line(self, kind: Kind, start: float, end: float, turned_in: int | None = None) -> list[Stretch]:
        """From ``start`` to ``end``, both measured from the centre along the axis (left is negative)."""
        cuts = sorted({edge * (1 if start >= 0 else -1) for radii in self._off for edge in radii})
        points = [start, *[cut for cut in cuts if min(start, end) < cut < max(start, end)], end]
        return [
            Stretch(kind, (self._cx + a, self._cy), (self._cx + b, self._cy), through_off=self._is_off((a + b) / 2))
            for a, b in pairwise(points)
        ]

    def turn(self, kind: Kind, radius: float) -> Stretch:
        """Half a circle from the left to the right."""
        return Stretch(kind, (self._cx - radius, self._cy), (self._cx + radius, self._cy), radius)

    def _is_off(self, distance: float) -> bool:
        return any(inner < abs(distance) < outer for inner, outer in self._off)


def _turn(record: RequestRecord, middles: list[float], core_radius: float) -> _Turn:
    here = [layer.index for layer in record.layers if layer.outcome not in ("not_reached", "off")]
    core = core_radius * CORE_EDGE
    if record.layers and reached_core(record):
        return _Turn(None, core)
    if not record.layers:
        return _Turn(None, core)
    deepest = max(here, default=0)
    return _Turn(deepest, middles[deepest])


CORE_EDGE = 0.66
"""The part of the core's radius at which the line touches the view's circle."""


def reached_core(record: RequestRecord) -> bool:
    """Did the request come through all its layers?"""
    if any(layer.outcome in ("answered", "not_reached") for layer in record.layers):
        return False
    if any(span.kind in ("resolve", "view", "hook", "render") for span in record.spans) or record.view or record.route:
        return True
    if record.state != "finished":
        return False
    innermost = next((layer for layer in reversed(record.layers) if layer.outcome != "off"), None)
    return innermost is None or innermost.outcome != "raised" or innermost.out_ns > 0


def _error(
    record: RequestRecord, turn: _Turn, rings: list[Radii], core_radius: float, edge: float
) -> tuple[float, float] | None:
    """From which to which distance on the way out an exception ran, None when it stayed out of sight."""
    if record.exception is None:
        return None
    raised_in = record.exception.raised_in
    by_id = {layer.id: layer.index for layer in record.layers}
    raiser = by_id.get(raised_in)
    start = turn.radius
    if raiser is not None:
        inner, outer = rings[raiser]
        start = max(start, inner + (outer - inner) / 4)
    return start, max(start, _rescue(record, raiser, by_id, rings, core_radius, edge))


def _rescue(
    record: RequestRecord,
    raiser: int | None,
    by_id: dict[str, int],
    rings: list[Radii],
    core_radius: float,
    edge: float,
) -> float:
    """The distance at which the exception became a response: a boundary, or ``edge`` when nobody made one of it."""
    rescued_by = record.exception.rescued_by if record.exception else None
    if rescued_by is None:
        return edge
    if rescued_by in by_id:
        return rings[by_id[rescued_by]][0]
    if rescued_by == "django":
        through = [layer.index for layer in record.layers if layer.outcome == "raised"]
        outermost = min(through, default=raiser)
        return core_radius if outermost is None else rings[outermost][1]
    return core_radius * 0.86
