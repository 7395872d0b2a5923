"""Queries are seen once each, as Django ran them, and connections look as if nobody watched."""

import asyncio
import contextvars
import inspect
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext

from pipeline_inspector import faults
from pipeline_inspector.probes import database
from pipeline_inspector.recording.frames import line_at
from pipeline_inspector.recording.kinds import EVENT_LIMIT, QUERIES_KEPT, QUERY
from pipeline_inspector.recording.tape import Tape
from tests.probes.taping import events, taping

pytestmark = pytest.mark.django_db


class Seen(NamedTuple):
    start: int
    end: int
    thread: int
    sql: str
    params: Any
    alias: str
    rows: Any
    sets: int
    in_transaction: bool
    error: str | None
    code: Any
    line: int


def queries(tape: Tape) -> list[Seen]:
    seen = [Seen(*event[:-1], line_at(*event[-2:])) for event in events(tape, QUERY)]
    return [query._replace(rows=query.rows[0]) if isinstance(query.rows, list) else query for query in seen]


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    database.install()
    faults.forget()
    yield
    assert faults.seen() == []


def let_go(opened: Any = connection) -> None:
    """Close a connection (this thread's), as Django does not with a database in memory."""
    if opened.connection is not None:
        opened.connection.close()
        opened.connection = None


def here() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_query_is_kept_with_its_sql_alias_thread_and_time() -> None:
    with taping() as tape:
        list(Group.objects.filter(name="readers"))
    (query,) = queries(tape)
    assert query.sql.startswith("SELECT")
    assert "auth_group" in query.sql
    assert query.params == ("readers",)
    assert query.alias == "default"
    assert query.thread == threading.get_ident()
    assert 0 < query.start <= query.end
    assert query.error is None
    assert query.sets == 0


def test_a_query_knows_the_users_line() -> None:
    with taping() as tape:
        Group.objects.count()
        line = here()
    (query,) = queries(tape)
    assert query.code.co_filename == __file__
    assert query.code.co_name == "test_a_query_knows_the_users_line"
    assert query.line == line - 1


def test_written_rows_are_counted() -> None:
    Group.objects.bulk_create([Group(name="a"), Group(name="b"), Group(name="c")])
    with taping() as tape:
        Group.objects.exclude(name="a").update(name=Concat("name", "name"))
    assert [query.rows for query in queries(tape)] == [2]


def test_rows_that_the_driver_does_not_count_are_counted_as_they_are_fetched() -> None:
    Group.objects.bulk_create([Group(name=f"group {number}") for number in range(250)])
    with taping() as tape:
        list(Group.objects.all())
        list(Group.objects.order_by("name")[:2])
        Group.objects.count()
        Group.objects.filter(name="nobody").first()
        Group.objects.create(name="new")
        Group.objects.filter(name="nobody").update(name="somebody")
        list(Group.objects.iterator(chunk_size=100))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3")
            assert len(list(cursor)) == 3
            cursor.execute("SELECT 1 UNION SELECT 2")
            assert cursor.fetchone() == (1,)
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
            assert cursor.fetchall() == []
    assert [query.rows for query in queries(tape)] == [250, 2, 1, 0, 1, 0, 251, 3, 1, 1]


def test_rows_that_nobody_fetched_are_unknown() -> None:
    with taping() as tape, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert [query.rows for query in queries(tape)] == [database.UNKNOWN]


