"""Exceptions in hand: their text, taken where they are met, so that nothing keeps the exception or its frames alive."""

from collections.abc import Callable
from types import CodeType
from typing import Any

from django.urls import Resolver404

from pipeline_inspector.recording.tape import Tape, now

FRAME_LIMIT = 64
CHAIN_LIMIT = 5
CAUSE_FRAME_LIMIT = 20
MESSAGE_LIMIT = 500
_ERRORS_KEPT = 20

STREAM = "stream", 0
"""Where an exception comes from that ends a streaming response before its end: nobody can answer it any more."""


class ErrorNote:
    """One exception: where it was raised, what it said, its lines outermost first, and who made a response of it.

    ``where`` and ``rescued_by`` are ``(kind, position)``: kind ``layer``, ``hook:<name>``, ``view``, ``render``,
    ``stream``, ``resolver`` or ``django``; the position counts from the inside, 0 is the core.
    """

    __slots__ = (
        "at",
        "chain",
        "chain_frames",
        "frames",
        "identity",
        "message",
        "rescued_at",
        "rescued_by",
        "type",
        "where",
    )

    def __init__(self, error: BaseException, where: tuple[str, int]) -> None:
        self.at = now()
        self.identity = id(error)
        self.where = where
        self.type = type(error).__name__
        self.message = _message(error)
        self.frames = _frames(error, FRAME_LIMIT)
        causes = _causes(error)
        self.chain = [f"{type(cause).__name__}: {_message(cause)}" for cause in causes]
        self.chain_frames = [_frames(cause, CAUSE_FRAME_LIMIT) for cause in causes]
        self.rescued_by: tuple[str, int] | None = None
        self.rescued_at = 0

    def stacks(self, file: Callable[[CodeType], int]) -> list[list[tuple[str, int, int]]]:
        """The frames of the exception, then those of each cause: (function, number of the file as ``file`` says, line)."""
        return [
            [(code.co_qualname, file(code), line) for code, line in frames]
            for frames in (self.frames, *self.chain_frames)
        ]


def note(tape: Tape, error: BaseException, where: tuple[str, int]) -> ErrorNote:
    """Write ``error`` down, or find it when it was met further in already."""
    if tape.errors is None:
        tape.errors = []
    last: ErrorNote | None = tape.errors[-1] if tape.errors else None
    if (
        last is not None
        and last.identity == id(error)
        and (last.rescued_by is None or last.rescued_by[0] == "layer")
        and last.type == type(error).__name__
    ):
        return last
    met = ErrorNote(error, where)
    if len(tape.errors) < _ERRORS_KEPT:
        tape.errors.append(met)
    else:
        tape.dropped += 1
    return met


def _message(error: BaseException) -> str:
    if isinstance(error, Resolver404):
        return "no pattern matches"
    try:
        return str(error)[:MESSAGE_LIMIT]
    except Exception:
        return "(its text could not be made)"


def _frames(error: BaseException, most: int) -> list[tuple[CodeType, int]]:
    link: Any = error.__traceback__
    frames: list[tuple[CodeType, int]] = []
    while link is not None:
        frames.append((link.tb_frame.f_code, link.tb_lineno))
        if len(frames) > most:
            del frames[most // 2]
        link = link.tb_next
    return frames


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(found) < CHAIN_LIMIT:
        found.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found
