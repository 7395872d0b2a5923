"""The waterfall as numbers: rows that nest, bars as fractions of the shown time, ticks at round steps."""

from collections import Counter

import msgspec

from pipeline_inspector.readings.alike import runs
from pipeline_inspector.records import RequestRecord, Span

RUN = 4
"""From so many like siblings in a row on, they are shown as one row."""

MANY_LAYERS = 12
"""In a longer chain, nested layers with nothing to tell are shown as one row: those that do nothing but call the next
and spend less than ``QUIET`` of the time."""

QUIET = 0.01

ROWS = 200
"""No more rows than this; what is left out is counted."""

_CROSSING = ("layer_in", "layer_out")
_HOLDING = ("view", "render", "template", "hook")
_HELD = ("query", "cache", "template")


class Segment(msgspec.Struct, frozen=True):
    """One bar of a row: ``left`` and ``width`` are fractions (0 to 1) of the shown time."""

    left: float
    width: float


class Row(msgspec.Struct):
    """One line of the waterfall.

    ``kind`` is that of its span, or ``request`` (the whole), or ``layer`` (way in and way out together: ``segments`` are
    its self time, ``extent`` reaches from entry to exit). ``count`` over 1: a run of like siblings with what is inside
    them, or of quiet layers one inside the other, whose bars are the segments. ``busy_ns`` is the time of the segments
    together, ``own_ns`` that without what has rows of its own further in.
    """

    kind: str
    name: str
    depth: int
    start_ns: int
    duration_ns: int
    busy_ns: int
    own_ns: int
    segments: list[Segment]
    extent: Segment
    layer: int | None = None
    span: int | None = None
    count: int = 1
    duplicate: bool = False
    thread: str = ""


class Tick(msgspec.Struct, frozen=True):
    """A mark on the scale: its place as a fraction of the shown time, and the time there."""

    left: float
    at_ns: int


class Timeline(msgspec.Struct):
    """The whole picture, from ``start_ns`` for ``length_ns``; ``hidden`` rows were more than fit."""

    start_ns: int
    length_ns: int
    rows: list[Row]
    ticks: list[Tick]
    hidden: int = 0


class _Node:
    """A row to be, with the nodes inside it."""

    def __init__(self, kind: str, name: str, spans: list[Span], layer: int | None) -> None:
        self.kind, self.name, self.spans, self.layer = kind, name, spans, layer
        self.start = min(span.start_ns for span in spans)
        self.end = max(span.start_ns + span.duration_ns for span in spans)
        self.inside: list[_Node] = []
        self.group: int | None = None

    @property
    def busy(self) -> int:
        """Nanoseconds of its spans together."""
        return sum(span.duration_ns for span in self.spans)

    @property
    def own(self) -> int:
        """``busy`` without what is inside: of a layer, whose spans are its self time, only what it called itself."""
        held = [inner for inner in self.inside if self.kind not in ("layer", "request") or inner.kind in _HELD]
        return max(0, self.busy - sum(inner.busy for inner in held))

    def alike(self, other: "_Node") -> bool:
        """Would the two read the same as rows, with all that is inside them?"""
        same = self.name == other.name or (self.group is not None and self.group == other.group)
        if not same or self.kind != other.kind or len(self.inside) != len(other.inside):
            return False
        return all(one.alike(two) for one, two in zip(self.in_order(), other.in_order(), strict=True))

    def in_order(self) -> list["_Node"]:
        """The nodes inside it as they began."""
        return sorted(self.inside, key=lambda inner: (inner.start, -inner.end))

    def quiet(self, limit: int) -> bool:
        """Is it a layer that only calls the next one, in less than ``limit`` nanoseconds of its own?"""
        return self.kind == "layer" and self.busy < limit and [inner.kind for inner in self.inside] == ["layer"]


def timeline(record: RequestRecord, limit: int = ROWS) -> Timeline:
    """The waterfall of ``record`` with at most ``limit`` rows."""
    start, length = _window(record)
    whole = _Node("request", f"{record.request.method} {record.request.path}", [_whole(record, start, length)], None)
    _nest(record, whole)
    rows: list[Row] = []
    many = sum(1 for layer in record.layers if layer.outcome != "not_reached") > MANY_LAYERS
    _lay_out(whole, 0, start, length, rows, int(length * QUIET) if many else 0)
    return Timeline(start, length, rows[:limit], ticks(start, length), max(0, len(rows) - limit))


