"""What the layers cost and did over many requests: counts, percentiles, shares."""

from array import array
from collections.abc import Iterable, Sequence
from operator import add
from typing import NamedTuple

import msgspec

from pipeline_inspector.records import Outcome, RequestRecord

_OUTCOMES: tuple[Outcome, ...] = ("passed", "answered", "raised", "rescued", "not_reached", "off")
_RAN = 4
_CHANGED = 8


class Spread(msgspec.Struct, frozen=True):
    """Percentiles in nanoseconds, each a value that was really seen; 0 when nothing was."""

    p50: int = 0
    p95: int = 0
    p99: int = 0


class LayerStatistics(msgspec.Struct):
    """One layer over many requests.

    ``count`` requests ran through it, ``off`` had it switched off, ``not_reached`` ended further out. ``share`` is the part
    (0 to 1) of the time of all requests that it spent itself, hops on its boundary included. The other numbers count
    requests: it ``answered`` itself, ``raised``, ``rescued`` an exception, ``changed`` something.
    """

    id: str
    name: str
    index: int
    count: int = 0
    off: int = 0
    not_reached: int = 0
    in_ns: Spread = Spread()
    out_ns: Spread = Spread()
    share: float = 0.0
    answered: int = 0
    raised: int = 0
    rescued: int = 0
    changed: int = 0

    @property
    def idle(self) -> bool:
        """It ran, and in no request did anything that could be seen."""
        return self.count > 0 and not (self.answered or self.raised or self.rescued or self.changed)


class Statistics(msgspec.Struct):
    """``count`` finished requests together, and their layers outermost first."""

    count: int = 0
    duration_ns: Spread = Spread()
    layers: list[LayerStatistics] = []

    def of(self, layer_id: str) -> LayerStatistics | None:
        """The numbers of one layer, None when it was in no request."""
        return next((layer for layer in self.layers if layer.id == layer_id), None)


Layers = tuple[tuple[str, str, int], ...]
"""The id, name and index of each layer."""


class Figures(NamedTuple):
    """What statistics take of one request, small because all that are kept are held.

    ``numbers`` are four for each of ``layers``: its outcome with whether it changed something, and the nanoseconds on the
    way in, on the way out and of hops.
    """

    duration_ns: int
    layers: Layers
    numbers: "array[int]"


def figures(record: RequestRecord) -> Figures:
    """What statistics take of ``record``."""
    numbers = array("q")
    for layer in record.layers:
        outcome = _OUTCOMES.index(layer.outcome if layer.enabled else "off")
        numbers.extend((outcome | (_CHANGED if layer.changes else 0), layer.in_ns, layer.out_ns, layer.hop_ns))
    layers = tuple((one.id, one.name or one.id.rpartition(".")[2], one.index) for one in record.layers)
    return Figures(record.duration_ns, layers, numbers)


def statistics(records: Iterable[RequestRecord]) -> Statistics:
    """The numbers over ``records``, unfinished ones left out. A layer's place is that of its newest request."""
    return together(figures(record) for record in records if record.state != "running")


def together(requests: Iterable[Figures]) -> Statistics:
    """The numbers over ``requests``, which come newest last."""
    durations: list[int] = []
    tallies: dict[str, _Tally] = {}
    for one in requests:
        durations.append(one.duration_ns)
        numbers = iter(one.numbers)
        for (layer, name, index), did, *times in zip(one.layers, numbers, numbers, numbers, numbers, strict=True):
            tally = tallies.get(layer)
            if tally is None:
                tally = tallies[layer] = _Tally(layer, name)
            tally.seen.index = index
            tally.add(did, *times)
    total = sum(durations)
    layers = sorted((tally.result(total) for tally in tallies.values()), key=lambda layer: (layer.index, layer.id))
    return Statistics(len(durations), spread(durations), layers)


def spread(values: Sequence[int]) -> Spread:
    """The percentiles of ``values`` by nearest rank."""
    if not values:
        return Spread()
    ordered = sorted(values)

    def rank(percent: int) -> int:
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

    return Spread(rank(50), rank(95), rank(99))


class _Tally:
    """Collects one layer's numbers."""

    def __init__(self, layer: str, name: str) -> None:
        self.seen = LayerStatistics(layer, name, 0)
        self.did = [0] * (2 * _CHANGED)
        self.way_in: list[int] = []
        self.way_out: list[int] = []
        self.spent = 0

    def add(self, did: int, in_ns: int, out_ns: int, hop_ns: int) -> None:
        self.did[did] += 1
        if did & ~_CHANGED < _RAN:
            self.way_in.append(in_ns)
            self.way_out.append(out_ns)
            self.spent += in_ns + out_ns + hop_ns

    def result(self, total: int) -> LayerStatistics:
        seen = self.seen
        quiet, changing = self.did[:_CHANGED], self.did[_CHANGED:]
        _, seen.answered, seen.raised, seen.rescued, seen.not_reached, seen.off, *_ = map(add, quiet, changing)
        seen.count, seen.changed = len(self.way_in), sum(changing[:_RAN])
        seen.in_ns, seen.out_ns = spread(self.way_in), spread(self.way_out)
        seen.share = self.spent / total if total else 0.0
        return seen
