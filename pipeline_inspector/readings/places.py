"""Where in the request a span lies: in which layer, hook, view or template it ran."""

import msgspec

from pipeline_inspector.records import RequestRecord, Span


class Place(msgspec.Struct, frozen=True):
    """``kind`` is ``way in``, ``way out``, ``hook``, ``view``, ``template``, ``resolver`` or ``""`` (not known); ``layer``
    is an index where a layer is meant."""

    kind: str = ""
    name: str = ""
    layer: int | None = None


_KINDS = {
    "layer_in": "way in",
    "layer_out": "way out",
    "hook": "hook",
    "view": "view",
    "render": "template",
    "template": "template",
    "resolve": "resolver",
}


class Places:
    """Looks up places in one record."""

    def __init__(self, record: RequestRecord) -> None:
        self._spans = {span.id: span for span in record.spans}
        self._names = {layer.index: layer.name or layer.id.rpartition(".")[2] for layer in record.layers}
        self._enclosing = [span for span in record.spans if span.kind in _KINDS]

    def duration(self, span_id: int | None) -> int:
        """Nanoseconds of a span; 0 when it is not in the record."""
        span = self._spans.get(span_id) if span_id is not None else None
        return span.duration_ns if span else 0

    def start(self, span_id: int | None) -> int | None:
        """When a span began, None when it is not in the record."""
        span = self._spans.get(span_id) if span_id is not None else None
        return span.start_ns if span else None

    def of(self, span_id: int | None, at_ns: int | None = None) -> Place:
        """The innermost place around a span, by its parents, else by time; ``at_ns`` helps where no span is given."""
        span = self._spans.get(span_id) if span_id is not None else None
        around = self._closer(span, self._parent(span)) if span else None
        if around is None:
            at = span.start_ns if span else at_ns
            around = self._at(at, span) if at is not None else None
        return self._place(around) if around else Place()

    def itself(self, span_id: int | None, at_ns: int) -> Place:
        """Like ``of()``, but a span that is a place counts as one: for what was noted inside it."""
        span = self._spans.get(span_id) if span_id is not None else None
        return self._place(span) if span and span.kind in _KINDS else self.of(span_id, at_ns)

    def _place(self, span: Span) -> Place:
        name = span.name
        if span.kind in ("layer_in", "layer_out") and span.layer is not None:
            name = self._names.get(span.layer, span.name)
        return Place(_KINDS[span.kind], name, span.layer)

    def _parent(self, span: Span | None) -> Span | None:
        while span is not None and span.parent is not None:
            span = self._spans.get(span.parent)
            if span is not None and span.kind in _KINDS:
                return span
        return None

    def _closer(self, span: Span, parent: Span | None) -> Span | None:
        """The innermost template that ``span`` ran in, where it lies inside ``parent``; else ``parent``."""
        if parent is None:
            return None
        inside = [
            one
            for one in self._enclosing
            if one.kind == "template" and one is not span and _holds(parent, one) and _holds(one, span)
        ]
        return min(inside, key=lambda one: one.duration_ns, default=parent)

    def _at(self, at_ns: int, but: Span | None) -> Span | None:
        open_then = [
            span
            for span in self._enclosing
            if span is not but and span.start_ns <= at_ns < span.start_ns + max(span.duration_ns, 1)
        ]
        return min(open_then, key=lambda span: span.duration_ns, default=None)


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start_ns <= inner.start_ns and (
        inner.start_ns + inner.duration_ns <= outer.start_ns + outer.duration_ns
    )
