"""Where a request in hand stands: the source line that its thread or its task is at now. For the recorder thread only.

A thread works for a request when a frame of ours on its stack holds the tape, or when asgiref runs it in a copy of the
request's context. A thread that lends itself while a coroutine runs elsewhere leads to that coroutine, and a task to what
it awaits. Nothing of this asks anything of the request's path.
"""

import gc
from asyncio import Task
from collections.abc import Iterator
from contextvars import Context
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

from pipeline_inspector.recording.frames import OURS, belongs_to_user, stacks
from pipeline_inspector.recording.tape import Tape, current

_ASGIREF = "/asgiref/sync.py"
_HOOKS = OURS + "probes/hooks.py"
_BOUNDARIES = tuple(
    OURS + file
    for file in (
        "probes/layers.py",
        "probes/hooks.py",
        "probes/view.py",
        "recording/transport.py",
        "middleware.py",
    )
)
"""Beyond a frame of these files another layer's code stands. A compiled seam has no frame: there the chain
knows with which frame a layer, or the core, begins."""

_DEEPEST = range(400)


class Stand(NamedTuple):
    """``line`` is ``file:line``, "" when it is not known; ``hook`` the position of the layer whose hook runs, 0: none."""

    line: str
    hook: int


class Survey:
    """One look at all threads of this process. It holds frames: let go of it soon."""

    def __init__(self) -> None:
        self._at: dict[int, list[FrameType]] = {}
        self._awaited: dict[int, Any] = {}
        self._lent: dict[int, Any] = {}
        for thread, frame in stacks().items():
            self._look(thread, frame)

    def stand(self, tape: Tape) -> Stand:
        """Where the request of ``tape`` is."""
        awaited = self._awaited.get(tape.number) or tape.task
        if awaited is None and tape.chain.interface == "wsgi":  # the chain is through, the response being read
            awaited = self._lent.get(tape.thread)
        suspended = list(awaiting(awaited))[::-1]
        frames = self._at.get(tape.number) or suspended
        return Stand(_line(frames, tape), _hook(frames) or _hook(suspended))

    def _look(self, thread: int, frame: FrameType | None) -> None:
        """Find whose request a thread works for, from its innermost frame outward, and the coroutine it is lent to."""
        frames: list[FrameType] = []
        number = 0
        awaited = None
        for _ in _DEEPEST:
            if frame is None:
                break
            file = frame.f_code.co_filename
            if awaited is None and frame.f_code.co_qualname == "AsyncToSync.__call__" and file.endswith(_ASGIREF):
                awaited = frame.f_locals.get("awaitable")
            if not number:
                frames.append(frame)
                if file.startswith(_BOUNDARIES) or file.endswith(_ASGIREF):
                    number = getattr(_tape_of(frame, file), "number", 0)
                    if number and awaited is None:
                        self._at[number] = frames
            frame = frame.f_back
        if number and awaited is not None:
            self._awaited[number] = awaited
        self._lent[thread] = awaited


def _tape_of(frame: FrameType, file: str) -> Tape | None:
    """The tape that ``frame``, a boundary or of asgiref's, works for."""
    found: Any = None
    names = frame.f_locals
    if file.startswith(OURS):
        found = names.get("tape") or getattr(names.get("self"), "_tape", None)
    else:
        context = names.get("context")
        if type(context) is not Context:
            context = getattr(names.get("func"), "__self__", None)
        found = context.get(current) if type(context) is Context else None
    return found if type(found) is Tape else None


def awaiting(awaited: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine or task, and of what it awaits, outermost first."""
    for _ in _DEEPEST:
        frame: FrameType | None
        match awaited:
            case CoroutineType():
                frame, awaited = awaited.cr_frame, awaited.cr_await
            case AsyncGeneratorType():
                frame, awaited = awaited.ag_frame, awaited.ag_await
            case GeneratorType():
                frame, awaited = awaited.gi_frame, awaited.gi_yieldfrom
            case Task():
                frame, awaited = None, awaited.get_coro()
            case None:
                return
            case _:
                frame, awaited = None, _inside(awaited)
        if frame is not None:
            yield frame


def _inside(awaited: Any) -> Any:
    """What an awaitable written in C, such as the step of an async generator, goes on with."""
    kinds = (CoroutineType, AsyncGeneratorType, GeneratorType, Task)
    return next((found for found in gc.get_referents(awaited) if isinstance(found, kinds)), None)


def _line(frames: list[FrameType], tape: Tape) -> str:
    """The innermost line of the site's own within the layer, hook or view; where there is none, the innermost line."""
    innermost = None
    for frame in frames:
        file = frame.f_code.co_filename
        if file.startswith(_BOUNDARIES):
            break
        if belongs_to_user(file):
            return f"{file}:{frame.f_lineno}"
        innermost = innermost or (None if file.startswith(OURS) else frame)
        if tape.chain.begins_at(frame):
            break
    return f"{innermost.f_code.co_filename}:{innermost.f_lineno}" if innermost is not None else ""


def _hook(frames: list[FrameType]) -> int:
    hooks = (frame for frame in frames if frame.f_code.co_filename == _HOOKS)
    return next((frame.f_locals["position"] for frame in hooks if "position" in frame.f_locals), 0)
