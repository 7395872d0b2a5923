"""What the layers cost and did over many requests: counts, percentiles, shares."""

from collections.abc import Iterable, Sequence

import msgspec

from pipeline_inspector.records import Layer, RequestRecord


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


def statistics(records: Iterable[RequestRecord]) -> Statistics:
    """The numbers over ``records``, unfinished ones left out. A layer's place is that of its newest request."""
    durations: list[int] = []
    tallies: dict[str, _Tally] = {}
    for record in records:
        if record.state == "running":
            continue
        durations.append(record.duration_ns)
        for layer in record.layers:
            tallies.setdefault(layer.id, _Tally(layer)).add(layer)
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

    def __init__(self, layer: Layer) -> None:
        self.seen = LayerStatistics(layer.id, layer.name or layer.id.rpartition(".")[2], layer.index)
        self.way_in: list[int] = []
        self.way_out: list[int] = []
        self.spent = 0

    def add(self, layer: Layer) -> None:
        seen = self.seen
        seen.index = layer.index
        if layer.outcome == "off" or not layer.enabled:
            seen.off += 1
            return
        if layer.outcome == "not_reached":
            seen.not_reached += 1
            return
        seen.count += 1
        seen.answered += layer.outcome == "answered"
        seen.raised += layer.outcome == "raised"
        seen.rescued += layer.outcome == "rescued"
        seen.changed += bool(layer.changes)
        self.way_in.append(layer.in_ns)
        self.way_out.append(layer.out_ns)
        self.spent += layer.in_ns + layer.out_ns + layer.hop_ns

    def result(self, total: int) -> LayerStatistics:
        self.seen.in_ns, self.seen.out_ns = spread(self.way_in), spread(self.way_out)
        self.seen.share = self.spent / total if total else 0.0
        return self.seen
