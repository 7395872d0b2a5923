"""The SQLite store when things go wrong: the site serves on, people are told, and what fits in memory is not lost."""

import multiprocessing
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline_inspector import faults
from pipeline_inspector.records import Plan, Process
from pipeline_inspector.store import database
from pipeline_inspector.store.base import PATIENCE, Control, Store, StoreError
from tests.store import workers
from tests.store.places import Place, batch, ids, sealed

Eventually = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "requests.sqlite3"


@pytest.fixture
def place(path: Path) -> Place:
    return Place("sqlite", str(path))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Another program holds an exclusive transaction and does not end it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.rollback()
    connection.close()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Another program has the file for itself: not even reading is possible."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("PRAGMA user_version = 1")
    yield
    connection.rollback()
    connection.close()


def _in_patience(append: Callable[[], object]) -> None:
    began = time.monotonic()
    append()
    assert time.monotonic() - began <= PATIENCE


def _problems_end(store: Store) -> Callable[[], bool]:
    return lambda: not any("in memory, " in problem or "cannot be" in problem for problem in store.problems())


def test_nothing_is_touched_before_the_first_use_and_then_only_the_user_may_read(store: Store, path: Path) -> None:
    assert not path.parent.exists()
    store.append(batch(1))
    store.token()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_asking_for_the_control_version_is_enough_to_open(
    store: Store, place: Place, open_at: Callable[..., Store]
) -> None:
    open_at(place).change_control(lambda state: Control(state.version, ("a.B",)))
    assert store.control_version() == 1


def test_a_file_deleted_while_running_is_made_anew_and_numbers_go_on(store: Store, path: Path, place: Place) -> None:
    store.put_plan(Plan("chain", "wsgi", []))
    store.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z"))
    store.append(batch(5))
    path.unlink()
    assert store.append([sealed("after")]) == 6
    assert ids(store.after(0, 10)) == ["after"]
    other = place.open()
    assert ids(other.after(0, 10)) == ["after"]
    assert [plan.id for plan in other.plans()] == ["chain"]
    assert [process.id for process in other.processes()] == ["p"]
    assert other.problems() == []
    other.close()


def test_a_folder_deleted_while_running_is_made_anew_with_its_switches_and_token(
    store: Store, path: Path, place: Place
) -> None:
    store.append(batch(5))
    store.change_control(lambda state: Control(state.version, ("a.B",)))
    token, version = store.token(), store.control_version()
    shutil.rmtree(path.parent)
    assert store.control_version() == version
    assert store.append(batch(1)) == 6
    assert store.control_version() > version
    other = place.open()
    assert other.control().off == ("a.B",)
    assert other.token() == store.token() == token
    assert other.append(batch(1)) == 7
    other.close()


def test_another_process_notices_that_the_folder_was_deleted(
    store: Store, path: Path, place: Place, open_at: Callable[..., Store], eventually: Eventually
) -> None:
    other = open_at(place)
    for one in (store, other):
        one.append(batch(1))
    shutil.rmtree(path.parent)
    store.append(batch(1))
    eventually(lambda: other.watched() is False and other.last_seq() == 3)
    assert other.append(batch(1)) == 4
    store.change_control(lambda state: Control(state.version, ("a.B",)))
    assert other.control().off == ("a.B",)
    assert [row.seq for row in other.after(0, 10)] == [3, 4]


def test_the_file_gone_but_its_log_left_behind_does_no_harm(store: Store, path: Path, place: Place) -> None:
    store.append(batch(50))
    path.unlink()
    other = place.open()
    assert other.append(batch(1)) == 51
    assert store.append(batch(1)) == 52
    assert [row.seq for row in other.after(0, 100)] == [51, 52]
    assert store.problems() == other.problems() == []
    other.close()


def test_where_no_folder_can_be_made_records_are_kept_in_memory_and_written_later(
    store: Store, path: Path, place: Place, eventually: Eventually
) -> None:
    path.parent.write_text("a file in the way")
    kept = batch(5)
    _in_patience(lambda: store.append(kept))
    store.put_plan(Plan("chain", "wsgi", []))
    assert ids(store.after(0, 10)) == ids([one.summary for one in kept])
    assert ids(list(store.newest()))[::-1] == ids(store.after(0, 10))
    assert store.read(kept[2].summary.id) == kept[2]
    assert [plan.id for plan in store.plans()] == ["chain"]
    assert store.change_control(lambda state: Control(state.version, ("a.B",))).version == store.control_version() == 1
    assert store.control().off == ("a.B",)
    assert any(str(path) in problem and "5 records wait" in problem for problem in store.problems())
    with pytest.raises(StoreError, match=r"could not be cleared.*requests\.sqlite3"):
        store.clear()
    store.append([sealed("later")])
    path.parent.unlink()
    eventually(_problems_end(store))
    other = place.open()
    assert ids(other.after(0, 10)) == ["later"]
    assert other.control().off == ("a.B",)
    assert [plan.id for plan in other.plans()] == ["chain"]
    other.close()


