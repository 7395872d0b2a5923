"""The cards beside the onion: one for each layer of a request, and one on the request as a whole."""

from dataclasses import dataclass

from pipeline_inspector.page.drawing import render
from pipeline_inspector.readings.way import reached_core
from pipeline_inspector.records import Layer, RequestRecord, Span

_FOLDER = "pipeline_inspector/"


def card(record: RequestRecord, layer_index: int) -> str:
    """What there is to say about one layer in this request: times, what it changed, what ran inside it."""
    layer = next(layer for layer in record.layers if layer.index == layer_index)
    inside = _spans_inside(record, layer)
    hooks = [span for span in record.spans if span.kind == "hook" and span.layer == layer_index]
    durations = {span.id: span.duration_ns for span in record.spans}
    context = {
        "record": record,
        "layer": layer,
        "said": _said(record, layer),
        "hooks": hooks,
        "hidden": layer_index != telling_layer(record),
        "queries": [(query, durations.get(query.span, 0)) for query in record.queries if query.span in inside],
        "templates": [(item, durations.get(item.span, 0)) for item in record.templates if item.span in inside],
        "cache_calls": [item for item in record.cache_calls if item.span in inside],
        "logs": [item for item in record.logs if item.span in inside],
    }
    return render(_FOLDER + "_card.html", context)


def overview(record: RequestRecord, base: str) -> str:
    """The card that stands while no layer is chosen: where the time went."""
    costly = sorted(record.layers, key=lambda layer: -(layer.in_ns + layer.out_ns + layer.hop_ns))[:4]
    context = {
        "record": record,
        "base": base,
        "parts": _parts(record),
        "costly": [(layer, layer.in_ns + layer.out_ns + layer.hop_ns) for layer in costly],
        "hidden": telling_layer(record) is not None,
    }
    return render(_FOLDER + "_overview.html", context)


def _spans_inside(record: RequestRecord, layer: Layer) -> set[int]:
    """Ids of the spans that belong to the layer itself, not to what it called inward."""
    parents: dict[int, Span] = {span.id: span for span in record.spans}
    own = {
        span.id for span in record.spans if span.layer == layer.index and span.kind in ("layer_in", "layer_out", "hook")
    }

    def belongs(span: Span | None) -> bool:
        while span is not None:
            if span.id in own:
                return True
            if span.kind in ("layer_in", "layer_out", "hook", "view", "render", "resolve"):
                return False
            span = parents.get(span.parent) if span.parent is not None else None
        return False

    return {span.id for span in record.spans if belongs(span)}


def _said(record: RequestRecord, layer: Layer) -> str:
    """One sentence on what is special about the layer in this request; empty when nothing is."""
    deeper = [other for other in record.layers if other.index > layer.index]
    unreached = "The view was not reached." if not deeper else f"{_names(deeper)}, and the view were not reached."
    status = f" with {record.response.status}" if record.response else ""
    if layer.outcome == "answered":
        return f"Answered the request itself{status}. {unreached}"
    if layer.outcome == "raised" and record.exception:
        tail = "" if reached_core(record) else f" {unreached}"
        return f"Raised {record.exception.type}: {record.exception.message}.{tail}"
    if layer.outcome == "rescued" and record.exception:
        return f"Made a response{status} of the {record.exception.type}."
    if layer.outcome == "off":
        return "Switched off for this request: the request passed it by."
    if layer.outcome == "not_reached":
        return (
            "The request has not come this far." if record.state == "running" else "The request did not come this far."
        )
    return ""


def _names(layers: list[Layer]) -> str:
    names = [(layer.name or layer.path).removesuffix("Middleware") for layer in layers]
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])}, {len(names) - 2} more layers"


@dataclass(frozen=True)
class Totals:
    """Nanoseconds of the whole request by what they were spent on."""

    layers: int
    hops: int
    resolver: int
    view: int
    render: int


def totals(record: RequestRecord) -> Totals:
    """What ``record``'s time was spent on."""

    def of(*kinds: str) -> int:
        return sum(span.duration_ns for span in record.spans if span.kind in kinds)

    return Totals(
        layers=sum(layer.in_ns + layer.out_ns for layer in record.layers),
        hops=of("hop") or sum(layer.hop_ns for layer in record.layers),
        resolver=of("resolve") + sum(span.duration_ns for span in record.spans if span.kind == "hook"),
        view=of("view"),
        render=of("render"),
    )


@dataclass(frozen=True)
class Part:
    """One kind of work in a request: where its piece of the bar begins and how wide it is, in percent."""

    kind: str
    label: str
    ns: int
    start: float
    width: float


def _parts(record: RequestRecord) -> list[Part]:
    spent = totals(record)
    named = [
        ("layers", "middleware", spent.layers),
        ("hops", "thread hops", spent.hops),
        ("resolver", "resolver and hooks", spent.resolver),
        ("view", "view", spent.view),
        ("templates", "render", spent.render),
    ]
    whole = max(record.duration_ns, sum(ns for _, _, ns in named), 1)
    found, start = [], 0.0
    for kind, label, ns in named:
        width = 100 * ns / whole
        if ns:
            found.append(Part(kind, label, ns, round(start, 2), round(width, 2)))
        start += width
    return found


def telling_layer(record: RequestRecord) -> int | None:
    """The layer whose card stands open at first: the one that answered, raised or rescued."""
    special = ("answered", "raised", "rescued")
    return next((layer.index for layer in record.layers if layer.outcome in special), None)
