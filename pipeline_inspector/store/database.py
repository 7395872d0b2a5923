"""The SQLite file: opened, made, checked, and set aside when it is damaged or of another version.

Connections lie in a pool and are used by one thread at a time; reading never waits for writing (WAL).
"""

import contextlib
import os
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline_inspector import clock
from pipeline_inspector.store.folders import make_private
from pipeline_inspector.store.locks import held

SCHEMA = 3
APPLICATION = 0x50694973
ASIDE_KEPT = 3
PRAGMAS = (
    "PRAGMA secure_delete = OFF",  # some systems have it on: then all that is deleted is written once more, as zeros
    "PRAGMA synchronous = OFF",  # outlives any process; only when the machine itself fails may the file be damaged
    "PRAGMA journal_size_limit = 8388608",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA cache_size = -500",  # kB, of each connection: a batch is written once and seldom read back
)
_TABLES = """
PRAGMA page_size = 8192;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE rows (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, summary BLOB NOT NULL,
                   plan TEXT NOT NULL, payload BLOB NOT NULL);
CREATE INDEX rows_by_id ON rows (id);
CREATE TABLE things (kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,
                     UNIQUE (kind, name));
PRAGMA application_id = {application};
PRAGMA user_version = {schema};
COMMIT;
"""
_AT_HAND = 4
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WORDS = {
    sqlite3.SQLITE_BUSY: "is locked by another process. Look for one that holds it open (a database browser, a stopped "
    "process) and end it",
    sqlite3.SQLITE_LOCKED: "is locked. Look for what holds it open and end it",
    sqlite3.SQLITE_FULL: "cannot grow: its disk is full. Free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error. Look at the disk and its free space",
    sqlite3.SQLITE_READONLY: "is read-only. Make the file and its folder writable, or set STORE to another path",
    sqlite3.SQLITE_PERM: "may not be opened. Make the file and its folder writable, or set STORE to another path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Make the folder writable, or set STORE to another path",
}


class Foreign(Exception):  # noqa: N818
    """The file is an SQLite database of something else: not ours to write to or to move."""


class Connection(sqlite3.Connection):
    """A connection that knows the file it opened and how long it waits for a lock."""

    generation = 0
    patience = -1.0


