"""The tabs of one request beside the onion: which there are, and the body of each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pipeline_inspector.page.drawing import render
from pipeline_inspector.page.formats import short_name
from pipeline_inspector.page.sql import readable, told
from pipeline_inspector.readings.places import Place, Places
from pipeline_inspector.readings.stretches import Stretch, stretches
from pipeline_inspector.readings.timeline import Row, Segment, Tick, timeline
from pipeline_inspector.records import Change, Frame, Query, RequestRecord, Stage, TemplateRender

_FOLDER = "pipeline_inspector/tabs/"
QUERIES = 200
TEMPLATES = 200
LINES = 200
"""No tab shows more lines than this; what is left out is counted."""

N_PLUS_ONE = 3
"""From so many like statements that fetch on, a group is called by that name."""


class Tab(NamedTuple):
    """One tab: its name in the address, its label, and how much there is in it (None: not a number of things)."""

    slug: str
    label: str
    amount: int | None


def available(record: RequestRecord) -> list[Tab]:
    """The tabs that ``record`` has, after the onion's own."""
    changes = sum(len(layer.changes) for layer in record.layers) + len(record.core_changes)
    tabs = [
        Tab("timeline", "Timeline", None),
        Tab("changes", "Changes", changes),
        Tab("queries", "Queries", len(record.queries)),
        Tab("templates", "Templates", len(record.templates)),
        Tab("resolver", "Resolver", None),
        Tab("headers", "Headers", None),
        Tab("server", "Server", None),
    ]
    if record.cache_calls:
        tabs.append(Tab("cache", "Cache", len(record.cache_calls)))
    if record.logs:
        tabs.append(Tab("logs", "Logs", len(record.logs)))
    if record.exception:
        tabs.append(Tab("exception", "Exception", None))
    return tabs


def body(tab: str, record: RequestRecord, base: str = "") -> str:
    """The HTML of that tab; ``base`` is the address of the first page. Raises ``KeyError`` for a tab there is not."""
    return render(f"{_FOLDER}{tab}.html", {"record": record, "base": base, **_CONTEXTS[tab](record)})


# -- timeline -------------------------------------------------------------------------------------------------------

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


def _timeline(record: RequestRecord) -> dict[str, Any]:
    shown = timeline(record)
    statements = {query.span: told(query.sql) for query in record.queries}
    return {
        "shown": shown,
        "lines": [_line(row, statements) for row in shown.rows],
        "ticks": _scale(shown.ticks),
    }


def _scale(ticks: Sequence[Tick]) -> list[tuple[str, str]]:
    """Place and text of each tick, all with as many digits as the step between them needs."""
    step = ticks[1].at_ns - ticks[0].at_ns if len(ticks) > 1 else 1_000_000
    digits = next((count for count in range(6) if step % 10 ** (6 - count) == 0), 6)
    return [(_percent(tick.left), f"{tick.at_ns / 1_000_000:.{digits}f}") for tick in ticks]


def _label(row: Row, statements: Mapping[int, str]) -> str:
    if row.kind == "query" and row.span is not None:
        return statements.get(row.span, row.name)
    if row.kind == "layer":
        return " … ".join(short_name(name) for name in row.name.split(" … "))
    return row.name.replace("Middleware.", ".") if row.kind in ("hook", "hop") else row.name


def _line(row: Row, statements: Mapping[int, str]) -> _Line:
    tab = _GOES_TO.get(row.kind, "onion")
    if tab == "queries" and row.span is not None:
        href = f"?tab=queries#query-{row.span}"
    elif tab == "onion" and row.layer is not None:
        href = f"?tab=onion#ring-{row.layer}"
    else:
        href = f"?tab={tab}"
    bars = [_bar(segment) for segment in row.segments]
    kind, label = _CALLED.get(row.kind, row.kind), _label(row, statements)
    return _Line(row, href, kind, label, row.name, min(row.depth, 16), _bar(row.extent), bars)


def _bar(segment: Segment) -> _Bar:
    return _Bar(_percent(segment.left), _percent(segment.width))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3f}"


# -- changes --------------------------------------------------------------------------------------------------------


class _Boundary(NamedTuple):
    """What one layer (or the core) changed on one way."""

    way: str
    name: str
    layer: int | None
    changes: list[Change]