@pytest.mark.parametrize("name", ["fetchone", "fetchmany", "fetchall"])
def test_a_fetch_that_fails_has_the_frames_that_it_has_without_us(name: str) -> None:
    def failure(fetch: Callable[[CursorWrapper], Any]) -> list[tuple[str, list[tuple[str, str, int]]]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.cursor.close()
            with pytest.raises(DatabaseError) as failed:
                fetch(cursor)
        error = failed.value
        assert error.__cause__ is error.__context__ is not None
        return [
            (repr(told), [(frame.filename, frame.name, frame.lineno or 0) for frame in _frames(told)])
            for told in (error, error.__cause__)
        ]

    def _frames(error: BaseException) -> list[traceback.FrameSummary]:
        return [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]

    bare = failure(lambda cursor: CursorWrapper.__getattr__(cursor, name)())
    with taping():
        assert failure(lambda cursor: getattr(cursor, name)()) == bare
    assert failure(lambda cursor: getattr(cursor, name)()) == bare


def test_nothing_is_kept_outside_a_request_or_after_it() -> None:
    with taping() as tape:
        pass
    Group.objects.count()
    assert tape.events == []
    assert tape.query_count == 0


def test_installing_twice_keeps_each_query_once() -> None:
    database.install()
    database.install()
    with taping() as tape:
        Group.objects.count()
    assert len(queries(tape)) == 1


def test_the_list_of_wrappers_looks_as_if_nobody_watched() -> None:
    connection.ensure_connection()
    assert connection.execute_wrappers == []
    assert len(connection.execute_wrappers) == 0
    assert not connection.execute_wrappers
    assert list(connection.execute_wrappers) == []


def test_the_users_own_wrapper_runs_and_is_taken_off_again() -> None:
    asked: list[str] = []

    def theirs(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql)
        return execute(sql, params, many, context)

    with taping() as tape, connection.execute_wrapper(theirs):
        assert connection.execute_wrappers == [theirs]
        Group.objects.count()
    assert connection.execute_wrappers == []
    assert len(asked) == 1
    assert len(queries(tape)) == 1


def test_a_stored_procedure_is_a_query() -> None:
    called: list[tuple[str, Any]] = []

    class Driver:
        rowcount = 3

        def callproc(self, name: str, params: Any = None) -> str:
            called.append((name, params))
            return "done"

    with taping() as tape:
        assert CursorWrapper(Driver(), connection).callproc("tidy", [1]) == "done"
    assert called == [("tidy", [1])]
    (query,) = queries(tape)
    assert (query.sql, query.params, query.rows) == ("CALL tidy", [1], 3)


def test_a_connection_opened_inside_a_users_wrapper_keeps_both() -> None:
    asked: list[str] = []

    def theirs(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql)
        return execute(sql, params, many, context)

    fresh = connection.copy()
    try:
        with taping() as tape, fresh.execute_wrapper(theirs), fresh.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert fresh.execute_wrappers == []
        assert asked == ["SELECT 1"]
        assert [query.sql for query in queries(tape)] == ["SELECT 1"]
    finally:
        let_go(fresh)


def test_a_query_that_a_wrapper_refuses_is_kept_with_its_error() -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("no queries here")

    with taping() as tape, connection.execute_wrapper(refuse), pytest.raises(RuntimeError, match="no queries here"):
        Group.objects.count()
    assert [query.error for query in queries(tape)] == ["RuntimeError"]


def test_a_failing_query_raises_as_without_us() -> None:
    def fail() -> BaseException:
        with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor, transaction.atomic():
            cursor.execute("SELECT nothing FROM nowhere")
        return caught.value

    bare = fail()
    with taping() as tape:
        watched = fail()
    assert type(watched) is type(bare)
    assert str(watched) == str(bare)
    lines = [
        [(frame.filename, frame.name, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        for error in (bare, watched)
    ]
    outside = [line for line in lines[0] if "pipeline_inspector/probes" not in line[0]]
    assert lines[1] == outside
    failed = queries(tape)[1]
    assert failed.error == type(bare).__name__
    assert failed.rows == database.UNKNOWN


def test_many_parameter_sets_are_one_query_that_counts_them() -> None:
    with taping() as tape, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO auth_group (name) VALUES (%s)", [("a",), ("b",), ("c",)])
    (query,) = queries(tape)
    assert query.sets == 3
    assert query.params == ("a",)
    assert query.rows == 3


def test_parameter_sets_from_an_iterator_all_arrive() -> None:
    with taping() as tape, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO auth_group (name) VALUES (%s)", ((name,) for name in "abcd"))
    (query,) = queries(tape)
    assert query.sets == database.UNKNOWN
    assert Group.objects.count() == 4


def test_a_chunked_cursor_is_seen_once() -> None:
    Group.objects.bulk_create([Group(name=str(number)) for number in range(5)])
    with taping() as tape:
        assert len(list(Group.objects.iterator(chunk_size=2))) == 5
    assert len(queries(tape)) == 1


def test_queries_logged_for_debug_are_seen_once() -> None:
    with CaptureQueriesContext(connection) as logged, taping() as tape:
        Group.objects.filter(name="x").exists()
    assert len(logged) == 1
    assert len(queries(tape)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_query_knows_whether_it_is_in_a_transaction() -> None:
    with taping() as tape:
        Group.objects.count()
        with transaction.atomic():
            Group.objects.count()
    selects = [query for query in queries(tape) if query.sql.startswith("SELECT")]
    assert [query.in_transaction for query in selects] == [False, True]


def test_savepoints_are_queries_too() -> None:
    Group.objects.create(name="twice")
    with taping() as tape, pytest.raises(IntegrityError), transaction.atomic():
        Group.objects.create(name="twice")
    names = [query.sql.split()[0] for query in queries(tape)]
    assert names[0] == "SAVEPOINT"
    assert names[-1] == "RELEASE"
    assert [query.error for query in queries(tape)].count("IntegrityError") == 1


@pytest.mark.django_db(transaction=True)
def test_a_query_of_the_async_orm_belongs_to_its_task() -> None:
    tapes: dict[str, Tape] = {}

    async def work(name: str) -> None:
        with taping() as tape:
            tapes[name] = tape
            async for _ in Group.objects.filter(name=name):
                pass

    async def both() -> None:
        await asyncio.gather(work("one"), work("two"))
        await sync_to_async(let_go)()

    asyncio.run(both())
    assert [query.params for query in queries(tapes["one"])] == [("one",)]
    assert [query.params for query in queries(tapes["two"])] == [("two",)]


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_carries_the_context_is_seen_on_its_own_connection() -> None:
    def ask() -> None:
        Group.objects.count()
        let_go()

    with taping() as tape:
        carried = threading.Thread(target=contextvars.copy_context().run, args=(ask,))
        stranger = threading.Thread(target=ask)
        for thread in (carried, stranger):
            thread.start()
            thread.join()
    seen = queries(tape)
    assert len(seen) == 1
    assert seen[0].thread != threading.get_ident()


def test_queries_beyond_the_tapes_end_are_counted_all_the_same() -> None:
    with taping() as tape:
        tape.events.extend([(-1,)] * EVENT_LIMIT)
        Group.objects.count()
    assert tape.query_count == 1
    assert tape.dropped == 1


def test_queries_beyond_what_a_record_tells_are_counted_only() -> None:
    with taping() as tape, connection.cursor() as cursor:
        for number in range(QUERIES_KEPT + 20):
            cursor.execute("SELECT %s", [number])
            assert cursor.fetchall() == [(number,)]
        with pytest.raises(DatabaseError) as failed:
            cursor.execute("SELECT nothing FROM nowhere")
    assert tape.query_count == QUERIES_KEPT + 21
    assert [query.params for query in queries(tape)] == [[number] for number in range(QUERIES_KEPT)]
    assert [query.rows for query in queries(tape)] == [1] * QUERIES_KEPT
    assert tape.dropped == 0
    frames = traceback.extract_tb(failed.value.__traceback__)
    assert not [frame for frame in frames if "pipeline_inspector/probes" in frame.filename]


class Nameless:
    """SQL that is not text yet, as some drivers compose it."""

    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_failure_of_ours_leaves_the_query_alone() -> None:
    answered = connection.execute_wrapper(lambda execute, sql, params, many, context: 42)
    with taping() as tape, answered, connection.cursor() as cursor:
        assert cursor.execute(Nameless()) == 42  # type: ignore[arg-type]
    assert tape.query_count == 1
    assert [fault.where for fault in faults.seen()] == ["probes: query"]
    faults.forget()
