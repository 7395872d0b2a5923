"""The onion of one request as numbers: rings, crossings, hops, the way and the core. The page only places them.

The picture lies in a box of ``WIDTH`` by ``HEIGHT`` units around ``(CX, CY)``. Rings nest from ``OUTER`` inward to the
core; the left half of a ring is the way in, the right half the way out. Quiet layers are thin, costly ones get room, and
the sum stays the same, whatever the number of layers. Heat, 0 to 5, is self time on one log scale for all requests.
"""

import math
from dataclasses import dataclass

from pipeline_inspector.readings.core import Core, core_of
from pipeline_inspector.readings.crossings import LARGE, Crossing, Side, Wanted, crossings
from pipeline_inspector.readings.way import Mark, Stretch, half_path, marks_of, way_of
from pipeline_inspector.records import Layer, Plan, Request, RequestRecord, Summary, View

WIDTH, HEIGHT = 892.0, 764.0
CX, CY = WIDTH / 2, HEIGHT / 2
OUTER = 372.0
CORE = 118.0
"""Radius of the core when there are layers enough to fill the room around it."""

HEAT_NS = (30_000, 100_000, 300_000, 1_000_000, 3_000_000)
"""Self times from which on heat is 1, 2, 3, 4, 5."""

_NAME_THICKNESS = 11.5
_NAME_SIZES = (11.0, 13.5)
_HOP_RADIUS = 8.5
_HOP_DISTANCE = 30.0
_TELLING = ("answered", "raised", "rescued")


@dataclass(frozen=True, slots=True)
class Half:
    """One half of a ring: the closed ``path`` of its outline, self time, heat, and whether the request was there."""

    side: Side
    path: str
    ns: int
    heat: int
    reached: bool


@dataclass(frozen=True, slots=True)
class Ring:
    """One layer between the radii ``inner`` and ``outer``. ``name_path`` is the arc its name follows, None: no room;
    ``name_size`` the size of its letters."""

    layer: Layer
    inner: float
    outer: float
    way_in: Half
    way_out: Half
    short: str
    name_path: str | None
    name_size: float

    @property
    def middle(self) -> float:
        """The radius halfway through the ring."""
        return (self.inner + self.outer) / 2


@dataclass(frozen=True, slots=True)
class Hop:
    """A switch between loop and thread, on the boundary of ``layer`` (None: of the core)."""

    layer: int | None
    x: float
    y: float
    radius: float

    @property
    def mark(self) -> str:
        """Two arrows, to and fro, within the circle."""
        return (
            f"M{self.x - 4.5:.2f},{self.y - 2:.2f} h9 m-2.6,-2.6 l2.6,2.6 l-2.6,2.6 "
            f"M{self.x + 4.5:.2f},{self.y + 2.4:.2f} h-9 m2.6,-2.6 l-2.6,2.6 l2.6,2.6"
        )


@dataclass(frozen=True, slots=True)
class Onion:
    """The whole picture. ``large_crossings`` are the numbers of a picture that is drawn small."""

    rings: list[Ring]
    crossings: list[Crossing]
    large_crossings: list[Crossing]
    hops: list[Hop]
    way: list[Stretch]
    marks: list[Mark]
    core: Core

    @property
    def named(self) -> bool:
        """Has every ring room for its name?"""
        return all(ring.name_path for ring in self.rings)


def heat(ns: int) -> int:
    """0 to 5 for a self time in nanoseconds."""
    return sum(ns >= limit for limit in HEAT_NS)


def onion(record: RequestRecord) -> Onion:
    """The picture of a finished or running request."""
    radii = _radii(record.layers)
    rings = [
        _ring(layer, inner, outer, back=_came_back(record, layer))
        for layer, (inner, outer) in zip(record.layers, radii, strict=True)
    ]
    core_radius = core_size(len(rings))
    way = way_of(record, [(ring.inner, ring.outer) for ring in rings], core_radius, (CX, CY), WIDTH)
    marks = marks_of(way)
    wanted = _wanted(rings, record)
    return Onion(
        rings=rings,
        crossings=crossings(wanted, marks, (CX, CY)),
        large_crossings=crossings(wanted, marks, (CX, CY), LARGE),
        hops=_hops(rings, core_radius, record),
        way=way,
        marks=marks,
        core=core_of(record, core_radius, (CX, CY)),
    )


