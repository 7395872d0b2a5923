"""Records in memory, bounded and in order of ``seq``: all of a store in memory, and what another could not write yet."""

import copy
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from threading import Lock

from pipeline_inspector.records import Sealed, Summary


def merged(kept: Iterable[Summary], held: Iterable[Summary]) -> list[Summary]:
    """Rows of both, oldest first; of a record found in both, the kept one (it was just written under a newer ``seq``)."""
    by_id = {row.id: row for row in held}
    by_id.update((row.id, row) for row in kept)
    return sorted(by_id.values(), key=lambda row: row.seq)


class Shelf:
    """Safe to use from any thread. Rows handed out are copies; they change no more."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: list[Sealed] = []
        self.lost = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, batch: Sequence[Sealed], limit: int) -> None:
        """Keep ``batch``, whose ``seq`` are set and greater than all kept ones; the oldest beyond ``limit`` are lost."""
        copies = [Sealed(copy.copy(sealed.summary), sealed.payload, sealed.plan_id) for sealed in batch]
        with self._lock:
            kept = [*self._kept, *copies]
            self.lost += max(0, len(kept) - limit)
            self._kept = kept[-limit:]

    def all(self) -> list[Sealed]:
        """What is kept, oldest first."""
        return self._kept

    def discard(self, gone: Sequence[Sealed]) -> None:
        """Let go of exactly these."""
        with self._lock:
            those = {id(sealed) for sealed in gone}
            self._kept = [sealed for sealed in self._kept if id(sealed) not in those]
            if not self._kept:
                self.lost = 0

    def clear(self) -> int:
        """Let go of all; returns how many they were."""
        with self._lock:
            count, self._kept, self.lost = len(self._kept), [], 0
        return count

    def prune(self, keep: int) -> int:
        """Let go of the oldest so that ``keep`` stay; returns how many went."""
        with self._lock:
            count = max(0, len(self._kept) - keep)
            self._kept = self._kept[count:]
        return count

    def read(self, record_id: str) -> Sealed | None:
        """The newest record with that id."""
        return next((sealed for sealed in reversed(self._kept) if sealed.summary.id == record_id), None)

    def after(self, seq: int, limit: int) -> list[Summary]:
        """The first ``limit`` rows with a greater ``seq``, oldest first."""
        kept = self._kept
        start = bisect_right(kept, seq, key=lambda sealed: sealed.summary.seq)
        return [copy.copy(sealed.summary) for sealed in kept[start : start + limit]]

    def before(self, seq: int | None) -> list[Summary]:
        """All rows with a smaller ``seq`` (None: all), oldest first."""
        return [copy.copy(sealed.summary) for sealed in self._kept if seq is None or sealed.summary.seq < seq]
