"""The line at which a request in hand stands: of its thread, or of the innermost coroutine that its task waits in. Runs on
the recorder thread only, for requests that are watched."""

import sys
from types import FrameType
from typing import Any

from pipeline_inspector.recording.frames import users_line
from pipeline_inspector.recording.tape import Tape

_DEEPEST = range(200)
_IN_A_THREAD = "/asgiref/sync.py"


def standing(tape: Tape) -> str | None:
    """``file:line`` of the user's own code, else of what runs there; None when neither can be told."""
    threads = sys._current_frames()
    if tape.task is None or (tape.view_start and not tape.view_end and tape.view_thread != tape.thread):
        return _told(threads.get(tape.view_thread or tape.thread))
    waiting = _coroutines(tape.task.get_coro())
    if not waiting:
        return _told(threads.get(tape.thread))
    if not tape.view_start and waiting[-1].f_code.co_filename.endswith(_IN_A_THREAD):
        return None  # a layer runs in a thread, and nothing says in which
    for frame in reversed(waiting):
        code, line = users_line(frame)
        if code is not None:
            return f"{code.co_filename}:{line}"
    return _told(waiting[-1])


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
