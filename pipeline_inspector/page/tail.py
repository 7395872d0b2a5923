"""The newest rows of the store, fetched and drawn once for all viewers of this process.

A viewer asks for what comes after the last ``seq`` it showed; when that reaches further back than what is at hand here,
it reads the store itself.
"""

from bisect import bisect_right
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from pipeline_inspector import clock
from pipeline_inspector.reader import Filter, Reader
from pipeline_inspector.records import Plan, Summary

AT_HAND = 1000
WATCH_SECONDS = 3.0
_PIECE = 200
_SECOND = 1_000_000_000
_FRESH_NS = 50_000_000
_TAILS_MAX = 4

Draw = Callable[[Summary], str]


class Drawn(NamedTuple):
    """A row, its chain (for filters by layer) and its HTML."""

    row: Summary
    plan: Plan | None
    html: str

    def fits(self, wanted: Filter) -> bool:
        """Does ``wanted`` want it?"""
        return wanted.matches(self.row, self.plan)


class Tail:
    """The end of one store's list. ``draw`` makes the HTML of a row. All methods may be called from any thread."""

    def __init__(self, reader: Reader, draw: Draw) -> None:
        self.reader = reader
        self.running: tuple[Drawn, ...] = ()
        self._draw = draw
        self._lock = Lock()
        self._rows: list[Drawn] = []
        self._seqs: list[int] = []
        self._watched_until = 0
        self._fresh_until = 0
        self._since = self.seq = reader.store.last_seq()
        self.first = 1
        """The ``seq`` of the oldest row that is kept: those before it are gone."""

    def refresh(self) -> bool:
        """Fetch and draw what is new; tells whether anything is. Asked again at once, it does not look again. Raises
        ``StoreError``."""
        with self._lock:
            if clock.now() < self._fresh_until and self.reader.store.last_seq() == self.seq:
                return False
            self._fresh_until = clock.now() + _FRESH_NS
            self._watch()
            running = self.reader.store.running()
            gone, new = self._forget_gone(), self._fetch()
            ids = {drawn.row.id for drawn in self._rows}
            before = self.running
            self.running = tuple(self.drawn(row) for row in running if row.id not in ids)
            return new or gone or self.running != before

    def after(self, seq: int) -> list[Drawn] | None:
        """The rows at hand with a greater ``seq``, oldest first; None when there may be others in the store."""
        with self._lock:
            if seq < self._since:
                return None
            return self._rows[bisect_right(self._seqs, seq) :]

    def drawn(self, row: Summary) -> Drawn:
        """``row`` with its HTML."""
        return Drawn(row, self.reader.plan(row.plan_id) if row.plan_id else None, self._draw(row))

    def forget(self) -> None:
        """The records were cleared: nothing is at hand."""
        with self._lock:
            self._begin_at(self.reader.store.last_seq())

    def _watch(self) -> None:
        if clock.now() >= self._watched_until:
            self.reader.store.watch(WATCH_SECONDS)
            self._watched_until = clock.now() + _SECOND

    def _forget_gone(self) -> bool:
        """Drop what the store does not keep any more, whichever process cleared it; tells whether anything went."""
        store, before = self.reader.store, self.first
        last = store.last_seq()
        oldest = store.after(0, 1)
        self.first = oldest[0].seq if oldest else last + 1
        gone = bisect_right(self._seqs, self.first - 1)
        del self._rows[:gone], self._seqs[:gone]
        if not oldest and self.first != before:
            self.reader.forget()
        return self.first != before

    def _fetch(self) -> bool:
        store, before = self.reader.store, self.seq
        last = store.last_seq()
        if last == self.seq:
            return False
        if not self.seq <= last <= self.seq + AT_HAND:
            self._begin_at(max(0, last - AT_HAND))
        while rows := store.after(self.seq, _PIECE):
            self._rows += [self.drawn(row) for row in rows]
            self._seqs += [row.seq for row in rows]
            self.seq = rows[-1].seq
            if len(rows) < _PIECE:
                break
        self._cut()
        return self.seq != before

    def _cut(self) -> None:
        surplus = len(self._rows) - AT_HAND
        if surplus > 0:
            self._since = self._seqs[surplus - 1]
            del self._rows[:surplus], self._seqs[:surplus]

    def _begin_at(self, seq: int) -> None:
        self._rows, self._seqs = [], []
        self._since = self.seq = seq


_tails: dict[tuple[int, str], Tail] = {}
_tails_lock = Lock()


def of(reader: Reader, base: str, draw: Draw) -> Tail:
    """The tail that viewers under the address ``base`` share."""
    key = (id(reader), base)
    with _tails_lock:
        found = _tails.get(key)
        if found is None or found.reader is not reader:
            while len(_tails) >= _TAILS_MAX:
                del _tails[next(iter(_tails))]
            found = _tails[key] = Tail(reader, draw)
        return found


def forget() -> None:
    """The records were cleared: no tail has any at hand."""
    with _tails_lock:
        for tail in _tails.values():
            tail.forget()
