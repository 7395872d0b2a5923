"""Where each microsecond of the request path goes: eight stock layers, with one part after the other left out.

Every stage is a process of its own, and they take turns: a part costs what the next stage takes less, the last one beside
the bare site. They are started anew again and again, because each process has a layout of memory of its own, which is worth
a microsecond or two: of each start the fastest round counts, and the median over the starts is told. No recorder works
beside; tapes are let go of between requests.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from benchmarks.peers import PYTHON, ROOT, environment

STARTS, ROUNDS, REQUESTS = 7, 4, 800


def _server() -> None:
    from django.core.handlers import wsgi
    from django.core.signals import request_started
    from django.http import HttpResponse

    for owner, name in ((wsgi.WSGIHandler, "__call__"), (wsgi, "set_script_prefix"), (HttpResponse, "__iter__")):
        setattr(owner, name, getattr(owner, name).__wrapped__)
    request_started.disconnect(dispatch_uid="pipeline_inspector.started")


def _closing() -> None:
    from django.core.signals import request_finished

    request_finished.disconnect(dispatch_uid="pipeline_inspector.finished")


def _unwrapped(name: str) -> None:
    from django.core.handlers.base import BaseHandler

    setattr(BaseHandler, name, getattr(BaseHandler, name).__wrapped__)


def _hooks() -> None:
    from pipeline_inspector.probes import hooks

    hooks._timed = lambda hook, *_: hook


def _seams() -> None:
    from pipeline_inspector.probes import layers

    layers.seam = lambda get_response, chain, position, inward, convert=layers._convert: convert(get_response)


PARTS: dict[str, Callable[[], None]] = {
    "between server and handler: entry, script prefix, `request_started`, start of the response, first byte": _server,
    "`request_finished`, putting the tape into the queue": _closing,
    "resolver": lambda: _unwrapped("resolve_request"),
    "view": lambda: _unwrapped("make_view_atomic"),
    "`process_view` hook": _hooks,
    "seams of eight layers and the core, what changed at them": _seams,
}
REST = "the outermost and the innermost middleware: opening the tape, answer and attributes when the chain is through"


class Stage:
    """A process without the first ``left_out`` parts; None: the bare site."""

    def __init__(self, left_out: int | None) -> None:
        command = [PYTHON, "-m", "benchmarks.parts", "bare" if left_out is None else str(left_out)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment(), cwd=ROOT, stderr=subprocess.DEVNULL
        )
        self._in: IO[str] = self._process.stdin  # type: ignore[assignment]
        self._out: IO[str] = self._process.stdout  # type: ignore[assignment]

    def ask(self) -> float:
        """Median microseconds of a request; the first time when it is ready."""
        self._in.write("\n")
        self._in.flush()
        return float(self._out.readline())

    def close(self) -> None:
        """End the process."""
        self._in.close()
        self._process.wait(30)


def parts() -> dict[str, float]:
    """Microseconds by part, the rest, and last what all of it takes."""
    stages = [*range(len(PARTS) + 1), None]
    fastest: list[list[float]] = [[] for _ in stages]
    for _ in range(STARTS):
        started = [Stage(left_out) for left_out in stages]
        rounds = [[stage.ask() for stage in started] for _ in range(ROUNDS)]
        for stage, times in zip(started, zip(*rounds, strict=True), strict=True):
            stage.close()
            fastest[started.index(stage)].append(min(times))
    middle = [statistics.median(times) for times in fastest]
    costs = [one - other for one, other in pairwise(middle)]
    return {**dict(zip([*PARTS, REST], costs, strict=True)), "all of it": middle[0] - middle[-1]}


def answer(left_out: int | None) -> None:
    """Be a stage."""
    from benchmarks import subject
    from benchmarks.tools import TOOLS

    queue: Any = []
    running: Any = {}
    with tempfile.TemporaryDirectory() as folder:
        subject.begin(TOOLS["bare" if left_out is None else "inspector"], Path(folder), subject.STOCK)
        if left_out is not None:
            from pipeline_inspector.recording import recorder

            recorder._start = lambda: None
            recorder.asleep = False  # there is nobody to wake
            queue, running = recorder.waiting, recorder.running
            for leave_out in list(PARTS.values())[:left_out]:
                leave_out()
        call = subject._wsgi_call("/")
        now = time.perf_counter_ns
        times: list[int] = []
        for _ in sys.stdin:
            times.clear()
            for number in range(REQUESTS):
                start = now()
                subject._at_depth(number % subject.DEEPEST, call)
                times.append(now() - start)
                while queue:
                    recorder.clear(queue.popleft())
                while running:
                    recorder.clear(running.popitem()[1])
            print(statistics.median(times) / 1e3, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        answer(None if sys.argv[1] == "bare" else int(sys.argv[1]))
    else:
        json.dump(parts(), sys.stdout)