def running(summary: Summary, plan: Plan | None) -> RequestRecord:
    """What can be drawn of a request in hand: the layers of its ``plan`` as far as it has come."""
    layers = [
        Layer(
            index=layer.index,
            id=layer.id,
            path=layer.path,
            name=layer.name,
            mode=layer.mode,
            runs=layer.runs,
            hooks=layer.hooks,
            file=layer.file,
            line=layer.line,
            kind=layer.kind,
            enabled=layer.id not in summary.toggles,
            outcome="off"
            if layer.id in summary.toggles
            else "passed"
            if layer.index <= summary.deepest
            else "not_reached",
        )
        for layer in (plan.layers if plan else [])
    ]
    return RequestRecord(
        id=summary.id,
        seq=summary.seq,
        state=summary.state,
        started_at=summary.started_at,
        duration_ns=summary.duration_ns,
        request=Request(method=summary.method, path=summary.path, query=summary.query),
        view=View(name=summary.view) if summary.view else None,
        layers=layers,
        toggles=[*summary.toggles],
    )


def core_size(rings: int) -> float:
    """Radius of the core inside so many rings: larger while few rings would leave the room empty."""
    return max(CORE, OUTER - 84.0 - rings * 44.0) if rings else OUTER - 84.0


def _radii(layers: list[Layer]) -> list[tuple[float, float]]:
    """Inner and outer radius of each ring, outermost first: a fair minimum for all, the rest by cost. A layer that
    answered, raised or rescued has room for what is drawn there."""
    count = len(layers)
    if not count:
        return []
    room = OUTER - core_size(count)
    least = min(14.5, (0.72 if count <= 16 else 0.5) * room / count)
    weights = [0.04 + max(_cost(layer), 0.5 if layer.outcome in _TELLING else 0.0) for layer in layers]
    spare = (room - least * count) / sum(weights)
    found = []
    outer = OUTER
    for weight in weights:
        thickness = least + spare * weight
        found.append((outer - thickness + min(2.0, thickness * 0.1), outer))
        outer -= thickness
    return found


def _cost(layer: Layer) -> float:
    """0 (up to 30 µs) to 1 (10 ms and more) on the log scale."""
    ns = max(layer.in_ns, layer.out_ns)
    return min(1.0, max(0.0, math.log10(max(ns, 1) / HEAT_NS[0]) / 2.5))


def _ring(layer: Layer, inner: float, outer: float, *, back: bool) -> Ring:
    there = layer.outcome not in ("not_reached", "off")
    name = layer.name or layer.path.rpartition(".")[2]
    short = name.removesuffix("Middleware") or name
    size = round(min(_NAME_SIZES[1], max(_NAME_SIZES[0], (outer - inner) * 0.4)), 1)
    base = (inner + outer) / 2 - size * 0.345
    return Ring(
        layer=layer,
        inner=inner,
        outer=outer,
        way_in=Half("in", half_path(inner, outer, "in", (CX, CY)), layer.in_ns, heat(layer.in_ns), there),
        way_out=Half("out", half_path(inner, outer, "out", (CX, CY)), layer.out_ns, heat(layer.out_ns), there and back),
        short=short,
        name_path=f"M{CX - base:.2f},{CY} A{base:.2f},{base:.2f} 0 0 1 {CX + base:.2f},{CY}"
        if outer - inner >= _NAME_THICKNESS
        else None,
        name_size=size,
    )


def _came_back(record: RequestRecord, layer: Layer) -> bool:
    """Did a response pass through this layer on its way out?"""
    if record.state != "finished" or layer.outcome == "answered":
        return False
    return layer.outcome != "raised" or layer.out_ns > 0


def _wanted(rings: list[Ring], record: RequestRecord) -> list[Wanted]:
    """The numbers to be placed: a way in for each ring that was reached, a way out for each that was passed again."""
    found: list[Wanted] = []
    for ring in rings:
        sides: list[Half] = []
        if ring.way_in.reached and (record.state == "finished" or ring.layer.in_ns):
            sides.append(ring.way_in)
        if ring.way_out.reached:
            sides.append(ring.way_out)
        thickness = ring.outer - ring.inner
        found += [Wanted(ring.layer.index, half.side, half.ns, half.heat, ring.middle, thickness) for half in sides]
    return found


def _hops(rings: list[Ring], core_radius: float, record: RequestRecord) -> list[Hop]:
    """One mark on each boundary with a switch, turned along it until it touches no other mark."""
    found: list[Hop] = []
    in_core = any(span.kind == "hop" and span.layer is None for span in record.spans)
    boundaries: list[tuple[int | None, float]] = [
        (ring.layer.index, ring.outer)
        for ring in rings
        if (ring.layer.hops or ring.layer.hop_ns) and ring.layer.outcome not in ("not_reached", "off")
    ]
    if in_core:
        boundaries.append((None, core_radius))
    for layer, radius in boundaries:
        for step in range(24):
            angle = math.radians(32 + step * 6)
            hop = Hop(layer, CX - radius * math.cos(angle), CY + radius * math.sin(angle), _HOP_RADIUS)
            if all(math.dist((hop.x, hop.y), (other.x, other.y)) >= _HOP_DISTANCE for other in found):
                found.append(hop)
                break
    return found
