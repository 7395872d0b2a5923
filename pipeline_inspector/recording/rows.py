"""The row of a request: what a list shows of it, finished or still in hand. Runs on the recorder thread only."""

import os
from collections.abc import Callable
from typing import Any

from pipeline_inspector import clock
from pipeline_inspector.recording import views
from pipeline_inspector.recording.errors import STREAM, ErrorNote
from pipeline_inspector.recording.slots import ENTRY, EXIT, OFF, STRIDE
from pipeline_inspector.recording.standing import Stand, Survey
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import Segments, Summary

STANDS_AFTER = 500_000_000
"""Nanoseconds after which a request that still runs is told with the source line where it stands."""

Core = tuple[int, int, int]
"""What the row tells of the core: nanoseconds in ``process_view`` hooks and in templates, and the position of the layer
whose hook answered (0: none did)."""


class Rows:
    """Makes the rows of one process, whose id is ``process``; ``redactor`` hides secrets in query strings."""

    def __init__(self, process: str, redactor: Any) -> None:
        self.pid = os.getpid()
        self._process = process
        self._ids = f"{process}-%x"
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
            id=self._ids % tape.number,
            state="running",
            started_at=clock.iso(tape.wall),
            method=tape.method or "",
            path=tape.path,
            query=self._query(tape),
            duration_ns=(tape.end or clock.now()) - (tape.start or tape.opened_at),
            view=view,
            query_count=tape.query_count,
            template_count=tape.template_count,
            pid=self.pid,
            process=self._process,
            interface=tape.chain.interface,
            plan_id=tape.chain.plan().id,
            deepest=_deepest(tape),
            toggles=tape.off,
            layer_now=tape.chain.layers[within - 1].id if within else None,
            where=stand.line or None,
        )

    def _query(self, tape: Tape) -> str:
        text = tape.meta.get("QUERY_STRING")
        return str(self._redactor.query_string(str(text))) if text else ""

    def finished(self, tape: Tape, plan_id: str, view: str, route: str, status: int | None, core: Core) -> Summary:
        """The row of a request that is over, through the chain ``plan_id`` to the ``view`` of ``route``, whose response,
        if it has one, has ``status``."""
        slots, chain, start, errors = tape.slots, tape.chain, tape.start or tape.opened_at, tape.errors
        innermost = 0 if slots[ENTRY] > 0 else _innermost_reached(slots)
        aborted = (tape.aborted or errors or tape.streaming or chain.interface == "asgi") and _is_aborted(tape)
        duration = (tape.end or max(tape.closed_at, tape.finished_at, start)) - start
        answered_by = exception = None
        note = ""
        layers = chain.layers
        if innermost or errors or core[2]:
            answerer = core[2] or _answerer(tape, innermost)
            answered_by = layers[answerer - 1].id if answerer else None
            exception = next((error.type for error in errors or () if error.type != "CancelledError"), None)
            note = _note(answered_by, exception)
        return Summary(  # by position: for the names alone it would take five times as long
            self._ids % tape.number,
            0,
            "aborted" if aborted else "finished",
            clock.iso(tape.wall),
            tape.method or "",
            tape.path[:500],
            self._query(tape)[:500] if tape.meta.get("QUERY_STRING") else "",
            status,
            duration,
            view,
            route,
            tape.query_count,
            tape.template_count,
            _segments(tape, duration, core),
            answered_by,
            exception,
            _broken_off(errors) if aborted else note,
            self.pid,
            self._process,
            chain.interface,
            plan_id,
            len(layers) - innermost if innermost >= 0 else -1,
            tape.off,
        )


def _within(tape: Tape) -> int:
    """The position of the layer that the request is in: on its way in the innermost it reached, on its way out the
    innermost it has not left. 0 in the core and when the chain is through."""
    slots = tape.slots
    reached = [base for base in range(0, len(slots), STRIDE) if slots[base + ENTRY] not in (0, OFF)]
    return next((base // STRIDE for base in reached if not slots[base + EXIT]), 0) if not tape.end else 0


def _innermost_reached(slots: list[Any]) -> int:
    """The position that the request got to, -1 when it got nowhere."""
    for base in range(0, len(slots), STRIDE):
        if slots[base] and slots[base] != OFF:
            return base // STRIDE
    return -1


def _deepest(tape: Tape) -> int:
    innermost = _innermost_reached(tape.slots)
    return len(tape.chain.layers) - innermost if innermost >= 0 else -1


def _answerer(tape: Tape, innermost: int) -> int:
    """The position of the layer that answered by itself, 0 when none did."""
    if innermost <= 0 or _raised_at(tape, innermost) or not tape.end or tape.aborted:
        return 0
    return innermost


def _raised_at(tape: Tape, position: int) -> bool:
    return any(error.where == ("layer", position) for error in tape.errors or ())


def _is_aborted(tape: Tape) -> bool:
    if tape.aborted or (tape.errors and any(error.where == STREAM for error in tape.errors)):
        return True
    way = tape.transport
    if way is None or way.last_byte or not way.response_started:
        return False
    return tape.chain.interface == "asgi" or (tape.streaming and way.first_byte > 0)


def _broken_off(errors: list[ErrorNote] | None) -> str:
    """What ended a request before its end: an exception that nobody answered, else its client."""
    last = errors[-1] if errors else None
    return last.type if last and last.rescued_by is None and last.type != "CancelledError" else "client went away"


def _note(answered_by: str | None, exception: str | None) -> str:
    if exception not in (None, "Http404", "Resolver404"):
        return str(exception)
    if answered_by is not None:
        return f"{answered_by.rpartition('.')[2]} answered"
    return "no match" if exception == "Resolver404" else ""


def _segments(tape: Tape, end: int, core: Core) -> Segments:
    slots = tape.slots
    entry, left = slots[ENTRY], slots[EXIT]
    if entry <= 0 or not left:
        return Segments(max(0, end))
    resolver, templates, _ = core
    if tape.resolve_start and tape.resolve_end:
        resolver += tape.resolve_end - tape.resolve_start
    inside = left - entry
    layers, view = end - inside, inside - resolver - templates
    return Segments(layers if layers > 0 else 0, resolver, view if view > 0 else 0, templates)


def outer_total(templates: list[tuple[Any, ...]]) -> int:
    """Nanoseconds in ``templates`` (start, end, …) that lie in no other one."""
    total, outer_start = 0, None
    for start, end, *_ in reversed(templates):
        if outer_start is None or end <= outer_start:
            total += end - start
            outer_start = start
    return total