def _changes(record: RequestRecord) -> dict[str, Any]:
    layers = sorted(record.layers, key=lambda layer: layer.index)
    inward = [_Boundary("in", layer.name, layer.index, _on("request", layer.changes)) for layer in layers]
    outward = [_Boundary("out", layer.name, layer.index, _on("response", layer.changes)) for layer in reversed(layers)]
    view = record.view.name.rpartition(".")[2] if record.view else "the core"
    core = [_Boundary("core", view, None, list(record.core_changes))]
    boundaries = [boundary for boundary in (*inward, *core, *outward) if boundary.changes]
    quiet = [layer.name for layer in layers if not layer.changes and layer.outcome in ("passed", "answered", "rescued")]
    return {"boundaries": boundaries, "quiet": quiet}


def _on(side: str, changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.on == side]


# -- queries --------------------------------------------------------------------------------------------------------


_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")


class _Execution(NamedTuple):
    """One run of a statement."""

    query: Query
    ns: int
    start_ns: int | None
    place: Place


class _Group(NamedTuple):
    """Like statements together."""

    sql: str
    runs: list[_Execution]
    ns: int
    n_plus_one: bool
    transaction: str


def _queries(record: RequestRecord) -> dict[str, Any]:
    places = Places(record)
    groups = [_group(runs, places) for runs in _alike(record.queries)]
    shown, hidden = _cut(groups, QUERIES)
    return {
        "groups": shown,
        "hidden": hidden,
        "total_ns": sum(group.ns for group in groups),
        "writes": sum(query.sql.lstrip(" (").upper().startswith(_WRITES) for query in record.queries),
        "repeated": [group for group in groups if group.n_plus_one],
    }


def _alike(queries: Iterable[Query]) -> list[list[Query]]:
    """Queries in the order in which they ran, like ones together where the first of them ran."""
    found: dict[object, list[Query]] = {}
    for position, query in enumerate(queries):
        key = ("alone", position) if query.duplicate_group is None else ("group", query.duplicate_group)
        found.setdefault(key, []).append(query)
    return list(found.values())


def _group(queries: list[Query], places: Places) -> _Group:
    runs = [
        _Execution(query, places.duration(query.span), places.start(query.span), places.of(query.span))
        for query in queries
    ]
    n_plus_one = len(runs) >= N_PLUS_ONE and _fetches(queries[0])
    inside = sum(query.in_transaction for query in queries)
    transaction = (
        "in transaction" if inside == len(runs) else f"{inside} of {len(runs)} in transaction" if inside else ""
    )
    return _Group(readable(queries[0].sql), runs, sum(run.ns for run in runs), n_plus_one, transaction)


def _fetches(query: Query) -> bool:
    return query.sql.lstrip(" (").upper().startswith(("SELECT", "WITH"))


# -- templates ------------------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    """One template, or a run of like ones, in the tree."""

    template: TemplateRender
    depth: int
    times: int
    ns: int
    self_ns: int
    inside: str


def _templates(record: RequestRecord) -> dict[str, Any]:
    spans = {span.id: span for span in record.spans}
    rendered = {template.span for template in record.templates}
    places = Places(record)

    def above(span_id: int) -> int | None:
        parent = spans[span_id].parent if span_id in spans else None
        while parent is not None and parent not in rendered:
            parent = spans[parent].parent if parent in spans else None
        return parent

    children: dict[int | None, list[TemplateRender]] = {}
    for template in record.templates:
        children.setdefault(above(template.span), []).append(template)
    found: list[_Leaf] = []

    def walk(parent: int | None, depth: int) -> None:
        for (_, leaf), run in groupby(children.get(parent, []), lambda one: (one.name, one.span not in children)):
            alike = list(run)
            for same in [alike] if leaf else [[one] for one in alike]:
                total = sum(places.duration(one.span) for one in same)
                below = sum(places.duration(inner.span) for one in same for inner in children.get(one.span, []))
                outside = places.of(same[0].span).name if parent is None else ""
                found.append(_Leaf(same[0], min(depth, 16), len(same), total, max(0, total - below), outside))
                walk(same[0].span, depth + 1)

    walk(None, 0)
    shown, hidden = _cut(found, TEMPLATES)
    whole = sum(places.duration(template.span) for template in children.get(None, []))
    return {"leaves": shown, "hidden": hidden, "total_ns": whole}


# -- resolver, headers, server --------------------------------------------------------------------------------------


def _resolver(record: RequestRecord) -> dict[str, Any]:
    route = record.route
    setter = route.urlconf_set_by if route else None
    arguments = [(name, value, route.converters.get(name, "")) for name, value in route.kwargs.items()] if route else []
    tried = [pattern for pattern in record.tried if not route or pattern != route.pattern]
    stopped = [layer for layer in record.layers if layer.outcome in ("answered", "raised")]
    return {
        "arguments": arguments,
        "setter": next((layer for layer in record.layers if layer.id == setter), None),
        "tried": tried[:LINES],
        "hidden": max(0, len(tried) - LINES),
        "stopped": stopped[0] if stopped else None,
    }


