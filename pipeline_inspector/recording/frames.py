"""Where the user's own code stands on a stack, and how a traceback looks without us."""

import sys
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

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

# By file, not by code object: a code object hashes its whole bytecode each time it is looked up.
_foreign: set[str] = set()
_users: set[str] = set()
_FILES_KEPT = 10_000


def stacks() -> dict[int, FrameType]:
    """Where the other threads are, by their number. Without the one that asks: its own frame among its own variables is a
    cycle. By the frame, as under gevent a thread is told another number."""
    asking = id(sys._getframe())
    return {number: frame for number, frame in sys._current_frames().items() if id(frame) != asking}


def users_line(frame: Any) -> tuple[CodeType | None, int]:
    """The innermost line of the user's own code at or above ``frame``: its code object and line, or ``(None, 0)``.

    The user's own is what lies neither in Django, in us, in the standard library nor among installed packages.
    """
    foreign, users = _foreign, _users
    try:
        for _ in _DEEPEST:
            code = frame.f_code
            if code.co_filename in foreign:
                frame = frame.f_back
            elif code.co_filename in users:
                return code, frame.f_lineno
            elif not _learn(code.co_filename):
                break
    except AttributeError:  # no frame: the stack ends here
        pass
    return None, 0


def _learn(file: str) -> bool:
    """Remember whose ``file`` is. Is there anything to be found at it or further out?"""
    if file.endswith(_BORROWED):
        return False
    known = _users if belongs_to_user(file) else _foreign
    if len(known) >= _FILES_KEPT:
        known.clear()
    known.add(file)
    return True


@lru_cache(maxsize=_FILES_KEPT)
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
