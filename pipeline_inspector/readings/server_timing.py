"""A record as the text of a ``Server-Timing`` header, which browsers' developer tools draw as bars."""

import re

from pipeline_inspector.records import RequestRecord

_METRICS = {
    "resolve": "resolver",
    "view": "view",
    "render": "templates",
    "query": "db",
    "cache": "cache",
    "hop": "hops",
}
_UNSAFE = re.compile(r"[^\x20-\x7e]")


def server_timing(record: RequestRecord) -> str:
    """``total;dur=12.5, view;dur=8.1, …``: milliseconds for the whole, its kinds of work, and each layer's self time."""
    metrics = [_metric("total", record.duration_ns)]
    for kind, name in _METRICS.items():
        spans = [span for span in record.spans if span.kind == kind]
        if spans:
            metrics.append(
                _metric(name, sum(span.duration_ns for span in spans), f"{len(spans)} spans" if len(spans) > 1 else "")
            )
    metrics += [
        _metric(f"layer{layer.index}", layer.in_ns + layer.out_ns, layer.name or layer.path)
        for layer in record.layers
        if layer.outcome not in ("not_reached", "off")
    ]
    return ", ".join(metrics)


def _metric(name: str, ns: int, description: str = "") -> str:
    described = f';desc="{_quoted(description)}"' if description else ""
    return f"{name}{described};dur={ns / 1_000_000:.3f}"


def _quoted(text: str) -> str:
    return _UNSAFE.sub("?", text).replace("\\", "\\\\").replace('"', '\\"')
