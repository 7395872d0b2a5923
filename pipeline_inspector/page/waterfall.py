"""The tab Timeline: the waterfall's rows with their bars, where each leads, and which cost most."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline_inspector.page.formats import percent, short_name
from pipeline_inspector.page.sql import told
from pipeline_inspector.readings.timeline import Row, Segment, Tick, timeline
from pipeline_inspector.records import RequestRecord

COSTLY = 3
"""So many rows are named above the waterfall."""

_WORTH_NAMING = 0.02
_GOES_TO = {
    "request": "headers",
    "resolve": "resolver",
    "render": "templates",
    "template": "templates",
    "query": "queries",
    "cache": "cache",
    "send": "server",
}
_CALLED = {"layer": "layer", "hop": "thread hop", "resolve": "resolver", "send": "server", "request": "whole request"}
_LEGEND = {
    "layer": "layer itself",
    "hop": "thread hop",
    "resolve": "resolver, hooks",
    "hook": "resolver, hooks",
    "view": "view",
    "render": "template",
    "template": "template",
    "query": "query, cache",
    "cache": "query, cache",
}


class _Bar(NamedTuple):
    """A row's bar in percent of the shown time."""

    left: str
    width: str


class _Line(NamedTuple):
    """A row of the waterfall as the template needs it."""

    row: Row
    href: str
    kind: str
    label: str
    name: str
    depth: int
    extent: _Bar
    bars: list[_Bar]
    costly: bool


def context(record: RequestRecord) -> dict[str, Any]:
    """What the template of the tab needs."""
    shown = timeline(record)
    labels = _Labels(record)
    costly = _costliest(shown.rows, shown.length_ns)
    lines = [_line(row, labels, costly=number in costly) for number, row in enumerate(shown.rows)]
    kinds = [row.kind for row in shown.rows]
    return {
        "shown": shown,
        "lines": lines,
        "costly": [(number, lines[number]) for number in costly],
        "ticks": _scale(shown.ticks),
        "legend": {_LEGEND[kind]: kind for kind in _LEGEND if kind in kinds}.items(),
        "repeated": any(row.kind == "query" and row.duplicate for row in shown.rows),
    }


def _costliest(rows: Sequence[Row], length_ns: int) -> list[int]:
    """Positions of the rows with the most time of their own, the costliest first; nothing that hardly counts."""
    worth = [
        number
        for number, row in enumerate(rows)
        if row.kind not in ("request", "send") and row.own_ns >= length_ns * _WORTH_NAMING
    ]
    return sorted(worth, key=lambda number: -rows[number].own_ns)[:COSTLY]


def _scale(ticks: Sequence[Tick]) -> list[tuple[str, str]]:
    """Place and text of each tick, all with as many digits as the step between them needs."""
    step = ticks[1].at_ns - ticks[0].at_ns if len(ticks) > 1 else 1_000_000
    digits = next((count for count in range(6) if step % 10 ** (6 - count) == 0), 6)
    return [(percent(tick.left), f"{tick.at_ns / 1_000_000:.{digits}f}") for tick in ticks]


class _Labels:
    """How the rows of one record are called."""

    def __init__(self, record: RequestRecord) -> None:
        self._statements: Mapping[int, str] = {query.span: told(query.sql) for query in record.queries}
        self._runs = {layer.index: layer.runs for layer in record.layers}

    def of(self, row: Row) -> str:
        """The row's name, short."""
        if row.kind == "query" and row.span is not None:
            return self._statements.get(row.span, row.name)
        if row.kind == "layer":
            return " … ".join(short_name(name) for name in row.name.split(" … "))
        if row.kind == "hop":
            return self._hop(row)
        return row.name.replace("Middleware.", ".") if row.kind == "hook" else row.name

    def _hop(self, row: Row) -> str:
        """Which way the hop goes, as the layer it leads to (or back from) runs."""
        runs = self._runs.get(row.layer) if row.layer is not None else None
        if runs is None or row.name not in ("to thread or loop", "back"):
            return row.name.replace("Middleware.", ".")
        inward = row.name != "back"
        return "loop → thread" if (runs == "sync") == inward else "thread → loop"


def _line(row: Row, labels: _Labels, *, costly: bool) -> _Line:
    tab = _GOES_TO.get(row.kind, "onion")
    if tab == "queries" and row.span is not None:
        href = f"?tab=queries#query-{row.span}"
    elif tab == "onion" and row.layer is not None:
        href = f"?tab=onion#ring-{row.layer}"
    else:
        href = f"?tab={tab}"
    label = labels.of(row)
    return _Line(
        row=row,
        href=href,
        kind=_CALLED.get(row.kind, row.kind),
        label=label,
        name=label if row.kind == "hop" else row.name,
        depth=min(row.depth, 16),
        extent=_bar(row.extent),
        bars=[_bar(segment) for segment in row.segments],
        costly=costly,
    )


def _bar(segment: Segment) -> _Bar:
    return _Bar(percent(segment.left), percent(segment.width))
