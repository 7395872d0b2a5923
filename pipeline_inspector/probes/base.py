"""What every probe shares: how a traceback looks without us, and where the user's own code stands.

A probe is thin, can be put in twice and never changes an outcome: it begins with "no tape: do the original", and a
failure of its own goes to ``faults.note`` and is forgotten.
"""

from types import TracebackType

from pipeline_inspector import faults
from pipeline_inspector.recording import errors
from pipeline_inspector.recording.errors import ErrorNote
from pipeline_inspector.recording.frames import OURS, belongs_to_user, users_line
from pipeline_inspector.recording.tape import Tape

__all__ = ["belongs_to_user", "met", "strip", "users_line", "without_ours"]


def met(tape: Tape, error: BaseException, where: tuple[str, int]) -> ErrorNote | None:
    """Write the site's ``error`` down, our frames out of its traceback; None when that failed. Never raises."""
    try:
        strip(error)
        return errors.note(tape, error, where)
    except Exception as fault:
        faults.note("probes: exception", fault)
        return None


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
