"""The showing wing's way to the store: rows, records made ready on demand, chains. Takes from the store, never writes.

A record is kept as a packed tape and assembled when it is read; the last few assembled ones are kept at hand, and of each
that statistics were made of, what they take.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import NamedTuple

import msgspec

from pipeline_inspector import faults
from pipeline_inspector.assembly.abridged import abridged
from pipeline_inspector.assembly.record import assemble
from pipeline_inspector.readings.statistics import Figures, Layers, Statistics, figures, together
from pipeline_inspector.records import Plan, RequestRecord, Sealed, Summary
from pipeline_inspector.store.base import Store

_AT_HAND = 64


class Filter(msgspec.Struct, frozen=True):
    """Which rows are wanted; an empty field wants all. ``path``, ``view`` and ``exception`` match a part of the text,
    ``status`` is a number or a class such as ``5xx``, ``layer`` an id or class name of a layer that the request went
    through, ``min_ms`` a duration in milliseconds. Text matches without regard to case."""

    method: str = ""
    path: str = ""
    status: str = ""
    min_ms: float = 0.0
    layer: str = ""
    view: str = ""
    exception: str = ""

    def matches(self, row: Summary, plan: Plan | None) -> bool:
        """Is ``row``, which ran through ``plan``, wanted?"""
        return (
            (not self.method or row.method.lower() == self.method.lower())
            and (not self.path or self.path.lower() in row.path.lower())
            and (not self.status or _status_fits(self.status, row))
            and row.duration_ns >= self.min_ms * 1_000_000
            and (not self.view or self.view.lower() in row.view.lower())
            and (not self.exception or self.exception.lower() in (row.exception or "").lower())
            and (not self.layer or _went_through(self.layer, row, plan))
        )


def _status_fits(wanted: str, row: Summary) -> bool:
    seen = row.state if row.status is None else str(row.status)
    return wanted.lower() == seen or (len(wanted) == 3 and wanted[1:].lower() == "xx" and seen[:1] == wanted[0])


def _went_through(wanted: str, row: Summary, plan: Plan | None) -> bool:
    if plan is None:
        return False
    return any(
        wanted in (layer.id, layer.name) and layer.index <= row.deepest and layer.id not in row.toggles
        for layer in plan.layers
    )


class _Seen(NamedTuple):
    """What statistics take of the record kept under ``seq``; None where it cannot be put together."""

    seq: int
    figures: Figures | None


class Reader:
    """Reads one store. Safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seen: dict[str, _Seen] = {}
        self._chains: dict[Layers, Layers] = {}
        self._told: dict[int | None, tuple[tuple[int, int], Statistics]] = {}
        self._plans: dict[str, Plan | None] = {}
        self._ready: OrderedDict[str, RequestRecord] = OrderedDict()
        self._lock = Lock()

    def record(self, record_id: str) -> RequestRecord | None:
        """The whole record, or None when it is not kept (any more)."""
        with self._lock:
            if record_id in self._ready:
                self._ready.move_to_end(record_id)
                return self._ready[record_id]
        sealed = self.store.read(record_id)
        if sealed is None:
            return None
        record = assemble(sealed, self.plan(sealed.plan_id))
        with self._lock:
            self._ready[record_id] = record
            while len(self._ready) > _AT_HAND:
                self._ready.popitem(last=False)
        return record

    def after(self, seq: int, limit: int, wanted: Filter) -> tuple[list[Summary], int]:
        """Up to ``limit`` wanted rows with a greater ``seq``, oldest first, and the ``seq`` up to which was looked."""
        found: list[Summary] = []
        while len(found) < limit:
            rows = self.store.after(seq, 200)
            for row in rows:
                seq = row.seq
                if self.wants(wanted, row):
                    found.append(row)
                    if len(found) == limit:
                        break
            if len(rows) < 200:
                break
        return found, seq

    def newest(self, limit: int, wanted: Filter, before: int | None = None) -> list[Summary]:
        """The newest ``limit`` wanted rows, newest last."""
        found: list[Summary] = []
        for row in self.store.newest(before):
            if self.wants(wanted, row):
                found.append(row)
                if len(found) == limit:
                    break
        return found[::-1]

    def statistics(self, newest: int | None = None) -> Statistics:
        """The numbers over the ``newest`` kept requests, None: over all. Each record is opened once; one that cannot
        be put together is left out, and noted."""
        seq = self.store.last_seq()
        oldest = next((row.seq for row in self.store.after(0, 1)), seq + 1)
        with self._lock:
            told = self._told.get(newest)
            if told and told[0] == (oldest, seq):
                return told[1]
            self._seen = {record_id: seen for record_id, seen in self._seen.items() if seen.seq >= oldest}
        rows = list(islice(self.store.newest(), newest))
        found = together(self._figures(rows[::-1]))
        with self._lock:
            self._told[newest] = ((oldest, seq), found)
        return found

    def _figures(self, rows: Sequence[Summary]) -> Iterator[Figures]:
        for row in rows:
            seen = self._seen.get(row.id) or self._opened(row)
            if seen.figures is not None:
                yield seen.figures

    def _opened(self, row: Summary) -> _Seen:
        sealed = self.store.read(row.id)
        if sealed is None:
            return _Seen(row.seq, None)
        seen = _Seen(row.seq, self._figures_of(sealed))
        with self._lock:
            self._seen[row.id] = seen
        return seen

    def _figures_of(self, sealed: Sealed) -> Figures | None:
        try:
            found = figures(abridged(sealed, self.plan(sealed.plan_id)))
        except Exception as error:
            faults.note("reader: putting a record together", error)
            return None
        with self._lock:
            return found._replace(layers=self._chains.setdefault(found.layers, found.layers))

    def wants(self, wanted: Filter, row: Summary) -> bool:
        """Does ``wanted`` want ``row``?"""
        return wanted.matches(row, self.plan(row.plan_id) if wanted.layer else None)

    def plan(self, plan_id: str) -> Plan | None:
        """The chain with that id."""
        if self._plans.get(plan_id) is None:
            self._plans[plan_id] = self.store.plan(plan_id)
        return self._plans[plan_id]

    def newest_plan(self) -> Plan | None:
        """The chain that the site loaded last."""
        return next(iter(self.store.plans()), None)

    def forget(self) -> None:
        """Drop what is at hand (the store was cleared)."""
        with self._lock:
            self._ready.clear()
            self._seen.clear()
            self._told.clear()
