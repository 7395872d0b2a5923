"""Where each microsecond goes: the inspector's request path with one part after the other taken out, in one process."""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS, SECONDS = 12, 0.03


def parts(rounds: int = ROUNDS) -> dict[str, float]:
    """Median microseconds that a request saves without a part, beside requests with everything; the last entry is what is
    saved without any."""
    from django.core.handlers.base import BaseHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.signals import request_finished, request_started

    from benchmarks import subject
    from pipeline_inspector import middleware
    from pipeline_inspector.probes import server
    from pipeline_inspector.recording import recorder
    from pipeline_inspector.recording.tape import Tape

    def let_go(tape: Tape) -> None:
        if recorder.running.pop(tape.number, None) is not None:
            tape.open = False
            recorder.clear(tape)

    recorder.finish = let_go
    outermost: Any = middleware.OutermostMiddleware
    handlers: Any = WSGIHandler
    core: Any = BaseHandler
    kept = {
        (handlers, "__call__"): handlers.__call__,
        (core, "make_view_atomic"): core.make_view_atomic,
        (core, "resolve_request"): core.resolve_request,
        (outermost, "open"): outermost.open,
        (outermost, "close"): outermost.close,
    }
    made: list[Any] = []
    load = core.load_middleware

    def loading(self: Any, is_async: bool = False) -> None:
        load(self, is_async)
        made.append(self)

    core.load_middleware = loading
    call = subject._wsgi_call("/")
    hooks = made[0]._view_middleware
    timed = hooks[:]

    def restore() -> None:
        for (owner, name), value in kept.items():
            setattr(owner, name, value)
        hooks[:] = timed
        request_started.connect(server._started, dispatch_uid="pipeline_inspector.started")
        request_finished.connect(server._finished, dispatch_uid="pipeline_inspector.finished")

    def unwrap(owner: Any, name: str) -> Callable[[], None]:
        return lambda: setattr(owner, name, getattr(owner, name).__wrapped__)

    def without_close() -> None:
        request_finished.disconnect(dispatch_uid="pipeline_inspector.finished")
        outermost.close = lambda self, tape, request, response: let_go(tape)

    def without_hooks() -> None:
        hooks[:] = [hook.__wrapped__ for hook in timed]

    def without_started() -> None:
        request_started.disconnect(dispatch_uid="pipeline_inspector.started")

    taken: dict[str, Callable[[], Any]] = {
        "handler: entry, start_response": unwrap(handlers, "__call__"),
        "request_started": without_started,
        "resolver": unwrap(core, "resolve_request"),
        "view": unwrap(core, "make_view_atomic"),
        "process_view hook": without_hooks,
        "closing: answer, attributes, request_finished": without_close,
    }

    def without_tape() -> None:
        for take in list(taken.values())[:-1]:
            take()
        outermost.open = lambda self, request: None

    taken["opening the tape, seams of eight layers and the core"] = without_tape
    found: dict[str, list[float]] = {name: [] for name in taken}

    def median() -> float:
        subject._times("wsgi", SECONDS / 4, call)
        return statistics.median(subject._times("wsgi", SECONDS, call)) / 1e3

    for _ in range(rounds):
        for name, take in taken.items():
            restore()
            whole = median()
            take()
            found[name].append(whole - median())
    restore()
    return {name: statistics.median(times) for name, times in found.items()}


if __name__ == "__main__":
    from benchmarks.subject import STOCK, begin
    from benchmarks.tools import TOOLS

    with tempfile.TemporaryDirectory() as folder:
        begin(TOOLS["inspector"], Path(folder), STOCK)
        json.dump(parts(), sys.stdout)
