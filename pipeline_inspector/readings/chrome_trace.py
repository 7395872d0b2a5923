"""A record in the Trace Event Format, for Perfetto and the tracing page of Chromium.

Times are microseconds from the first thing known of the request. One track shows the layers as they lie inside each
other; then comes a track for each thread, with a second one where its spans overlap without lying inside each other.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline_inspector.records import RequestRecord, Span, to_json

Event = dict[str, Any]

ONION_TRACK = 1


def chrome_trace(record: RequestRecord) -> bytes:
    """JSON with ``traceEvents`` and, under ``otherData``, what was asked and when."""
    pid = record.server.pid
    start = _start(record)
    name = f"{record.request.method} {record.request.path}"
    events = [_named(pid, None, "process_name", name), _named(pid, ONION_TRACK, "thread_name", "onion")]
    events.append(_complete(pid, ONION_TRACK, name, "request", 0 - start, record.duration_ns, {}))
    events += _layers(record, pid, start)
    for track, (thread, spans) in enumerate(_tracks(record.spans), start=ONION_TRACK + 1):
        events.append(_named(pid, track, "thread_name", thread or "thread"))
        events += [
            _complete(pid, track, span.name, span.kind, span.start_ns - start, span.duration_ns, _details(record, span))
            for span in spans
        ]
    events += [
        {"ph": "i", "s": "t", "pid": pid, "tid": ONION_TRACK, "name": stage.name, "ts": _micros(stage.at_ns - start)}
        for stage in record.server.stages
    ]
    about = {"id": record.id, "started_at": record.started_at, "status": record.response and record.response.status}
    return to_json({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about})


def _start(record: RequestRecord) -> int:
    """The earliest moment in the record, at most 0."""
    spans = (span.start_ns for span in record.spans)
    return min(0, *spans, *(stage.at_ns for stage in record.server.stages), 0)


def _layers(record: RequestRecord, pid: int, start: int) -> Iterator[Event]:
    """Each layer from entry to exit, those inside it lying inside it."""
    for layer in record.layers:
        own = [span for span in record.spans if span.layer == layer.index and span.kind in ("layer_in", "layer_out")]
        if own:
            first = min(span.start_ns for span in own)
            last = max(span.start_ns + span.duration_ns for span in own)
            details = {"outcome": layer.outcome, "in_us": layer.in_ns / 1000, "out_us": layer.out_ns / 1000}
            yield _complete(pid, ONION_TRACK, layer.name or layer.path, "layer", first - start, last - first, details)


def _tracks(spans: Iterable[Span]) -> list[tuple[str, list[Span]]]:
    """Spans by thread, split so that any two on one track are apart or one lies inside the other."""
    tracks: list[tuple[str, list[Span], list[int]]] = []
    for span in sorted(spans, key=lambda span: (span.start_ns, -span.duration_ns)):
        end = span.start_ns + span.duration_ns
        for thread, members, open_ends in tracks:
            if thread == span.thread:
                while open_ends and open_ends[-1] <= span.start_ns:
                    open_ends.pop()
                if not open_ends or end <= open_ends[-1]:
                    members.append(span)
                    open_ends.append(end)
                    break
        else:
            tracks.append((span.thread, [span], [end]))
    return [(thread, members) for thread, members, _ in tracks]


def _details(record: RequestRecord, span: Span) -> dict[str, Any]:
    if span.kind == "query":
        return next(
            (
                {"sql": query.sql, "at": f"{query.file}:{query.line}"}
                for query in record.queries
                if query.span == span.id
            ),
            {},
        )
    layer = next((layer for layer in record.layers if layer.index == span.layer), None)
    return {"layer": layer.path} if layer else {}


def _complete(pid: int, tid: int, name: str, kind: str, start_ns: int, duration_ns: int, args: Event) -> Event:
    return {
        "ph": "X",
        "pid": pid,
        "tid": tid,
        "name": name,
        "cat": kind,
        "ts": _micros(start_ns),
        "dur": _micros(duration_ns),
        "args": args,
    }


def _named(pid: int, tid: int | None, what: str, name: str) -> Event:
    return {"ph": "M", "pid": pid, "tid": tid or 0, "name": what, "args": {"name": name}}


def _micros(ns: int) -> float:
    return ns / 1000
