"""The row of a request: what a list shows of it, finished or still in hand. Runs on the recorder thread only."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from pipeline_inspector import clock, packed
from pipeline_inspector.packed import NEVER, Packed, PackedError
from pipeline_inspector.recording import views
from pipeline_inspector.recording.errors import STREAM
from pipeline_inspector.recording.standing import Stand, Survey
from pipeline_inspector.recording.tape import ENTRY, EXIT, HOOK, OFF, STRIDE, Tape
from pipeline_inspector.records import Segments, Summary

STANDS_AFTER = 500_000_000
"""Nanoseconds after which a request that still runs is told with the source line where it stands."""


@cache
def own_pid() -> int:
    """The number of this process, without asking the system each time."""
    return os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=own_pid.cache_clear)


class Rows:
    """Makes the rows of one process, whose id is ``process``; ``redactor`` hides secrets in query strings."""

    def __init__(self, process: str, redactor: Any) -> None:
        self._process = process
        self._redactor = redactor

    def running(self, tape: Tape, survey: Callable[[], Survey]) -> Summary:
        """The row of a request that still runs: nothing of it is packed. Durations are up to this moment.

        ``survey`` gives a look at the threads: asked when the request has run long enough to be told where it stands.
        """
        age = clock.now() - tape.opened_at
        stand = survey().stand(tape) if age > STANDS_AFTER else Stand("", 0)
        within = stand.hook or _within(tape)
        view = views.describe(tape.view[0])[0].rpartition(".")[2] if tape.view else ""
        return Summary(
            id=self.identity(tape),
            state="running",
            started_at=clock.iso(tape.wall),
            method=tape.method or "",
            path=tape.path,
            query=self._query(tape),
            duration_ns=(tape.end or clock.now()) - (tape.start or tape.opened_at),
            view=view,
            query_count=tape.query_count,
            template_count=tape.template_count,
            pid=own_pid(),
            process=self._process,
            interface=tape.chain.interface,
            plan_id=tape.chain.plan().id,
            deepest=_deepest(tape),
            toggles=list(tape.off),
            layer_now=tape.chain.layers[within - 1].id if within else None,
            where=stand.line or None,
        )

    def _query(self, tape: Tape) -> str:
        text = tape.meta.get("QUERY_STRING")
        return str(self._redactor.query_string(str(text))) if text else ""

    def identity(self, tape: Tape) -> str:
        """The record's id: URL-safe, unique over all processes."""
        return f"{self._process}-{tape.number:x}"

    def finished(self, tape: Tape, sealed: Packed, plan_id: str, final: tuple[Any, ...] | None) -> Summary:
        """The row of a request that is over; ``final`` are status, headers and cookies of its response, if it has one."""
        error = next((error for error in sealed.errors if error.type != "CancelledError"), None)
        layers = tape.chain.layers
        answerer = _answerer(tape)
        aborted = _is_aborted(tape)
        answered_by = layers[answerer - 1].id if answerer else None
        view = sealed.view
        name = "" if view is None else view.name.rpartition(".")[2] + (f".{view.method}" if view.method else "")
        end = sealed.end if sealed.end != NEVER else max(sealed.closed, sealed.finished, 0)
        return Summary(
            id=self.identity(tape),
            state="aborted" if aborted else "finished",
            started_at=clock.iso(tape.wall),
            method=tape.method or "",
            path=tape.path[:500],
            query=self._query(tape)[:500],
            status=final[0] if final else None,
            duration_ns=end,
            view=name,
            route=sealed.route.pattern if sealed.route else "",
            query_count=tape.query_count,
            template_count=tape.template_count,
            segments=_segments(sealed, end),
            answered_by=answered_by,
            exception=error.type if error else None,
            note=_broken_off(sealed.errors) if aborted else _note(answered_by, error),
            pid=sealed.pid,
            process=self._process,
            interface=tape.chain.interface,
            plan_id=plan_id,
            deepest=_deepest(tape),
            toggles=list(tape.off),
        )


def _within(tape: Tape) -> int:
    """The position of the layer that the request is in: on its way in the innermost it reached, on its way out the
    innermost it has not left. 0 in the core and when the chain is through."""
    slots = tape.slots
    reached = [base for base in range(0, len(slots), STRIDE) if slots[base + ENTRY] not in (0, OFF)]
    return next((base // STRIDE for base in reached if not slots[base + EXIT]), 0) if not tape.end else 0


def _innermost_reached(tape: Tape) -> int:
    """The position that the request got to, -1 when it got nowhere."""
    slots = tape.slots
    for base in range(0, len(slots), STRIDE):
        if slots[base] and slots[base] != OFF:
            return base // STRIDE
    return -1


def _deepest(tape: Tape) -> int:
    innermost = _innermost_reached(tape)
    return len(tape.chain.layers) - innermost if innermost >= 0 else -1


def _answerer(tape: Tape) -> int:
    """The position of the layer that answered by itself, 0 when none did."""
    for event in tape.events:
        if event[0] == HOOK and event[5] == "process_view" and event[6]:
            return int(event[4])
    innermost = _innermost_reached(tape)
    if innermost <= 0 or _raised_at(tape, innermost) or not tape.end or tape.aborted:
        return 0
    return innermost


def _raised_at(tape: Tape, position: int) -> bool:
    return any(error.where == ("layer", position) for error in tape.errors or ())


def _is_aborted(tape: Tape) -> bool:
    way = tape.transport
    if tape.aborted or any(error.where == STREAM for error in tape.errors or ()):
        return True
    if way is None or not way.response_started:
        return False
    return not way.last_byte and (tape.chain.interface == "asgi" or (tape.streaming and way.first_byte > 0))


def _broken_off(errors: list[PackedError]) -> str:
    """What ended a request before its end: an exception that nobody answered, else its client."""
    last = errors[-1] if errors else None
    return last.type if last and last.rescued_by is None and last.type != "CancelledError" else "client went away"


def _note(answered_by: str | None, error: PackedError | None) -> str:
    if error is not None and error.type not in ("Http404", "Resolver404"):
        return error.type
    if answered_by is not None:
        return f"{answered_by.rpartition('.')[2]} answered"
    return "no match" if error is not None and error.type == "Resolver404" else ""


def _segments(sealed: Packed, end: int) -> Segments:
    core = sealed.slots[0]
    if core.reached != packed.REACHED or core.exit == NEVER:
        return Segments(layers=max(0, end))
    resolver = _length(sealed.resolve) + sum(hook[1] - hook[0] for hook in sealed.hooks if hook[4] == "process_view")
    templates = _outer_total(sealed.templates)
    rest = max(0, core.exit - core.entry - resolver - templates)
    return Segments(max(0, end - (core.exit - core.entry)), resolver, rest, templates)


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0] if NEVER not in span else 0


def _outer_total(templates: list[tuple[Any, ...]]) -> int:
    total, outer_start = 0, None
    for start, end, *_ in reversed(templates):
        if outer_start is None or end <= outer_start:
            total += end - start
            outer_start = start
    return total
