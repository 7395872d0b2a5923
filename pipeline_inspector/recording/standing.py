"""The line at which a request in hand stands: of its thread, or of the innermost coroutine that its task waits in. Runs on
the recorder thread only, for requests that are watched."""

import asyncio
import sys
from types import FrameType
from typing import Any

from pipeline_inspector.recording.frames import OURS, users_line
from pipeline_inspector.recording.tape import Tape

_DEEPEST = range(200)
_VIEW = OURS + "probes/view.py"
_IN_A_THREAD = "/asgiref/sync.py"


def standing(tape: Tape) -> str | None:
    """``file:line`` of the user's own code, else of what runs there; None when neither can be told."""
    threads = sys._current_frames()
    if tape.task is None or (tape.view_start and not tape.view_end and tape.view_thread != tape.thread):
        return _told(threads.get(tape.view_thread or tape.thread))
    waiting = _coroutines(tape.task.get_coro())
    if not waiting:
        return _told(threads.get(tape.thread))
    if waiting[-1].f_code.co_filename.endswith(_IN_A_THREAD):
        # A layer runs in a thread; which one, nothing says. What it called may have come back to the loop in another task.
        waiting = _of_view(tape)
        if not waiting:
            return None
    for frame in reversed(waiting):
        code, line = users_line(frame)
        if code is not None:
            return f"{code.co_filename}:{line}"
    return _told(waiting[-1])


def _of_view(tape: Tape) -> list[FrameType]:
    """The frames of the task in which the async view of this request waits, if there is one."""
    if not tape.view_start or tape.view_end:
        return []
    for task in asyncio.all_tasks(tape.task.get_loop()):
        frames = _coroutines(task.get_coro())
        if any(frame.f_code.co_filename == _VIEW and frame.f_locals.get("tape") is tape for frame in frames):
            return frames
    return []


def _told(frame: FrameType | None) -> str | None:
    if frame is None:
        return None
    code, line = users_line(frame)
    return f"{code.co_filename}:{line}" if code is not None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _coroutines(awaiting: Any) -> list[FrameType]:
    """The frames of a suspended coroutine and of those it awaits, outermost first; empty while it is running."""
    found: list[FrameType] = []
    for _ in _DEEPEST:
        if getattr(awaiting, "cr_running", False):
            return []
        frame = getattr(awaiting, "cr_frame", None)
        if frame is None:
            break
        found.append(frame)
        awaiting = awaiting.cr_await
    return found