def _headers(record: RequestRecord) -> dict[str, Any]:
    response = record.response.headers if record.response else []
    writers = _writers(record)
    return {"response_headers": [(name, value, writers.get(_written(name, value))) for name, value in response]}


def _written(name: str, value: str) -> tuple[str, str]:
    """By what a change would call this header."""
    if name.lower() == "set-cookie":
        return "cookie", value.partition("=")[0]
    return "header", name.lower()


def _writers(record: RequestRecord) -> Mapping[tuple[str, str], tuple[str, int | None]]:
    """Who had the last word on each header and cookie of the response: a name and, for a layer, its index."""
    found: dict[tuple[str, str], tuple[str, int | None]] = {}
    view = record.view.name.rpartition(".")[2] if record.view else "the core"
    told: list[tuple[str, int | None, Change]] = [(view, None, change) for change in record.core_changes]
    for layer in sorted(record.layers, key=lambda one: -one.index):
        told += [(layer.name, layer.index, change) for change in _on("response", layer.changes)]
    for name, index, change in told:
        if change.what in ("header", "cookie") and change.kind != "removed":
            found[change.what, change.name.lower() if change.what == "header" else change.name] = (name, index)
    return found


def _server(record: RequestRecord) -> dict[str, Any]:
    seen = {stage.name: stage for stage in record.server.stages}
    seen.setdefault("get_response", Stage("get_response", 0))
    if record.state != "running":
        seen.setdefault("response made", Stage("response made", record.duration_ns))
    for name, at in (("first byte", "first_byte_ns"), ("last byte", "last_byte_ns")):
        if record.response and getattr(record.response, at) is not None:
            seen.setdefault(name, Stage(name, getattr(record.response, at)))
    found = stretches(seen.values())
    return {"stages": drawn(found), "path": steps(record.server.call_path)}


def drawn(found: Iterable[Stretch]) -> list[tuple[Stretch, str, str]]:
    """Each stretch with the place and width of its bar in percent."""
    return [(stretch, _percent(stretch.left), _percent(stretch.width)) for stretch in found]


# -- cache, logs, exception -----------------------------------------------------------------------------------------


def _cache(record: RequestRecord) -> dict[str, Any]:
    places = Places(record)
    shown, hidden = _cut(record.cache_calls, LINES)
    asked = [call.hit for call in record.cache_calls if call.hit is not None]
    return {
        "calls": [(call, places.duration(call.span), places.itself(call.span, 0)) for call in shown],
        "hidden": hidden,
        "hits": sum(asked),
        "misses": len(asked) - sum(asked),
    }


def _logs(record: RequestRecord) -> dict[str, Any]:
    places = Places(record)
    shown, hidden = _cut(record.logs, LINES)
    return {"lines": [(line, places.itself(line.span, line.at_ns)) for line in shown], "hidden": hidden}


class Step(NamedTuple):
    """One frame; ``own`` is the site's code, not a library's."""

    frame: Frame
    own: bool


def steps(frames: Iterable[Frame]) -> list[Step]:
    """Frames as the page shows them, the site's own marked."""
    return [Step(frame, not any(mark in frame.file for mark in _LIBRARY)) for frame in frames]


_LIBRARY = ("/site-packages/", "/dist-packages/", "/lib/python", "<frozen")


def _exception(record: RequestRecord) -> dict[str, Any]:
    info = record.exception
    if info is None:
        return {}
    return {
        "info": info,
        "frames": steps(info.frames),
        "raised": _whence(info.raised_in, record),
        "rescued": _whence(info.rescued_by, record) if info.rescued_by else None,
    }


def _whence(told: str, record: RequestRecord) -> tuple[str, str, int | None]:
    """``(name, hook, index)`` of what ``raised_in`` or ``rescued_by`` names; index None: not a layer."""
    for layer in record.layers:
        if told == layer.id or told.startswith(layer.id + "."):
            return layer.name, told[len(layer.id) + 1 :], layer.index
    return told, "", None


def _cut(items: list[Any], most: int) -> tuple[list[Any], int]:
    return items[:most], max(0, len(items) - most)


_CONTEXTS: dict[str, Callable[[RequestRecord], dict[str, Any]]] = {
    "timeline": _timeline,
    "changes": _changes,
    "queries": _queries,
    "templates": _templates,
    "resolver": _resolver,
    "headers": _headers,
    "server": _server,
    "cache": _cache,
    "logs": _logs,
    "exception": _exception,
}
