"""What every probe shares: how a traceback looks without us, and where the user's own code stands.

A probe is thin, can be put in twice and never changes an outcome: it begins with "no tape: do the original", and a
failure of its own goes to ``faults.note`` and is forgotten.
"""

from pipeline_inspector import faults
from pipeline_inspector.recording import errors
from pipeline_inspector.recording.errors import ErrorNote
from pipeline_inspector.recording.frames import belongs_to_user, strip, users_place
from pipeline_inspector.recording.tape import Tape

__all__ = ["belongs_to_user", "met", "strip", "users_place"]


def met(tape: Tape, error: BaseException, where: tuple[str, int]) -> ErrorNote | None:
    """Write the site's ``error`` down, our frames out of its traceback; None when that failed. Never raises."""
    try:
        strip(error)
        return errors.note(tape, error, where)
    except Exception as fault:
        faults.note("probes: exception", fault)
        return None
