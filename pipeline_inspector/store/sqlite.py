"""The store for one machine: an SQLite file of our own, written in batches, with the mapped file of ``shared`` beside it.

While the file cannot be written, records wait in memory under numbers of the shared counter. When they are written they
get new, greater numbers, so that readers in all processes meet them after what they have seen.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from pipeline_inspector import clock
from pipeline_inspector.faults import note
from pipeline_inspector.records import Sealed, Summary
from pipeline_inspector.store import forking
from pipeline_inspector.store.base import Control, StoreError
from pipeline_inspector.store.database import Connection, Database, Foreign, damaged, explain
from pipeline_inspector.store.packing import Unreadable, pack_payload, pack_row, unpack, unpack_row
from pipeline_inspector.store.shared import Shared
from pipeline_inspector.store.shelf import Shelf, merged
from pipeline_inspector.store.things import KEEP, LASTING, Kind, Thing, ThingStore
from pipeline_inspector.store.trouble import Trouble

_WAIT = 0.6
_WAIT_IN_TROUBLE = 0.05
_WAIT_FOR_ORDER = 0.7
_PAGE = 200
_FREE_PAGES = 512
_CHECKPOINT_AFTER = 2 * 1024 * 1024
_VACUUM_AT_ONCE = 2048
_FAILURES = (sqlite3.Error, OSError, Foreign)

_LAST = "SELECT max(seq) FROM (SELECT max(seq) AS seq FROM rows UNION ALL SELECT seq FROM sqlite_sequence)"
_ADD = "INSERT INTO rows (seq, id, summary, plan, payload) VALUES (?,?,?,?,?)"
_ADD_SOME = "INSERT INTO rows (seq, id, summary, plan, payload) SELECT * FROM (VALUES (?,?,?,?,?)"
_ONE_MORE = ",(NULL,?,?,?,?)"
_AS_MANY = ") LIMIT ?"
_AT_ONCE = 256, 192, 128, 64
_AT_MOST = 16, 64
_READ = "SELECT seq, summary, payload, plan FROM rows WHERE id = ? ORDER BY seq DESC LIMIT 1"
_AFTER = "SELECT seq, summary FROM rows WHERE seq > ? ORDER BY seq LIMIT ?"
_BEFORE = "SELECT seq, summary FROM rows WHERE seq < ? ORDER BY seq DESC LIMIT ?"
_PRUNE = """DELETE FROM rows WHERE (SELECT count(*) FROM rows) > :keep + :more AND
            seq <= (SELECT seq FROM rows ORDER BY seq LIMIT 1 OFFSET (SELECT count(*) FROM rows) - :keep - 1)"""
_PUT = """INSERT INTO things (kind, name, at, body) VALUES (?, ?, ?, ?)
          ON CONFLICT (kind, name) DO UPDATE SET at = excluded.at, body = excluded.body"""
_TRIM = """DELETE FROM things WHERE kind = :kind AND at <
           (SELECT at FROM things WHERE kind = :kind ORDER BY at DESC LIMIT 1 OFFSET :keep)"""
_ALL = "SELECT name, at, body FROM things WHERE kind = ? ORDER BY at DESC"
_BEYOND = 2**62


class SqliteStore(ThingStore):
    """Keeps ``max_requests()`` records in the file at ``path``, which is made when first needed."""

    def __init__(self, path: Path, max_requests: Callable[[], int]) -> None:
        super().__init__()
        self.path = path
        self._max_requests = max_requests
        self._shared = Shared(path.with_name(f"{path.name}-shared"))
        self._trouble = Trouble()
        self._database = Database(path, self._met_new_file, self._trouble.notice)
        self._waiting = Shelf()
        self._unsaved: dict[tuple[Kind, str], int] = {}
        self._writing = RLock()
        self._holding = Lock()
        self._since_prune = 0
        self._pruned_to = 0
        self._since_checkpoint = 0
        forking.mind(self)

    # -- records ------------------------------------------------------------------------------------------------------

    def append(self, batch: Sequence[Sealed]) -> int:
        if not batch:
            return self.last_seq()
        self._shared.check()
        if not self._flush(batch):
            self._hold(batch)
        return batch[-1].summary.seq

    def read(self, record_id: str) -> Sealed | None:
        held = self._waiting.read(record_id)
        if held is not None:
            return held
        for row in self._rows(_READ, (record_id,)):
            try:
                return unpack(*row)
            except Unreadable as error:
                note("store: reading", error)
        return None

    def after(self, seq: int, limit: int) -> list[Summary]:
        held = self._waiting.after(seq, limit)
        kept = _opened(self._rows(_AFTER, (seq, limit)))
        return merged(kept, held)[:limit] if held else kept

    def newest(self, before: int | None = None) -> Iterable[Summary]:
        held = self._waiting.before(before)
        shown = {row.id for row in held}
        seq = _BEYOND if before is None else before
        while page := self._rows(_BEFORE, (seq, _PAGE)):
            seq = page[-1][0]
            while held and held[-1].seq > page[0][0]:
                yield held.pop()
            for row in _opened(page):
                while held and held[-1].seq > row.seq:
                    yield held.pop()
                if row.id not in shown:
                    yield row
        yield from reversed(held)

    def last_seq(self) -> int:
        if not self._database.is_open and not self._trouble:
            self._rows(_LAST, ())
        return self._shared.last_seq()

    def clear(self) -> None:
        self._waiting.clear()
        self._change("records could not be cleared", lambda db: _forget_up_to(db, _BEYOND))

    def prune(self, keep: int) -> int:
        return self._change("records could not be pruned", lambda db: _prune(db, keep))

    # -- while it runs, control -----------------------------------------------------------------------------------------

    def watch(self, seconds: float) -> None:
        self._shared.watch(seconds)

    def watched(self) -> bool:
        if self._waiting or self._unsaved:
            self._flush()
        return self._shared.watched()

    def control_version(self) -> int:
        return self._shared.numbers[1]

    def control(self) -> Control:
        return self._shared.control()

    def change_control(self, edit: Callable[[Control], Control]) -> Control:
        return self._shared.change(edit)

    # -- about itself ---------------------------------------------------------------------------------------------------

    def token(self) -> str:
        return self._shared.token()

    def problems(self) -> list[str]:
        if self._trouble or self._shared.problem:
            self._shared.check()
            self._flush()
        found = [self._shared.problem] if self._shared.problem else []
        if self._trouble:
            found.append(self._trouble.told(len(self._waiting), self._waiting.lost))
        return [*found, *self._trouble.notices()]

    def location(self) -> str:
        return str(self.path)

    def close(self) -> None:
        if self._waiting or self._unsaved:
            self._flush(at_once=True)
        self._database.close()
        self._shared.close()

    def before_fork(self) -> None:
        """A child must neither use nor close a connection of its parent."""
        free = self._writing.acquire(timeout=_WAIT)
        self._database.close()
        if free:
            self._writing.release()

    def after_fork(self) -> None:
        """Records that wait are the parent's to write."""
        self._writing, self._holding = RLock(), Lock()
        self._waiting = Shelf()
        self._unsaved = {}
        self._shared.after_fork()

    # -- writing ----------------------------------------------------------------------------------------------------------

    def _put(self, kind: Kind, name: str, body: bytes) -> None:
        self._unsaved[kind, name] = clock.wall()
        self._flush()

    def _all(self, kind: Kind) -> list[Thing]:
        now = clock.wall()
        return [Thing(name, (now - at) / 1e9, body) for name, at, body in self._rows(_ALL, (kind,))]

    def _flush(self, batch: Sequence[Sealed] = (), *, at_once: bool = False) -> bool:
        """Write what waits, then ``batch``; False when that cannot be done now."""
        if (self._trouble.resting and not at_once) or not self._writing.acquire(timeout=_WAIT / 2):
            return False
        try:
            waiting = self._waiting.all()
            saved: dict[tuple[Kind, str], int] | None = self._tried(lambda db: self._write(db, [*waiting, *batch]))
            if saved is None:
                return False
            self._waiting.discard(waiting)
            for key, at in saved.items():
                if self._unsaved.get(key) == at:
                    del self._unsaved[key]
            return True
        finally:
            self._writing.release()

    def _write(self, db: Connection, records: Sequence[Sealed]) -> dict[tuple[Kind, str], int]:
        """Write ``records`` and all unsaved things; returns those things."""
        things = dict(self._unsaved)
        values: list[str | bytearray] = []
        for sealed in records:  # for a bytearray the driver does not look whether it can be told in another way
            row, payload = bytearray(pack_row(sealed.summary)), bytearray(pack_payload(sealed.payload))
            values += sealed.summary.id, row, sealed.plan_id, payload
        bodies = [
            (kind, name, at, own.body) for (kind, name), at in things.items() if (own := self._own[kind].get(name))
        ]
        self._checkpoint_now_and_then(db, 0)  # processes that were killed may have left a long log
        with self._shared.numbering(_WAIT_FOR_ORDER):
            db.execute("BEGIN IMMEDIATE")
            if bodies:
                db.executemany(_PUT, bodies)
            for kind in {kind for kind, *_ in bodies}:
                db.execute(_TRIM, {"kind": kind, "keep": KEEP[kind] - 1})
            first = max(self._shared.last_seq(), db.execute(_LAST).fetchone()[0] or 0) + 1
            _insert(db, first, values)
            is_new = self._prune_now_and_then(db, len(records))
            db.execute("COMMIT")
            self._shared.gave(first + len(records) - 1)
        if is_new:
            _give_space_back(db)
        self._checkpoint_now_and_then(db, sum(map(len, values[3::4])))
        for seq, sealed in enumerate(records, first):
            sealed.summary.seq = seq
        return things

    def _prune_now_and_then(self, db: Connection, added: int) -> bool:
        """Within one part in ten of the limit, however many processes write. Is the limit another than before?"""
        limit = self._max_requests()
        is_new = limit != self._pruned_to
        self._since_prune += added
        if is_new or self._since_prune >= limit // 100:
            _prune(db, limit, 0 if is_new else limit // 20)
            self._since_prune, self._pruned_to = 0, limit
        return is_new

    def _checkpoint_now_and_then(self, db: Connection, written: int) -> None:
        """Move what was written from the log to the file, and give back what is free there, while no lock is held that
        another writer needs: after so many bytes of payloads, ``written`` of them new."""
        self._since_checkpoint += written
        if self._since_checkpoint > _CHECKPOINT_AFTER:
            self._since_checkpoint = 0
            with contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            _give_space_back(db)

    def _hold(self, batch: Sequence[Sealed]) -> None:
        with self._holding, self._shared.numbering(_WAIT / 2):
            first = self._shared.last_seq() + 1
            for seq, sealed in enumerate(batch, first):
                sealed.summary.seq = seq
            self._waiting.add(batch, self._max_requests())
            self._shared.gave(first + len(batch) - 1)

    def _met_new_file(self) -> None:
        """What this process told about itself is told again: the file may be a new one."""
        for kind in LASTING:
            for name in list(self._own[kind]):
                self._unsaved.setdefault((kind, name), clock.wall())
        self._pruned_to = 0
        self._since_checkpoint = self._database.log_size()
        for (last,) in self._rows(_LAST, ()):
            self._shared.gave(last or 0)

    # -- failing well -----------------------------------------------------------------------------------------------------

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        return self._tried(lambda db: db.execute(query, values).fetchall(), writes=False) or []

    def _change(self, what: str, work: Callable[[Connection], int]) -> int:
        def alone(db: Connection) -> int:
            db.execute("BEGIN IMMEDIATE")
            done = work(db)
            db.execute("COMMIT")
            _give_space_back(db)
            return done

        done: int | None = self._tried(alone)
        if done is None:
            raise StoreError(f"The {what}: {self._trouble.message}")
        return done

    def _tried(self, work: Callable[[Connection], Any], *, writes: bool = True) -> Any:
        """What ``work`` returns, or None with the reason noted. A damaged file is set aside, and ``work`` done again."""
        patience = _WAIT_IN_TROUBLE if self._trouble else _WAIT
        for last in (False, True):
            try:
                with self._database.connection(patience) as db:
                    done = work(db)
            except _FAILURES as error:
                if last or not self._mended(error):
                    if writes or not self._trouble:
                        self._trouble.met(explain(error, self.path))
                    return None
            else:
                if writes:
                    self._trouble.over()
                return done
        return None

    def _mended(self, error: Exception) -> bool:
        if not damaged(error):
            return False
        try:
            self._database.set_aside("corrupt", f"was damaged ({error})")
        except OSError:
            return False
        return True


def _opened(rows: Iterable[tuple[int, bytes]]) -> list[Summary]:
    found = []
    for seq, data in rows:
        try:
            found.append(unpack_row(data, seq))
        except Unreadable as error:
            note("store: reading", error)
    return found


def _insert(db: Connection, first: int, values: Sequence[Any]) -> None:
    """Add records, numbered from ``first``, greater than any before, on; ``values`` are four of each.

    Many by one statement: each gives the interpreter to other threads some five times, and has to get it back while every
    other writer waits. Of few sizes, as each statement stays prepared. SQLite itself counts on from the first of them."""
    done, count = 0, len(values) // 4
    for size in _AT_ONCE:
        while count - done >= size:
            db.execute(_ADD + _ONE_MORE * (size - 1), (first + done, *values[4 * done : 4 * (done + size)]))
            done += size
    if done < count:
        size = next(size for size in _AT_MOST if done + size >= count)
        nothing = (None,) * (4 * (done + size - count))
        db.execute(
            _ADD_SOME + _ONE_MORE * (size - 1) + _AS_MANY, (first + done, *values[4 * done :], *nothing, count - done)
        )


def _prune(db: Connection, keep: int, more: int = 0) -> int:
    """Forget the oldest so that ``keep`` stay, where there are more than so many ``more``; returns how many."""
    return db.execute(_PRUNE, {"keep": keep, "more": more}).rowcount


def _forget_up_to(db: Connection, seq: int) -> int:
    return db.execute("DELETE FROM rows WHERE seq <= ?", (seq,)).rowcount


def _give_space_back(db: Connection) -> None:
    """Return free pages to the disk, after the transaction that freed them; a failure leaves them for another time."""
    with contextlib.suppress(sqlite3.Error):
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        if free > _FREE_PAGES:
            db.executescript(f"PRAGMA incremental_vacuum({min(free - _FREE_PAGES // 2, _VACUUM_AT_ONCE)})")
