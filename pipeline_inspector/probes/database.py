"""Queries: each call of a cursor through any connection, with its rows, its transaction and the user's line.

What happens beneath Django's cursor (a driver's ``COMMIT``, the quoting that ``DEBUG`` asks SQLite for) is not a query
here. ``callproc`` is not seen either: Django hands it to no wrapper.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from sys import _getframe
from threading import get_ident
from types import FrameType
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from pipeline_inspector import clock, faults
from pipeline_inspector.probes.base import users_line
from pipeline_inspector.recording.tape import QUERY, Tape, current

UNKNOWN = -1
"""Rows that the driver did not count; parameter sets that came from an iterator."""

_now = clock.now


def install() -> None:
    """Watch every connection from its next opening on, and those that this thread has open already."""
    connection_created.connect(_opened, dispatch_uid="pipeline_inspector.probes.database")
    try:
        for connection in connections.all(initialized_only=True):
            _opened(connection=connection)
    except Exception as error:  # DATABASES may be wrong: that is for Django to say, when it is used
        faults.note("probes: open connections", error)


def _opened(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    if type(connection.execute_wrappers) is not _Wrappers:
        connection.execute_wrappers = _Wrappers(connection.execute_wrappers)


class _Wrappers(list[Any]):
    """The site's own ``execute_wrappers``, in its hands as before: only the loop of a cursor over them meets ours too.

    An entry of ours in the list would be seen by whoever compares it, counts it, or takes off what it put on last.
    """

    def __reversed__(self) -> Iterator[Any]:
        # Cursors wrap from the inside outward, so ours comes last: it times what the caller waits for.
        return chain(super().__reversed__(), _OURS)


def _watch(
    execute: Callable[..., Any],
    sql: Any,
    params: Any,
    many: bool,
    context: dict[str, Any],
) -> Any:
    tape = current.get()
    if tape is None or not tape.open:
        return execute(sql, params, many, context)
    start = _now()
    try:
        result = execute(sql, params, many, context)
    except BaseException as error:
        end = _now()
        _keep(tape, start, end, sql, params, many, context, type(error).__name__, _getframe(1))
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next
        raise
    end = _now()
    _keep(tape, start, end, sql, params, many, context, None, _getframe(1))
    return result


_OURS = (_watch,)


def _keep(
    tape: Tape,
    start: int,
    end: int,
    sql: Any,
    params: Any,
    many: bool,
    context: dict[str, Any],
    error: str | None,
    frame: FrameType,
) -> None:
    tape.query_count += 1
    try:
        connection = context["connection"]
        rows = getattr(context["cursor"].cursor, "rowcount", None) if error is None else None
        sets = 0
        if many:
            sized = type(params) in (list, tuple)
            sets = len(params) if sized else UNKNOWN
            params = params[0] if sized and sets else None
        code, line = users_line(frame)
        tape.add(
            (
                QUERY,
                start,
                end,
                get_ident(),
                sql if type(sql) is str else str(sql),
                params,
                connection.alias,
                UNKNOWN if rows is None else rows,
                sets,
                connection.in_atomic_block,
                error,
                code,
                line,
            )
        )
    except Exception as failure:
        faults.note("probes: query", failure)