def explain(error: Exception, path: Path) -> str:
    """What ``error`` means for people, and what to do."""
    if isinstance(error, sqlite3.Error):
        words = _WORDS.get(_code(error))
        return f"{path} {words} ({error})." if words else f"{path} cannot be used: {error}."
    if isinstance(error, Foreign):
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return (
            f"{path} cannot be made: a file is where its folder should be. Move it away, or set STORE to another path."
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{path} cannot be used: {reason}. Make its folder writable with free space, or set STORE to another path."


def damaged(error: Exception) -> bool:
    """Does ``error`` say that the file's content is broken?"""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGED


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class Database:
    """The file at ``path``. ``on_new`` is called when this process meets a file it has not met before, ``on_aside`` with
    a message when one was set aside."""

    def __init__(self, path: Path, on_new: Callable[[], None], on_aside: Callable[[str], None]) -> None:
        self.path = path
        self._on_new = on_new
        self._on_aside = on_aside
        self._pool: deque[Connection] = deque()
        self._generation = 0
        self._met: os.stat_result | None = None
        self._seen: os.stat_result | None = None
        self._last_met: os.stat_result | None = None

    @property
    def is_open(self) -> bool:
        """Has this process met the file and not let go of it since?"""
        return self._met is not None

    def log_size(self) -> int:
        """Bytes of the log beside the file, 0 when there is none."""
        try:
            return self._beside("wal").stat().st_size
        except OSError:
            return 0

    @contextlib.contextmanager
    def connection(self, patience: float) -> Iterator[Connection]:
        """A connection that waits up to ``patience`` seconds for locks.

        Raises ``sqlite3.Error``, ``OSError`` or ``Foreign``.
        """
        if not self._same():
            self.close()
            self._prepare(patience)
        connection = self._take()
        try:
            if connection.patience != patience:
                connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
                connection.patience = patience
            yield connection
        finally:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.rollback()
            self._give(connection)

    def close(self) -> None:
        """Close what is not in use now; what is, when it is given back."""
        self._generation += 1
        self._met = None
        while self._pool:
            self._pool.pop().close()

    def set_aside(self, what: str, sentence: str) -> None:
        """Move the file out of the way as ``….<what>-<time>`` and say ``sentence``; not when another process just did."""
        self.close()
        with held(self._beside("lock"), 0.5):
            if self._seen is not None and _is(self._seen, self.path):
                self._move(what, sentence)

    def _move(self, what: str, sentence: str) -> None:
        when = clock.iso(clock.wall()).translate(str.maketrans("", "", ":-")).rstrip("Z")
        aside = self._beside_dot(f"{what}-{when}")
        self.path.rename(aside)
        with contextlib.suppress(FileNotFoundError):
            self._beside("wal").rename(aside.with_name(f"{aside.name}-wal"))
        self._beside("shm").unlink(missing_ok=True)
        self._forget_old_ones()
        self._on_aside(f"{self.path} {sentence}; it was set aside as {aside.name}, and a new file was begun.")

    def _forget_old_ones(self) -> None:
        """Of the files set aside only the newest stay."""
        aside = re.compile(rf"{re.escape(self.path.name)}\.(?:corrupt|version)-.*T[\d.]+")
        found = [file for file in self.path.parent.iterdir() if aside.fullmatch(file.name)]
        for old in sorted(found, key=lambda file: file.name.rpartition("-")[2])[:-ASIDE_KEPT]:
            old.unlink(missing_ok=True)
            old.with_name(f"{old.name}-wal").unlink(missing_ok=True)

    def _same(self) -> bool:
        return self._met is not None and _is(self._met, self.path)

    def _prepare(self, patience: float) -> None:
        """Make or check the file, alone of all processes."""
        make_private(self.path.parent)
        with held(self._beside("lock"), patience):
            if not self.path.exists():
                self._begin()
            self._seen = self.path.stat()
            version = self._version(patience)
            if version != SCHEMA:
                self._refuse_if_in_use(version)
                self._move(
                    f"version-{version}", f"was written by another version (its format is {version}, ours {SCHEMA})"
                )
                self._begin()
                self._version(patience)
            self._met = self._seen = self._last_met = self.path.stat()
        self._on_new()

    def _refuse_if_in_use(self, version: int) -> None:
        """A file of another version that took the place of ours was put there by a process that still runs."""
        if self._last_met is not None and not _is(self._last_met, self.path):
            raise Foreign(
                f"{self.path} is in use by another version of the inspector (its format is {version}, ours {SCHEMA}). "
                "End one of the two, or set STORE to another path."
            )

    def _begin(self) -> None:
        """An empty file that only the user may read; what an earlier one left behind must not be taken for its own."""
        for name in ("wal", "shm"):
            self._beside(name).unlink(missing_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    def _version(self, patience: float) -> int:
        """The format of the file, after giving an empty one ours."""
        with contextlib.closing(self._connect()) as connection:
            connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not application and not tables:
                connection.executescript(_TABLES.format(application=APPLICATION, schema=SCHEMA))
            elif application != APPLICATION:
                raise Foreign(
                    f"{self.path} is an SQLite database of something else and was not touched. Set STORE to another path."
                )
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            return int(version)

    def _take(self) -> Connection:
        with contextlib.suppress(IndexError):
            return self._pool.pop()
        return self._connect()

    def _connect(self) -> Connection:
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False, factory=Connection
        )
        connection.generation = self._generation
        try:
            for pragma in PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give(self, connection: Connection) -> None:
        if connection.generation == self._generation and len(self._pool) < _AT_HAND:
            self._pool.append(connection)
        else:
            connection.close()

    def _beside(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{name}")

    def _beside_dot(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{name}")


def _is(met: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(met, path.stat())
    except OSError:
        return False
