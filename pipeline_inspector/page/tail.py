"""The newest rows of the store, fetched and drawn once for all viewers of this process.

A viewer asks for what comes after the last ``seq`` it showed; when that reaches further back than what is at hand here,
it reads the store itself. What is at hand is replaced as a whole, so that viewers read it without a lock.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from pipeline_inspector import clock
from pipeline_inspector.reader import Filter, Reader
from pipeline_inspector.records import Plan, Summary

AT_HAND = 1000
WATCH_SECONDS = 3.0
_PIECE = 200
_SECOND = 1_000_000_000
_FRESH_NS = 50_000_000
_TAILS_MAX = 4
_SHARED_MAX = 32

Draw = Callable[[Summary], str]
_Made = TypeVar("_Made")


class Drawn(NamedTuple):
    """A row, its chain (for filters by layer) and its HTML."""

    row: Summary
    plan: Plan | None
    html: str

    def fits(self, wanted: Filter) -> bool:
        """Does ``wanted`` want it?"""
        return wanted.matches(self.row, self.plan)


@dataclass(frozen=True, eq=False)
class AtHand:
    """What is known of the end of the list: rows after ``since`` up to ``seq``, oldest first, and those in hand.

    ``first`` is the ``seq`` of the oldest row that is kept: those before it are gone.
    """

    since: int
    seq: int
    first: int
    rows: tuple[Drawn, ...] = ()
    seqs: tuple[int, ...] = ()
    running: tuple[Drawn, ...] = ()
    _shared: dict[Hashable, Any] = field(default_factory=dict)

    def reaches(self, seq: int) -> bool:
        """Are all rows after ``seq`` here?"""
        return seq >= self.since

    def after(self, seq: int) -> tuple[Drawn, ...]:
        """The rows with a greater ``seq``, oldest first."""
        return self.rows[bisect_right(self.seqs, seq) :]

    def shared(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What ``make`` gives, made once for all viewers with the same ``key``."""
        if key in self._shared:
            found: _Made = self._shared[key]
            return found
        made = make()
        if len(self._shared) < _SHARED_MAX:
            self._shared[key] = made
        return made


class Tail:
    """The end of one store's list. ``draw`` makes the HTML of a row. All methods may be called from any thread."""

    def __init__(self, reader: Reader, draw: Draw) -> None:
        self.reader = reader
        self._draw = draw
        self._lock = Lock()
        self._watched_until = 0
        self._fresh_until = 0
        last = reader.store.last_seq()
        self.now = AtHand(last, last, 1)

    def refresh(self) -> bool:
        """Fetch and draw what is new; tells whether anything is. Asked again at once, it does not look again. Raises
        ``StoreError``."""
        with self._lock:
            if clock.now() < self._fresh_until and self.reader.store.last_seq() == self.now.seq:
                return False
            self._fresh_until = clock.now() + _FRESH_NS
            self._watch()
            running = self.reader.store.running()
            before, first = self.now, self._first()
            since, seq, rows = self._fetched()
            del rows[: bisect_right(rows, first - 1, key=_seq_of)]
            ids = {drawn.row.id for drawn in rows}
            in_hand = tuple(self.drawn(row) for row in running if row.id not in ids)
            if (seq, first, in_hand) == (before.seq, before.first, before.running):
                return False
            self.now = AtHand(since, seq, first, tuple(rows), tuple(map(_seq_of, rows)), in_hand)
            return True

    def drawn(self, row: Summary) -> Drawn:
        """``row`` with its HTML."""
        return Drawn(row, self.reader.plan(row.plan_id) if row.plan_id else None, self._draw(row))

    def forget(self) -> None:
        """The records were cleared: nothing is at hand."""
        with self._lock:
            last = self.reader.store.last_seq()
            self.now = AtHand(last, last, self.now.first, running=self.now.running)

    def _watch(self) -> None:
        if clock.now() >= self._watched_until:
            self.reader.store.watch(WATCH_SECONDS)
            self._watched_until = clock.now() + _SECOND

    def _first(self) -> int:
        """The ``seq`` of the oldest row that is kept, whichever process cleared the store; the one to come when none is."""
        store = self.reader.store
        last = store.last_seq()
        oldest = store.after(0, 1)
        if oldest:
            return oldest[0].seq
        if self.now.first != last + 1:
            self.reader.forget()
        return last + 1

    def _fetched(self) -> tuple[int, int, list[Drawn]]:
        """``since``, ``seq`` and the rows between, with what is new."""
        store, now = self.reader.store, self.now
        since, seq, rows = now.since, now.seq, list(now.rows)
        last = store.last_seq()
        if last == seq:
            return since, seq, rows
        if not seq <= last <= seq + AT_HAND:
            since = seq = max(0, last - AT_HAND)
            rows.clear()
        while piece := store.after(seq, _PIECE):
            rows += [self.drawn(row) for row in piece]
            seq = piece[-1].seq
            if len(piece) < _PIECE:
                break
        surplus = len(rows) - AT_HAND
        if surplus > 0:
            since = _seq_of(rows[surplus - 1])
            del rows[:surplus]
        return since, seq, rows


def _seq_of(drawn: Drawn) -> int:
    return drawn.row.seq


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
