"""Where the user's own code stands on a stack, and how a traceback looks without us."""

import sys
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import django

import pipeline_inspector
from pipeline_inspector import faults

OURS = str(Path(pipeline_inspector.__file__).parent) + "/"
DJANGO = str(Path(django.__file__).parent) + "/"
_GENERATED = "<"
_INSTALLED = ("/site-packages/", "/dist-packages/", "/lib/python")
_DEEPEST = range(80)

_BORROWED = "/asgiref/current_thread_executor.py"
"""Beyond a frame of this file a thread waits and lends itself: what is further out did not call."""

# By file, not by code object: a code object hashes its whole bytecode each time it is looked up. None: look no further.
_is_users: dict[str, bool | None] = {}


def stacks() -> dict[int, FrameType]:
    """Where the other threads are, by their number. Without the one that asks: its own frame among its own variables is a
    cycle. By the frame, as under gevent a thread is told another number."""
    asking = id(sys._getframe())
    return {number: frame for number, frame in sys._current_frames().items() if id(frame) != asking}


def users_line(frame: FrameType | None) -> tuple[CodeType | None, int]:
    """The innermost line of the user's own code at or above ``frame``: its code object and line, or ``(None, 0)``.

    The user's own is what lies neither in Django, in us, in the standard library nor among installed packages.
    """
    known = _is_users
    for _ in _DEEPEST:
        if frame is None:
            break
        code = frame.f_code
        try:
            users = known[code.co_filename]
        except KeyError:
            users = _learn(code.co_filename)
        if users is not False:
            if users:
                return code, frame.f_lineno
            break
        frame = frame.f_back
    return None, 0


def _learn(file: str) -> bool | None:
    if len(_is_users) > 20_000:
        _is_users.clear()
    users = _is_users[file] = None if file.endswith(_BORROWED) else belongs_to_user(file)
    return users


def belongs_to_user(file: str) -> bool:
    """Is ``file`` a source of the site's own?"""
    return not file.startswith((OURS, DJANGO, _GENERATED)) and not any(part in file for part in _INSTALLED)


def without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """``traceback`` with our own frames taken out, in place: what the developer would see without us."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(OURS):
        traceback = traceback.tb_next
    link = traceback
    while link is not None:
        following = link.tb_next
        while following is not None and following.tb_frame.f_code.co_filename.startswith(OURS):
            following = following.tb_next
        if following is not link.tb_next:
            link.tb_next = following
        link = following
    return traceback


def strip(error: BaseException) -> None:
    """Take our frames out of the tracebacks of ``error`` and of what it was raised from. Never raises."""
    seen: BaseException | None = error
    try:
        for _ in range(10):
            if seen is None:
                return
            seen.__traceback__ = without_ours(seen.__traceback__)
            seen = seen.__context__ if seen.__cause__ is None else seen.__cause__
    except Exception as fault:
        faults.note("probes: traceback", fault)
