"""Log lines: each record that a logger hands to its handlers while the request runs.

Watched at ``Logger.callHandlers``: a handler of ours on the root logger would be seen by ``basicConfig()``, switch off the
handler of last resort, and miss loggers that do not propagate. A line is kept as a handler wrote it out, when one did;
else as template and arguments, which nobody has asked for their text yet.
"""

import logging
from collections.abc import Callable
from functools import cache, wraps
from threading import get_ident
from typing import Any

from pipeline_inspector import clock, faults
from pipeline_inspector.recording.kinds import LOG
from pipeline_inspector.recording.tape import Tape, tape_in_hand

_OURS = "pipeline_inspector"
_now = clock.now


@cache
def install() -> None:
    """Watch all loggers but our own."""
    logging.Logger.callHandlers = _call_handlers(logging.Logger.callHandlers)  # type: ignore[method-assign]


def _call_handlers(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> Any:  # noqa: N802 - stands for it
        tape = tape_in_hand()
        if tape is None or not tape.open or (record.name.startswith(_OURS) and record.name.partition(".")[0] == _OURS):
            return original(self, record)
        start = _now()
        try:
            return original(self, record)
        except BaseException as error:
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        finally:
            _keep(tape, start, _now(), record)

    return callHandlers


def _keep(tape: Tape, start: int, end: int, record: logging.LogRecord) -> None:
    try:
        written = record.__dict__.get("message")
        template, args = (record.msg, record.args) if written is None else (written, ())
        tape.add(
            (
                LOG,
                start,
                end,
                get_ident(),
                record.levelname,
                record.name,
                template,
                args,
                record.pathname,
                record.lineno,
            )
        )
    except Exception as fault:
        faults.note("probes: log line", fault)
