"""What every probe shares: where the user's own code stands, and how a traceback looks without us.

A probe is thin, can be put in twice and never changes an outcome: it begins with "no tape: do the original", and a
failure of its own goes to ``faults.note`` and is forgotten.
"""

import sys
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import django

import pipeline_inspector

OURS = str(Path(pipeline_inspector.__file__).parent) + "/"
_DJANGO = str(Path(django.__file__).parent) + "/"
_INSTALLED = ("/site-packages/", "/dist-packages/", "/lib/python", "<frozen", "<string>")
_DEEPEST = 80

# By file, not by code object: a code object hashes its whole bytecode each time it is looked up.
_is_users: dict[str, bool] = {}


def users_line(frame: FrameType | None) -> tuple[CodeType | None, int]:
    """The innermost line of the user's own code at or above ``frame``: its code object and line, or ``(None, 0)``.

    The user's own is what lies neither in Django, in us, in the standard library nor among installed packages.
    """
    known = _is_users
    for _ in range(_DEEPEST):
        if frame is None:
            break
        code = frame.f_code
        file = code.co_filename
        users = known.get(file)
        if users is None:
            users = known[file] = belongs_to_user(file)
            if len(known) > 20_000:
                known.clear()
        if users:
            return code, frame.f_lineno
        frame = frame.f_back
    return None, 0


def belongs_to_user(file: str) -> bool:
    """Is ``file`` a source of the site's own?"""
    return not file.startswith((OURS, _DJANGO)) and not any(part in file for part in _INSTALLED)


def caller(depth: int = 1) -> FrameType:
    """The frame ``depth`` calls above the one that asks."""
    return sys._getframe(depth + 1)  # noqa: SLF001


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
    """Take our frames out of the tracebacks of ``error`` and of what it was raised from."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        seen.__traceback__ = without_ours(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
