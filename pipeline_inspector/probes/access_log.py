"""The servers' access logs without our own pages: a filter on the loggers that write a line per request."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pipeline_inspector import faults

LOGGERS = (
    "django.server",
    "django.channels.server",
    "daphne.server",
    "uvicorn.access",
    "gunicorn.access",
    "hypercorn.access",
    "django.request",
)


class OwnPathsFilter(logging.Filter):
    """Lets every line pass but those about a path under ``prefix()``."""

    def __init__(self, prefix: Callable[[], str]) -> None:
        super().__init__()
        self.prefix = prefix

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line of ours."""
        try:
            return not any(_names(part, self.prefix()) for part in _parts(record))
        except Exception as fault:
            faults.note("probes: access log", fault)
            return True


def _parts(record: logging.LogRecord) -> list[Any]:
    args = record.args
    if isinstance(args, Mapping):
        return list(args.values())
    return [record.msg, *(args or ())] if isinstance(args, tuple) else [record.msg]


def _names(part: Any, prefix: str) -> bool:
    if isinstance(part, Mapping):
        return any(_names(value, prefix) for value in part.values())
    return isinstance(part, str) and (part.startswith(prefix) or f" {prefix}" in part[:200])


def install(prefix: Callable[[], str]) -> None:
    """Put the filter on the servers' loggers. Once per process; twice is harmless."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, OwnPathsFilter) for known in logger.filters):
            logger.addFilter(OwnPathsFilter(prefix))
