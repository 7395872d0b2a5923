"""The tabs of one request beside the onion: which there are, and the body of each."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from pipeline_inspector.page import statements, tree, waterfall
from pipeline_inspector.page.drawing import render
from pipeline_inspector.page.formats import percent
from pipeline_inspector.readings.places import Places
from pipeline_inspector.readings.stretches import Stretch, stretches, together
from pipeline_inspector.records import Change, Frame, RequestRecord, Stage

_FOLDER = "pipeline_inspector/tabs/"
LINES = 200
"""No tab shows more lines than this; what is left out is counted."""


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
    amounts: Counter[str] = Counter(change.what for boundary in boundaries for change in boundary.changes)
    kinds = [(amounts[what], _IN_WORDS[what]) for what in _IN_WORDS if amounts[what]]
    return {"boundaries": boundaries, "quiet": quiet, "amounts": kinds}


_IN_WORDS = {"header": "header", "cookie": "cookie", "status": "status change", "attribute": "attribute"}


def _on(side: str, changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.on == side]


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
        "tried": [_as_far_as_it_fits(pattern) for pattern in tried[:LINES]],
        "beginnings": list(dict.fromkeys(part for part, _ in map(_as_far_as_it_fits, tried) if part is not None)),
        "hidden": max(0, len(tried) - LINES),
        "stopped": stopped[0] if stopped else None,
    }


def _as_far_as_it_fits(pattern: str) -> tuple[str | None, str]:
    """A pattern that was tried, split where it ceased to match: an ``include()`` is only gone into when it matches, so
    all but the last part did. None: not even a beginning matched."""
    beginning, space, rest = pattern.rpartition(" ")
    return (beginning, rest) if space else (None, rest)


class _Writer(NamedTuple):
    """Who did what to a header or cookie; ``layer`` None: the view or Django's core."""

    name: str
    layer: int | None
    kind: str


def _headers(record: RequestRecord) -> dict[str, Any]:
    response = record.response.headers if record.response else []
    writers = _writers(record)
    there = {_written(name, value) for name, value in response}
    gone = {key: found for key, found in writers.items() if key not in there and found[-1].kind == "removed"}
    removals = {_key(change): change for _, _, change in _told(record) if change.kind == "removed"}
    return {
        "response_headers": [(name, value, writers.get(_written(name, value), [])) for name, value in response],
        "removed": [(removals[key].name, removals[key].before, found) for key, found in gone.items()],
        "response_text": _as_text(response),
        "request_text": _as_text(record.request.headers),
    }


def _as_text(headers: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers)


def _written(name: str, value: str) -> tuple[str, str]:
    """By what a change would call this header."""
    if name.lower() == "set-cookie":
        return "cookie", value.partition("=")[0]
    return "header", name.lower()


def _key(change: Change) -> tuple[str, str]:
    return change.what, change.name.lower() if change.what == "header" else change.name


def _writers(record: RequestRecord) -> Mapping[tuple[str, str], list[_Writer]]:
    """Who wrote, altered or took away each header and cookie of the response, the first of them first."""
    found: dict[tuple[str, str], list[_Writer]] = {}
    for name, index, change in _told(record):
        if change.what in ("header", "cookie"):
            found.setdefault(_key(change), []).append(_Writer(name, index, change.kind))
    return found


def _told(record: RequestRecord) -> list[tuple[str, int | None, Change]]:
    """Every change of the response in the order in which it happened, with the name and index of who did it."""
    view = record.view.name.rpartition(".")[2] if record.view else "the core"
    told: list[tuple[str, int | None, Change]] = [(view, None, one) for one in _on("response", record.core_changes)]
    for layer in sorted(record.layers, key=lambda one: -one.index):
        told += [(layer.name, layer.index, change) for change in _on("response", layer.changes)]
    return told


def _server(record: RequestRecord) -> dict[str, Any]:
    seen = {stage.name: stage for stage in record.server.stages}
    seen.setdefault("get_response", Stage("get_response", 0))
    if record.state != "running":
        seen.setdefault("response made", Stage("response made", record.duration_ns))
    for name, at in (("first byte", "first_byte_ns"), ("last byte", "last_byte_ns")):
        if record.response and getattr(record.response, at) is not None:
            seen.setdefault(name, Stage(name, getattr(record.response, at)))
    return {"stages": drawn(together(stretches(seen.values()))), "path": steps(record.server.call_path)}


class Bar(NamedTuple):
    """A stretch with the place and width of its bar, and the places of the marks on it, in percent."""

    stretch: Stretch
    left: str
    width: str
    marks: list[str]


def drawn(found: Iterable[Stretch]) -> list[Bar]:
    """Each stretch with its bar."""
    return [Bar(one, percent(one.left), percent(one.width), [percent(end) for end in one.ends]) for one in found]


# -- cache, logs, exception -----------------------------------------------------------------------------------------


def _cache(record: RequestRecord) -> dict[str, Any]:
    places = Places(record)
    shown, hidden = _cut(record.cache_calls, LINES)
    asked = [call.hit for call in record.cache_calls if call.hit is not None]
    return {
        "calls": [(call, places.duration(call.span), places.itself(call.span, 0)) for call in shown],
        "hidden": hidden,
        "total_ns": sum(places.duration(call.span) for call in record.cache_calls),
        "hits": sum(asked),
        "misses": len(asked) - sum(asked),
    }


def _logs(record: RequestRecord) -> dict[str, Any]:
    places = Places(record)
    shown, hidden = _cut(record.logs, LINES)
    levels = Counter(line.level for line in record.logs)
    return {
        "lines": [(line, places.itself(line.span, line.at_ns)) for line in shown],
        "hidden": hidden,
        "levels": [(level, levels[level]) for level in ("CRITICAL", "ERROR", "WARNING") if levels[level]],
    }


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
        "causes": [
            (cause, steps(frames)) for cause, frames in zip_longest(info.chain, info.chain_frames, fillvalue=())
        ],
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
    "timeline": waterfall.context,
    "changes": _changes,
    "queries": statements.context,
    "templates": tree.context,
    "resolver": _resolver,
    "headers": _headers,
    "server": _server,
    "cache": _cache,
    "logs": _logs,
    "exception": _exception,
}
