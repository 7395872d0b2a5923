"""What a record says, in the words of the scenarios: its way, its outcomes, its sums."""

from itertools import pairwise

from pipeline_inspector.records import RequestRecord

STEPS = ("layer_in", "layer_out", "hook", "resolve", "view", "render")


def way(record: RequestRecord) -> list[tuple[str, str]]:
    """Kind and name of the stages, in order."""
    stages = sorted((s for s in record.spans if s.parent is None and s.kind in STEPS), key=lambda s: (s.start_ns, s.id))
    return [(stage.kind, stage.name) for stage in stages if not stage.name.startswith("response for")]


def outcomes(record: RequestRecord) -> dict[str, str]:
    """Layer name to outcome."""
    return {layer.name: layer.outcome for layer in record.layers}


def assert_adds_up(record: RequestRecord) -> None:
    """Self times, hops and core stages sum to the duration, within 2 % or 20 µs, and no stage overlaps another."""
    allowed = max(record.duration_ns * 0.02, 20_000)
    layers = sum(layer.in_ns + layer.out_ns + layer.hop_ns for layer in record.layers)
    top = [span for span in record.spans if span.parent is None and span.kind != "send"]
    core = sum(
        span.duration_ns
        for span in top
        if not (span.kind in ("layer_in", "layer_out", "hop") and span.layer is not None)
    )
    assert abs(layers + core - record.duration_ns) <= allowed, (layers, core, record.duration_ns)
    assert abs(sum(span.duration_ns for span in top) - record.duration_ns) <= allowed
    assert all(span.duration_ns >= 0 for span in top), [span for span in top if span.duration_ns < 0]
    ordered = sorted(top, key=lambda span: (span.start_ns, span.start_ns + span.duration_ns))
    for one, following in pairwise(ordered):
        assert one.start_ns + one.duration_ns <= following.start_ns, (one, following)
