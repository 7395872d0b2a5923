"""The row of a request: what a list shows of it, finished or still in hand. Runs on the recorder thread only."""

import os
from functools import cache
from typing import Any

from pipeline_inspector import clock, packed
from pipeline_inspector.packed import NEVER, Packed, PackedError
from pipeline_inspector.recording import views
from pipeline_inspector.recording.standing import standing
from pipeline_inspector.recording.tape import ENTRY, EXIT, HOOK, OFF, STRIDE, Tape
from pipeline_inspector.records import Segments, Summary


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

    def running(self, tape: Tape) -> Summary:
        """The row of a request that still runs: nothing of it is packed. Durations are up to this moment."""
        slots = tape.slots
        inside = next((base for base in range(0, len(slots), STRIDE) if slots[base + ENTRY] not in (0, OFF)), None)
        now_in = None
        if inside is not None and inside:
            left = slots[inside + EXIT]
            outer = [layer for layer in tape.chain.layers if not slots[layer.position * STRIDE + EXIT]]
            now_in = tape.chain.layers[inside // STRIDE - 1].id if not left else (outer[0].id if outer else None)
        elif inside == 0 and slots[EXIT]:
            outer = [
                layer
                for layer in tape.chain.layers
                if slots[layer.position * STRIDE + ENTRY] != OFF and not slots[layer.position * STRIDE + EXIT]
            ]
            now_in = outer[0].id if outer else None
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
            layer_now=now_in,
            where=standing(tape) if clock.now() - tape.opened_at > 500_000_000 else None,
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
            note=_note(answered_by, error, aborted=aborted),
            pid=sealed.pid,
            process=self._process,
            interface=tape.chain.interface,
            plan_id=plan_id,
            deepest=_deepest(tape),
            toggles=list(tape.off),
        )


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
    if tape.aborted:
        return True
    if way is None or not way.response_started:
        return False
    return not way.last_byte and (tape.chain.interface == "asgi" or (tape.streaming and way.first_byte > 0))


def _note(answered_by: str | None, error: PackedError | None, *, aborted: bool) -> str:
    if aborted:
        return "client went away"
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
