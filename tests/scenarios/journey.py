"""What really happened, written down by the scenario's own layers, hooks and views: plain Python, nothing of ours."""

import time
from typing import NamedTuple

now = time.perf_counter_ns


class Step(NamedTuple):
    """One step: ``kind`` as in a record's spans, ``name``, the request's path, and when."""

    kind: str
    name: str
    path: str
    at: int
    status: int = 0


steps: list[Step] = []


def note(kind: str, name: str, path: str, status: int = 0) -> None:
    """One more step, now."""
    steps.append(Step(kind, name, path, now(), status))


def begin() -> list[Step]:
    """Forget all; the list that will fill."""
    steps.clear()
    return steps


def told(path: str | None = None) -> list[tuple[str, str]]:
    """The way of one request (None: of the only one), in order."""
    return [
        (step.kind, step.name)
        for step in steps
        if step.kind not in ("called", "left") and (path is None or step.path == path)
    ]