def test_a_folder_in_the_files_place_is_told_and_left_alone(store: Store, path: Path) -> None:
    path.mkdir(parents=True)
    (path / "precious").write_text("")
    store.append([sealed("one")])
    assert ids(store.after(0, 10)) == ["one"]
    assert any("cannot be opened" in problem for problem in store.problems())
    assert (path / "precious").exists()


@pytest.mark.parametrize("begun", [False, True])
def test_in_a_folder_that_may_only_be_read_records_are_kept_in_memory_and_the_folder_is_told(begun: bool) -> None:
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        place = Place("sqlite", str(folder / "requests.sqlite3"))
        if begun:
            store = place.open()
            store.append([sealed("before")])
            store.close()
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        mine, theirs = spawn.Pipe()
        process = spawn.Process(target=workers.append_as_another_user, args=(place, "one", theirs))
        process.start()
        listed, problems = mine.recv()
        process.join()
        folder.chmod(0o755)
        assert listed[-1:] == ["one"]
        told = " ".join(problems)
        assert "1 record waits in memory" in told
        assert "writable" in told
        assert name in told


def test_memory_holds_the_newest_and_says_how_many_are_lost(
    place: Place, path: Path, open_at: Callable[..., Store]
) -> None:
    path.parent.write_text("a file in the way")
    store = open_at(place, limit=30)
    for _ in range(10):
        store.append(batch(7))
    assert [row.seq for row in store.after(0, 100)] == list(range(41, 71))
    assert any("30 records wait in memory, 40 older ones are lost" in problem for problem in store.problems())


def test_a_full_disk_is_told_and_records_are_written_when_there_is_space(
    store: Store, monkeypatch: pytest.MonkeyPatch, eventually: Eventually, place: Place
) -> None:
    store.append([sealed("first")])
    store.close()
    with monkeypatch.context() as small:
        small.setattr(database, "PRAGMAS", (*database.PRAGMAS, "PRAGMA max_page_count = 1"))
        kept = [sealed(payload=bytes(range(256)) * 200) for _ in range(20)]
        store.append(kept)
        assert ids(store.after(0, 100)) == ["first", *ids([one.summary for one in kept])]
        assert any("disk is full" in problem and "20 records wait" in problem for problem in store.problems())
        assert store.change_control(lambda state: Control(state.version, ("a.B",))).off == ("a.B",)
    store.before_fork()  # lets go of the connections that feel the lack of space
    eventually(_problems_end(store))
    other = place.open()
    assert len(other.after(0, 100)) == 21
    other.close()


