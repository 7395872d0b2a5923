"""Where the user's own code stands on a stack, and how a traceback looks without us."""

import gc
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType
from typing import Any

import django

import pipeline_inspector
from pipeline_inspector import compiled, faults

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
_lines: dict[tuple[int, int], tuple[CodeType, int]] = {}


def pure_current_frames() -> dict[int, FrameType]:
    """``sys._current_frames()`` with Python's collector at rest: what that calls may wait for a lock that the interpreter
    holds meanwhile, and all threads would wait for ever with it (CPython's issue 106883)."""
    with _resting:
        collects = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()
        finally:
            if collects:
                gc.enable()


current_frames: Callable[[], dict[int, FrameType]] = getattr(compiled.half, "current_frames", pure_current_frames)

_resting = threading.Lock()
"""Whoever holds it has the collector rest. A process is not forked meanwhile: its child would never collect."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_resting.acquire, after_in_parent=_resting.release, after_in_child=_resting.release)


def stacks() -> dict[int, FrameType]:
    """Where the other threads are, by their number. Without the one that asks: its own frame among its own variables is a
    cycle. By the frame, as under gevent a thread is told another number."""
    asking = id(sys._getframe())
    return {
        number: frame
        for number, frame in current_frames().items()
        if id(frame) != asking and id(frame.f_back) != asking  # what asks may be a function in Python
    }


def users_place(frame: Any) -> tuple[CodeType | None, int]:
    """Where the user's own code stands at or above ``frame``, innermost: its code object and how many bytes into its
    bytecode, of which ``line_at()`` makes the line; or ``(None, 0)``.

    The user's own is what lies neither in Django, in us, in the standard library nor among installed packages.
    """
    foreign, users = _foreign, _users
    try:
        for _ in _DEEPEST:
            code = frame.f_code
            if code.co_filename in foreign:
                frame = frame.f_back
            elif code.co_filename in users:
                return code, frame.f_lasti
            elif not _learn(code.co_filename):
                break
    except AttributeError:  # no frame: the stack ends here
        pass
    return None, 0


def begins_with(called: Any) -> tuple[CodeType, Any] | None:
    """The code that a call of ``called`` begins with, and the instance that is its first argument, None for a function. None
    when no frame of Python's begins there."""
    instance = None
    if isinstance(called, MethodType):
        instance, called = called.__self__, called.__func__
    elif not isinstance(called, FunctionType):
        instance, called = called, getattr(type(called), "__call__", None)  # noqa: B004 - it is looked into
    return (called.__code__, instance) if isinstance(called, FunctionType) else None


def line_at(code: CodeType | None, place: int) -> int:
    """The line of the instruction that is ``place`` bytes into the bytecode of ``code``; 0 where there is none. Python looks
    for it from the code's first line on, so this belongs to the recorder thread."""
    if code is None:
        return 0
    known = _lines.get((id(code), place))
    if known is None:
        if len(_lines) >= _FILES_KEPT:
            _lines.clear()
        found = (line for start, end, line in code.co_lines() if start <= place < end)
        known = _lines[id(code), place] = code, next(found, None) or code.co_firstlineno
    return known[1]


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
