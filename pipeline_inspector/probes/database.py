"""Queries: each call of a cursor through any connection, with its rows, its transaction and the user's line.

Watched at the methods of Django's ``CursorWrapper``, which every cursor of every connection passes, in any thread. An
entry of ours in ``connection.execute_wrappers`` would be seen by whoever compares that list, counts it or takes off what
it put on last, and costs two more calls per query. What happens beneath Django's cursor (a driver's ``COMMIT``, the
quoting that ``DEBUG`` asks SQLite for) is not a query here.
"""

from collections.abc import Callable, Iterator
from functools import cache, wraps
from sys import _getframe
from threading import get_ident
from typing import Any

from django.db.backends.utils import CursorWrapper

from pipeline_inspector import clock, faults
from pipeline_inspector.probes.base import strip, users_place
from pipeline_inspector.recording.kinds import QUERIES_KEPT, QUERY
from pipeline_inspector.recording.tape import Tape, tape_in_hand

UNKNOWN = -1
"""Rows that the driver did not count; parameter sets that came from an iterator."""

_SIZED = frozenset({list, tuple})

Method = Callable[..., Any]

_now = clock.now


@cache
def install() -> None:
    """Watch the cursors of all connections."""
    CursorWrapper.execute = _execute(CursorWrapper.execute)  # type: ignore[method-assign]
    CursorWrapper.executemany = _executemany(CursorWrapper.executemany)  # type: ignore[method-assign]
    CursorWrapper.callproc = _callproc(CursorWrapper.callproc)  # type: ignore[method-assign]
    CursorWrapper.__iter__ = _iter(CursorWrapper.__iter__)  # type: ignore[method-assign]
    CursorWrapper._pipeline_rows = None  # type: ignore[attr-defined]
    for name in ("fetchone", "fetchmany", "fetchall"):
        setattr(CursorWrapper, name, _fetch(name))


def _execute(original: Method) -> Method:
    @wraps(original)
    def execute(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, sql, params)
        start = _now()
        try:
            result = original(self, sql, params)
        except BaseException as error:
            _keep(tape, start, self, sql, params, 0, error)
            raise
        _keep(tape, start, self, sql, params, 0, None)
        return result

    return execute


def _executemany(original: Method) -> Method:
    @wraps(original)
    def executemany(self: CursorWrapper, sql: Any, param_list: Any) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, sql, param_list)
        sized = type(param_list) in (list, tuple)
        sets = len(param_list) if sized else UNKNOWN
        first = param_list[0] if sized and sets else None
        start = _now()
        try:
            result = original(self, sql, param_list)
        except BaseException as error:
            _keep(tape, start, self, sql, first, sets, error)
            raise
        _keep(tape, start, self, sql, first, sets, None)
        return result

    return executemany


def _callproc(original: Method) -> Method:
    @wraps(original)
    def callproc(self: CursorWrapper, procname: str, params: Any = None, kparams: Any = None) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, procname, params, kparams)
        start = _now()
        try:
            result = original(self, procname, params, kparams)
        except BaseException as error:
            _keep(tape, start, self, f"CALL {procname}", params, 0, error)
            raise
        _keep(tape, start, self, f"CALL {procname}", params, 0, None)
        return result

    return callproc


def _fetch(name: str) -> Method:
    """The driver's method ``name`` as Django's cursor hands it on, its rows counted where the driver did not count."""
    one = name == "fetchone"

    def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            try:
                ask = getattr(self.cursor, name)
                fetched = ask(*args, **kwargs) if kwargs else ask(*args)
            except BaseException as error:
                _raise(error, self.db)
        except BaseException as error:
            strip(error)
            raise
        rows = self._pipeline_rows  # a list of one number, which the tape holds too
        if rows is not None:
            before = rows[0] if rows[0] > 0 else 0
            if one:
                rows[0] = before + (fetched is not None)
            elif type(fetched) in _SIZED:
                rows[0] = before + len(fetched)
        return fetched

    fetch.__name__, fetch.__qualname__ = name, f"CursorWrapper.{name}"
    return fetch


def _raise(error: BaseException, db: Any) -> None:
    """Raise ``error``, which a driver raised, the way that it has through Django's cursor."""

    def driver() -> None:
        raise error

    strip(error)
    db.wrap_database_errors(driver)()


def _iter(original: Method) -> Method:
    @wraps(original)
    def __iter__(self: Any) -> Any:  # noqa: N807
        rows = self._pipeline_rows
        return original(self) if rows is None else _counted(original(self), rows)

    return __iter__


def _counted(found: Iterator[Any], rows: list[int]) -> Iterator[Any]:
    rows[0] = max(rows[0], 0)
    for row in found:
        rows[0] += 1
        yield row


def _keep(
    tape: Tape, start: int, cursor: CursorWrapper, sql: Any, params: Any, sets: int, error: BaseException | None
) -> None:
    """Called by what stands for a method of Django's cursor, right after that method."""
    end = _now()
    tape.query_count += 1
    try:
        rows: Any = UNKNOWN
        failure = fetched = None
        if error is None:
            rows = getattr(cursor.cursor, "rowcount", None)
            if rows is None or rows <= 0:
                rows = fetched = [UNKNOWN if rows is None else rows]
        else:
            failure = type(error).__name__
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
        cursor._pipeline_rows = fetched  # type: ignore[attr-defined]
        if tape.query_count > QUERIES_KEPT:
            return  # counted, which is all that a record tells of it
        code, place = users_place(_getframe(2))
        db = cursor.db
        tape.add(
            (
                QUERY,
                start,
                end,
                get_ident(),
                f"{sql}",
                params,
                db.alias,
                rows,
                sets,
                db.in_atomic_block,
                failure,
                code,
                place,
            )
        )
    except Exception as fault:
        faults.note("probes: query", fault)