@pytest.mark.parametrize("damage", [b"no database at all " * 500, b"SQLite format 3\x00" + b"\xff" * 9000])
def test_a_damaged_file_is_set_aside_with_a_message(store: Store, path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    assert store.append([sealed("one")]) == 1
    assert ids(store.after(0, 10)) == ["one"]
    (aside,) = path.parent.glob("requests.sqlite3.corrupt-*")
    assert aside.read_bytes() == damage
    assert any(aside.name in problem and "damaged" in problem for problem in store.problems())
    assert any(aside.name in fault.message for fault in faults.seen())


def test_a_file_damaged_while_running_is_set_aside_and_numbers_go_on(store: Store, path: Path, place: Place) -> None:
    other = place.open()
    for one in (store, other):
        one.put_plan(Plan("chain", "wsgi", []))
        one.append(batch(100))
    store.close()
    other.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    assert store.append([sealed("one")]) == 201
    assert other.append([sealed("two")]) == 202
    assert ids(store.after(0, 10)) == ["one", "two"]
    assert [plan.id for plan in store.plans()] == ["chain"]
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1
    assert sum(bool(one.problems()) for one in (store, other)) == 1
    other.close()


@pytest.mark.parametrize("version", [0, 99])
def test_a_file_of_another_version_is_set_aside_with_a_message(store: Store, path: Path, version: int) -> None:
    store.append(batch(3))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    assert store.append(batch(1)) == 4
    (aside,) = path.parent.glob(f"*.version-{version}-*")
    assert any(aside.name in problem and "another version" in problem for problem in store.problems())


def test_a_file_that_a_process_of_another_version_put_there_is_left_to_it(
    store: Store, path: Path, place: Place, open_at: Callable[..., Store], eventually: Eventually
) -> None:
    store.append(batch(3))
    newer = path.with_name("newer.sqlite3")
    other = open_at(Place("sqlite", str(newer)))
    other.append([sealed("newer")])
    other.close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    newer.replace(path)
    for name in ("one", "two"):
        store.append([sealed(name)])
    assert any("in use by another version" in problem and "2 records wait" in problem for problem in store.problems())
    assert ids(store.after(0, 10)) == ["one", "two"]
    assert not list(path.parent.glob("*.version-*"))
    path.unlink()
    eventually(_problems_end(store))
    assert ids(open_at(place).after(0, 10)) == ["one", "two"]


def test_only_the_newest_three_files_set_aside_stay(store: Store, path: Path) -> None:
    neighbour = path.with_name("requests.sqlite3.corrupt-by-hand")
    for number in range(5):
        store.append(batch(1))
        store.close()
        path.write_bytes(f"damage {number} ".encode() * 500)
    store.append(batch(1))
    neighbour.write_text("not ours")
    store.close()
    path.write_bytes(b"damage 5 " * 500)
    store.append(batch(1))
    aside = sorted(path.parent.glob("requests.sqlite3.corrupt-2*"))
    assert [file.read_bytes()[:8] for file in aside] == [b"damage 3", b"damage 4", b"damage 5"]
    assert neighbour.exists()


def test_a_database_of_something_else_is_not_touched(store: Store, path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    before = path.read_bytes()
    store.append([sealed("one")])
    assert ids(store.after(0, 10)) == ["one"]
    assert any("something else" in problem and "STORE" in problem for problem in store.problems())
    store.close()
    assert path.read_bytes() == before
    assert not list(path.parent.glob("requests.sqlite3.*"))


@pytest.mark.parametrize("hold", [_locked, _alone])
def test_records_wait_in_memory_while_another_program_locks_the_file(
    store: Store, path: Path, place: Place, hold: Callable[..., Iterator[None]], eventually: Eventually
) -> None:
    store.append([sealed("before")])
    store.close()
    first, second = batch(3), batch(4)
    with hold(path):
        _in_patience(lambda: store.append(first))
        _in_patience(lambda: store.append(second))
        assert [one.summary.seq for one in first + second] == list(range(2, 9))
        assert ids(store.after(1, 10)) == ids([one.summary for one in first + second])
        assert [row.seq for row in store.newest()][:7] == list(range(8, 1, -1))
        assert store.read(second[0].summary.id) == second[0]
        assert any("locked" in problem and "7 records wait" in problem for problem in store.problems())
        assert store.change_control(lambda state: Control(state.version, ("a.B",))).off == ("a.B",)
        assert store.control().off == ("a.B",)
        store.watch(60)
        assert store.watched()
    eventually(_problems_end(store))
    other = place.open()
    rows = other.after(0, 100)
    assert ids(rows) == ["before", *ids([one.summary for one in first + second])]
    assert rows[1].seq > 8, "a reader that had seen the waiting ones meets what is written after them"
    assert store.problems() == []
    other.close()


def test_waiting_records_are_written_without_a_further_record(store: Store, path: Path, eventually: Eventually) -> None:
    store.append([sealed("before")])
    with _locked(path):
        store.append([sealed("waits")])
    store.watched()
    eventually(lambda: not store.watched() and len(_rows_in(path)) == 2)


def test_what_other_processes_write_meanwhile_is_not_missed_by_a_reader_that_saw_waiting_ones(
    store: Store, path: Path, place: Place, open_at: Callable[..., Store]
) -> None:
    other = open_at(place)
    store.append([sealed("before")])
    with _locked(path):
        store.append([sealed("waits")])
        seen = store.after(0, 10)
        assert ids(seen) == ["before", "waits"]
    other.append([sealed("other")])
    seen += store.after(seen[-1].seq, 10)
    assert ids(seen) == ["before", "waits", "other"]
    store.close()
    seen += store.after(seen[-1].seq, 10)
    assert ids(seen) == ["before", "waits", "other", "waits"]
    assert [row.seq for row in seen] == sorted({row.seq for row in seen})


def test_reading_does_not_wait_for_a_writer(store: Store, path: Path) -> None:
    store.append(batch(3))
    with _locked(path):
        assert len(store.after(0, 10)) == 3
        assert store.problems() == []


def test_what_a_closing_process_could_not_write_is_tried_once_more(store: Store, path: Path) -> None:
    store.append([sealed("before")])
    with _locked(path):
        store.append([sealed("waits")])
    store.close()
    assert _rows_in(path) == ["before", "waits"]


def test_a_process_killed_while_it_holds_the_locks_leaves_them_free(place: Place, store: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    writer = spawn.Process(target=workers.append_and_die, args=(place, 3))
    writer.start()
    writer.join()
    assert store.append(batch(1)) == 4
    assert store.problems() == []


def _rows_in(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    rows = [row for (row,) in connection.execute("SELECT id FROM rows ORDER BY seq")]
    connection.close()
    return rows
