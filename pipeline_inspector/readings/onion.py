"""The onion of one request as numbers: rings, crossings, hops, the way and the core. The page only places them.

The picture lies in a box of ``WIDTH`` by ``HEIGHT`` units around ``(CX, CY)``. Rings nest from ``OUTER`` inward to the
core; the left half of a ring is the way in, the right half the way out. Quiet layers are thin, costly ones get room, and
the sum stays the same, whatever the number of layers. Heat, 0 to 5, is self time on one log scale for all requests.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline_inspector.readings.core import Core, core_of
from pipeline_inspector.readings.way import Stretch, figure, half_path, way_of
from pipeline_inspector.records import Layer, Plan, Request, RequestRecord, Summary, View

WIDTH, HEIGHT = 892.0, 764.0
CX, CY = WIDTH / 2, HEIGHT / 2
OUTER = 372.0
CORE = 118.0
"""Radius of the core when there are layers enough to fill the room around it."""

HEAT_NS = (30_000, 100_000, 300_000, 1_000_000, 3_000_000)
"""Self times from which on heat is 1, 2, 3, 4, 5."""

Side = Literal["in", "out"]

_NAME_THICKNESS = 11.5
_LANES = (-11.0, 11.0, -29.0, 29.0)
_PILL_HEIGHT = 16.0
_HOP_RADIUS = 8.5


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
    """One layer between the radii ``inner`` and ``outer``. ``name_path`` is the arc its name follows, None: no room."""

    layer: Layer
    inner: float
    outer: float
    way_in: Half
    way_out: Half
    short: str
    name_path: str | None

    @property
    def middle(self) -> float:
        """The radius halfway through the ring."""
        return (self.inner + self.outer) / 2


@dataclass(frozen=True, slots=True)
class Crossing:
    """The number that stands where the way crosses a ring: a pill around ``(x, y)``."""

    layer: int
    side: Side
    text: str
    x: float
    y: float
    width: float
    height: float
    hot: bool

    @property
    def left(self) -> float:
        """The pill's left edge."""
        return round(self.x - self.width / 2, 2)

    @property
    def top(self) -> float:
        """The pill's upper edge."""
        return round(self.y - self.height / 2, 2)

    @property
    def baseline(self) -> float:
        """The line on which the number stands."""
        return round(self.y + 3.5, 2)


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
    """The whole picture."""

    rings: list[Ring]
    crossings: list[Crossing]
    hops: list[Hop]
    way: list[Stretch]
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
    middles = [ring.middle for ring in rings]
    return Onion(
        rings=rings,
        crossings=_crossings(rings, record),
        hops=_hops(rings, core_radius, record),
        way=way_of(record, middles, [(ring.inner, ring.outer) for ring in rings], core_radius, (CX, CY), WIDTH),
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
        toggles=summary.toggles,
    )


def core_size(rings: int) -> float:
    """Radius of the core inside so many rings: larger while few rings would leave the room empty."""
    return max(CORE, OUTER - 84.0 - rings * 44.0) if rings else OUTER - 84.0


def _radii(layers: list[Layer]) -> list[tuple[float, float]]:
    """Inner and outer radius of each ring, outermost first: a fair minimum for all, the rest by cost."""
    count = len(layers)
    if not count:
        return []
    room = OUTER - core_size(count)
    least = min(14.5, (0.72 if count <= 16 else 0.5) * room / count)
    weights = [0.04 + _cost(layer) for layer in layers]
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
    base = (inner + outer) / 2 - 3.8
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
    )


def _came_back(record: RequestRecord, layer: Layer) -> bool:
    """Did a response pass through this layer on its way out?"""
    if record.state != "finished" or layer.outcome == "answered":
        return False
    return layer.outcome != "raised" or layer.out_ns > 0


def _crossings(rings: list[Ring], record: RequestRecord) -> list[Crossing]:
    """The numbers, the costliest first in line for room; those that would overlap are left out."""
    wanted: list[tuple[int, Side, Ring]] = []
    for ring in rings:
        if ring.way_in.reached and (record.state == "finished" or ring.layer.in_ns):
            wanted.append((ring.layer.in_ns, "in", ring))
        if ring.way_out.reached:
            wanted.append((ring.layer.out_ns, "out", ring))
    placed: list[Crossing] = []
    for ns, side, ring in sorted(wanted, key=lambda entry: (-entry[0], entry[2].layer.index, entry[1])):
        found = _place(ns, side, ring, placed)
        if found:
            placed.append(found)
    return sorted(placed, key=lambda crossing: (crossing.side, crossing.layer))


def _place(ns: int, side: Side, ring: Ring, placed: list[Crossing]) -> Crossing | None:
    text = figure(ns)
    width = 8.0 + 6.2 * len(text)
    first = ring.layer.index % 2
    zigzag = (_LANES[first], _LANES[1 - first], _LANES[2 + first], _LANES[3 - first])
    lanes = (0.0, *zigzag) if ring.outer - ring.inner >= width + 3 else zigzag
    sign = -1 if side == "in" else 1
    for lane in lanes:
        x = CX + sign * math.sqrt(ring.middle**2 - lane**2)
        crossing = Crossing(ring.layer.index, side, text, x, CY + lane, width, _PILL_HEIGHT, heat(ns) >= 4)
        if not any(_overlap(crossing, other) for other in placed):
            return crossing
    return None


def _overlap(one: Crossing, other: Crossing) -> bool:
    return (
        abs(one.x - other.x) < (one.width + other.width) / 2 + 1.5
        and abs(one.y - other.y) < (one.height + other.height) / 2 + 1
    )


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
            if all(math.dist((hop.x, hop.y), (other.x, other.y)) > 2 * _HOP_RADIUS + 2 for other in found):
                found.append(hop)
                break
    return found