def ticks(start_ns: int, length_ns: int, most: int = 8) -> list[Tick]:
    """Marks at 1, 2 or 5 times a power of ten nanoseconds: at most ``most``, all inside the shown time."""
    step = 1
    while length_ns / step > most - 1:
        step = step * 2 if str(step)[0] in "15" else step // 2 * 5
    first = -(-start_ns // step) * step
    return [Tick((at - start_ns) / length_ns, at) for at in range(first, start_ns + length_ns + 1, step)]


def _window(record: RequestRecord) -> tuple[int, int]:
    start = min([0, *(span.start_ns for span in record.spans)])
    end = max([record.duration_ns, 1, *(span.start_ns + span.duration_ns for span in record.spans)])
    return start, end - start


def _whole(record: RequestRecord, start: int, length: int) -> Span:
    end = record.duration_ns if record.duration_ns > 0 else start + length
    return Span(-1, None, "send", "", None, 0, end, record.server.thread)


def _nest(record: RequestRecord, whole: _Node) -> None:
    """Hang a node for every layer and every other span below ``whole``."""
    layers = _layers(record)
    outer = whole
    for _, node in sorted(layers.items()):
        outer.inside.append(node)
        outer = node
    nodes = {span.id: layers[span.layer] for span in record.spans if span.kind in _CROSSING and span.layer in layers}
    others = [span for span in record.spans if span.id not in nodes]
    nodes |= {span.id: _Node(span.kind, span.name, [span], span.layer) for span in others}
    holders = [span for span in others if span.kind in _HOLDING]
    for span in others:
        around = _holder(span, holders, nodes)
        if around is None or around is nodes[span.id]:
            around = _around(span, layers, whole)
        around.inside.append(nodes[span.id])
    _stretch(whole)
    _mark_duplicates(record, nodes)


def _holder(span: Span, holders: list[Span], nodes: dict[int, _Node]) -> _Node | None:
    """The node around ``span``: its parent, or a template, view or hook further in that it ran in, on one thread."""
    parent = nodes.get(span.parent) if span.parent is not None else None
    if span.kind not in _HELD:
        return parent
    inside = [one for one in holders if _ran_in(span, one) and (parent is None or _lies_in(one, parent))]
    innermost = min(inside, key=lambda one: one.duration_ns, default=None)
    return parent if innermost is None else nodes[innermost.id]


def _ran_in(span: Span, one: Span) -> bool:
    """Strictly longer, so that no two spans ever hold each other."""
    return (
        one.duration_ns > span.duration_ns
        and one.parent != span.id
        and one.thread == span.thread
        and one.start_ns <= span.start_ns
        and span.start_ns + span.duration_ns <= one.start_ns + one.duration_ns
    )


def _lies_in(span: Span, node: _Node) -> bool:
    return node.start <= span.start_ns and span.start_ns + span.duration_ns <= node.end


def _stretch(node: _Node) -> None:
    """Let every node reach over what is inside it: the way out of a layer may not have been told (yet)."""
    for inner in node.inside:
        _stretch(inner)
        node.start, node.end = min(node.start, inner.start), max(node.end, inner.end)


def _layers(record: RequestRecord) -> dict[int, _Node]:
    found: dict[int, list[Span]] = {}
    for span in record.spans:
        if span.kind in _CROSSING and span.layer is not None:
            found.setdefault(span.layer, []).append(span)
    names = {layer.index: layer.name or layer.id.rpartition(".")[2] for layer in record.layers}
    return {
        index: _Node("layer", names.get(index, spans[0].name), spans, index) for index, spans in sorted(found.items())
    }


def _around(span: Span, layers: dict[int, _Node], whole: _Node) -> _Node:
    """The innermost layer that was open when ``span`` began."""
    open_then = [
        node for _, node in sorted(layers.items()) if node.start <= span.start_ns < max(node.end, node.start + 1)
    ]
    return open_then[-1] if open_then else whole


def _mark_duplicates(record: RequestRecord, nodes: dict[int, _Node]) -> None:
    groups = Counter(query.duplicate_group for query in record.queries)
    for query in record.queries:
        if query.duplicate_group is not None and groups[query.duplicate_group] > 1 and query.span in nodes:
            nodes[query.span].group = query.duplicate_group


def _lay_out(node: _Node, depth: int, start: int, length: int, rows: list[Row], quiet: int) -> None:
    nested = [node]
    while nested[-1].quiet(quiet) and nested[-1].inside[0].quiet(quiet):
        nested.append(nested[-1].inside[0])
    rows.append(_row(nested, depth, start, length))
    for run in runs(nested[-1].in_order()):
        if len(run) >= RUN:
            _lay_out_run(run, depth + 1, start, length, rows)
        else:
            for inner in run:
                _lay_out(inner, depth + 1, start, length, rows, quiet)


def _lay_out_run(run: list[_Node], depth: int, start: int, length: int, rows: list[Row]) -> None:
    """One row for all of ``run``, and below it one for each kind of what they all hold."""
    rows.append(_row(run, depth, start, length))
    inside = [node.in_order() for node in run]
    at = 0
    for likes in runs(inside[0]):
        below = [inner for held in inside for inner in held[at : at + len(likes)]]
        _lay_out_run(below, depth + 1, start, length, rows)
        at += len(likes)


def _row(run: list[_Node], depth: int, start: int, length: int) -> Row:
    first = run[0]
    spans = [span for node in run for span in node.spans]
    begin, end = min(node.start for node in run), max(node.end for node in run)
    return Row(
        kind=first.kind,
        name=first.name if first.name == run[-1].name or first.kind != "layer" else f"{first.name} … {run[-1].name}",
        depth=depth,
        start_ns=begin,
        duration_ns=end - begin,
        busy_ns=sum(node.busy for node in run),
        own_ns=sum(node.own for node in run),
        segments=[_segment(span.start_ns, span.duration_ns, start, length) for span in spans],
        extent=_segment(begin, end - begin, start, length),
        layer=first.layer,
        span=spans[0].id if spans[0].id >= 0 else None,
        count=len(run),
        duplicate=any(node.group is not None for node in run),
        thread=spans[0].thread,
    )


def _segment(at: int, duration: int, start: int, length: int) -> Segment:
    left = min(1.0, max(0.0, (at - start) / length))
    return Segment(left, min(max(0, duration) / length, 1 - left))
