"""Call paths: the real stack of a thread as plain frames, and the whole way from a server to the application.

A server hands a request over: to another thread, or to a task of its own. Then the stack of who serves begins there, and
what lies before it is looked for where it waits.
"""

import asyncio
import dis
import sys
import threading
from collections.abc import Iterable
from types import FrameType

from django.core.handlers.asgi import ASGIHandler

from pipeline_inspector.recording.frames import OURS, stacks
from pipeline_inspector.recording.standing import awaiting
from pipeline_inspector.records import Frame

FRAMES_KEPT = 100

_DJANGO_MAIN_THREAD = "django-main-thread"

# What a server's own files are called, where a thread of it hands requests to other threads.
_HANDING_ON = ("/socketserver.py", "/gunicorn/", "/waitress/", "/cheroot/", "/werkzeug/", "/granian/")
_HANDLE = ASGIHandler.handle.__code__

# Steps that no stack of a later moment shows: the caller and its file, the name it knows the owner by, the owner's method.
_OVER_SOON = {
    ("ManagementUtility.execute", "/django/core/management/__init__.py"): ("self", "fetch_command"),
    ("run", "/django/core/servers/basehttp.py"): ("httpd", "set_app"),
}


def main_threads() -> list[threading.Thread]:
    """The main thread, and that of ``runserver`` where the reloader has the main one; without the one that asks."""
    own = threading.current_thread()
    return [
        thread
        for thread in threading.enumerate()
        if thread is not own and (thread is threading.main_thread() or thread.name == _DJANGO_MAIN_THREAD)
    ]


def of(frame: FrameType | None) -> list[Frame]:
    """The stack that ends in ``frame``, outermost first, without our own frames."""
    return _told(_stack(frame)[::-1])


def here() -> list[Frame]:
    """The call stack of this thread, outermost first, without our own frames."""
    return of(sys._getframe(1))


def from_server() -> list[Frame]:
    """The way from the server to here: before the stack of this thread, that of the thread or task that handed on."""
    stack = _stack(sys._getframe(1))[::-1]
    step = next((number for number, frame in enumerate(stack) if frame.f_code.co_qualname == "Handle._run"), None)
    if step is not None:
        return _told([*stack[: step + 1], *_before_this_task(), *stack[step + 1 :]])
    return _told([*_before_this_thread(stack), *stack])


def _before_this_task() -> list[FrameType]:
    """Where the task that made this one in ``ASGIHandler.handle`` waits for it; empty when it is the server's own."""
    mine = asyncio.current_task()
    for task in asyncio.all_tasks():
        frames = list(awaiting(task))
        for number, frame in enumerate(frames):
            if frame.f_code is _HANDLE and mine in (frame.f_locals.get("tasks") or ()):
                return [frame for frame in frames[: number + 1] if not _is_ours(frame)]
    return []


def _before_this_thread(stack: list[FrameType]) -> list[FrameType]:
    """Of the thread that took the request from the socket, the server's own frames; empty when it is this one."""
    if not stack or stack[0].f_code.co_qualname != "Thread._bootstrap":
        return []
    frames = stacks()
    for thread in main_threads():
        waiting = _stack(frames.get(thread.ident or 0))[::-1]
        found = [frame for frame in waiting if any(mark in frame.f_code.co_filename for mark in _HANDING_ON)]
        if found:
            return found
    return []


def _stack(frame: FrameType | None) -> list[FrameType]:
    found: list[FrameType] = []
    while frame is not None and len(found) < FRAMES_KEPT:
        if not _is_ours(frame):
            found.append(frame)
        frame = frame.f_back
    return found


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(OURS)


def _told(frames: Iterable[FrameType]) -> list[Frame]:
    told: list[Frame] = []
    for frame in frames:
        told.append(Frame(frame.f_code.co_qualname, frame.f_code.co_filename, frame.f_lineno or 0))
        told.extend(_returned(frame))
    return told


def _returned(frame: FrameType) -> Iterable[Frame]:
    """What ``frame`` called and has behind it, where that is a step of the way."""
    code = frame.f_code
    for (caller, file), (owner, method) in _OVER_SOON.items():
        if caller == code.co_qualname and code.co_filename.replace("\\", "/").endswith(file):
            calls = (step.offset for step in dis.get_instructions(code) if step.argval == method)
            if any(offset < frame.f_lasti for offset in calls):
                called = getattr(frame.f_locals[owner], method).__code__
                yield Frame(called.co_qualname, called.co_filename, called.co_firstlineno, returned=True)
