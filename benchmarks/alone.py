"""The request path alone: eight stock layers, with no recorder at work beside it. Tapes are let go of between requests.

The processes take turns, and are started anew again and again, because each has a layout of memory of its own, which is
worth a microsecond or two. Of each start the fastest round counts: what else the machine does makes a round slower,
never faster.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import Process
from pipeline_inspector.compiled import PURE

STARTS, ROUNDS, REQUESTS = 8, 12, 400
PATHS = {"the handler called": "wsgi", "Django's test client": "client", "ASGI, on one processor": "asgi"}
ASGI_REQUESTS = 40
"""Under ASGI Django changes threads at nearly every layer. On one processor none of them has to be woken on
another, which takes longer, and not always the same."""
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "bare": ("bare", {}),
    "floor": ("floor", {}),
    "inspector": ("inspector", {}),
    "inspector, without the compiled half": ("inspector", {PURE: "1"}),
}


def by_turns(commands: list[tuple[tuple[str, ...], dict[str, str]]]) -> list[list[float]]:
    """Microseconds of a request in the fastest round of each start, for each command with its environment: ``python -m``
    with it is to end in ``answer()``."""
    fastest: list[list[float]] = [[] for _ in commands]
    for _ in range(STARTS):
        stages = [Process(*command, environ=environ) for command, environ in commands]
        rounds = [[float(stage.answer("")) for stage in stages] for _ in range(ROUNDS)]
        for stage, times, kept in zip(stages, zip(*rounds, strict=True), fastest, strict=True):
            stage.close()
            kept.append(min(times))
    return fastest


def alone() -> dict[str, dict[str, tuple[float, float, float]]]:
    """By kind and path: what a request takes, what that is more than beside it on the bare site, and as a ratio; each the
    median over the starts."""
    found: dict[str, dict[str, tuple[float, float, float]]] = {kind: {} for kind in KINDS}
    for path, interface in PATHS.items():
        commands = [(("benchmarks.alone", tool, interface), environ) for tool, environ in KINDS.values()]
        fastest = by_turns(commands)
        for kind, times in zip(KINDS, fastest, strict=True):
            both = list(zip(times, fastest[0], strict=True))
            found[kind][path] = (
                statistics.median(times),
                statistics.median(one - bare for one, bare in both),
                statistics.median(one / bare for one, bare in both),
            )
    return found


def answer(tool: str, interface: str, prepare: Callable[[], None] = lambda: None) -> None:
    """Be a stage: tell a median for each line that comes. ``prepare`` is called before the handler is made."""
    from benchmarks import subject
    from benchmarks.tools import TOOLS

    queue: Any = []
    running: Any = {}
    with tempfile.TemporaryDirectory() as folder:
        subject.begin(TOOLS[tool], Path(folder), subject.STOCK)
        if tool == "inspector":
            from pipeline_inspector.recording import recorder

            recorder._start = lambda: None
            recorder.asleep = False  # there is nobody to wake
            queue, running = recorder.waiting, recorder.running
        prepare()
        call = subject._CALLS[interface]("/")
        depths, requests = subject.DEEPEST, REQUESTS
        if interface == "asgi":
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            loop, arrives = asyncio.new_event_loop(), call
            call, depths, requests = lambda: loop.run_until_complete(arrives()), 1, ASGI_REQUESTS
        now = time.perf_counter_ns
        times: list[int] = []
        for _ in sys.stdin:
            times.clear()
            for number in range(requests):
                start = now()
                subject._at_depth(number % depths, call)
                times.append(now() - start)
                while queue:
                    recorder.clear(queue.popleft())
                while running:
                    recorder.clear(running.popitem()[1])
            print(statistics.median(times) / 1e3, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        answer(*sys.argv[1:])
    else:
        json.dump(alone(), sys.stdout)
