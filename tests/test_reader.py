"""Statistics over all that is kept: they agree with the records, follow the store, and open each record once."""

import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from pipeline_inspector import faults
from pipeline_inspector.assembly.abridged import abridged
from pipeline_inspector.assembly.record import assemble
from pipeline_inspector.control import toggles
from pipeline_inspector.reader import Reader
from pipeline_inspector.readings.statistics import LayerStatistics, Spread, Statistics, statistics
from pipeline_inspector.recording import recorder
from pipeline_inspector.records import Sealed
from pipeline_inspector.store import configured
from pipeline_inspector.store.base import Store
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.store.sqlite import SqliteStore
from tests.scenarios.comparing import HOOKS
from tests.scenarios.driving import INTERFACES, ask, site
from tests.scenarios.made import ACTS, Spec, order

LIMIT = 1000
PATHS = ("/", "/template/", "/broken/", "/missing/", "/redirect/", "/class/")


class Counting(SqliteStore):
    """A store that notes which records were opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda: LIMIT)
        self.opened: list[str] = []

    def read(self, record_id: str) -> Sealed | None:
        self.opened.append(record_id)
        return super().read(record_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    """An empty store in a file, in place of the configured one."""
    store = Counting(tmp_path / "requests.sqlite3")
    with configured.use(store):
        yield store
    store.close()


def keep(interface: str = "wsgi", act: str = "pass", count: int = 1) -> None:
    """Keep ``count`` requests through four layers, of which the third does ``act``."""
    acts = ["pass", "pass", act, "pass"]
    with site([order(Spec(f"K{number}", hooks=HOOKS, act=one)) for number, one in enumerate(acts)]):
        for number in range(count):
            ask(interface, PATHS[number % len(PATHS)])
    assert recorder.flush()


def _reckoned(store: Store) -> Statistics:
    """The statistics as a reader of their definition would work them out."""
    records = [assemble(sealed, store.plan(sealed.plan_id)) for row in store.newest() if (sealed := store.read(row.id))]
    whole = sum(record.duration_ns for record in records)
    layers = {layer.id: layer.index for record in reversed(records) for layer in record.layers}
    found = []
    for layer_id, index in layers.items():
        seen = [layer for record in records for layer in record.layers if layer.id == layer_id]
        ran = [layer for layer in seen if layer.outcome not in ("off", "not_reached")]
        told = LayerStatistics(
            id=layer_id,
            name=layer_id.rpartition(".")[2],
            index=index,
            count=len(ran),
            in_ns=_percentiles([layer.in_ns for layer in ran]),
            out_ns=_percentiles([layer.out_ns for layer in ran]),
            share=sum(layer.in_ns + layer.out_ns + layer.hop_ns for layer in ran) / whole,
            changed=len([layer for layer in ran if layer.changes]),
        )
        for outcome in ("off", "not_reached", "answered", "raised", "rescued"):
            setattr(told, outcome, len([layer for layer in seen if layer.outcome == outcome]))
        found.append(told)
    durations = _percentiles([record.duration_ns for record in records])
    return Statistics(len(records), durations, sorted(found, key=lambda layer: layer.index))


def _percentiles(values: list[int]) -> Spread:
    ordered = sorted(values)
    return Spread(*(ordered[math.ceil(len(ordered) * rank / 100) - 1] if ordered else 0 for rank in (50, 95, 99)))


def test_they_agree_with_the_records_over_all_of_more_than_two_hundred(store: Counting) -> None:
    for act in ACTS:
        keep(act=act, count=24)
    toggles.switch(store, f"{Spec.__module__}.K1", enabled=False)
    keep(count=12)
    found = Reader(store).statistics()
    assert found.count == 24 * len(ACTS) + 12 > 250
    assert found == _reckoned(store)
    assert [layer.off for layer in found.layers] == [0, 12, 0, 0]


def test_the_newest_alone_can_be_asked_for(store: Counting) -> None:
    keep(act="answer", count=5)
    keep(count=5)
    reader = Reader(store)
    assert reader.statistics(5).count == 5
    assert [layer.answered for layer in reader.statistics(5).layers] == [0, 0, 0, 0]
    assert [layer.answered for layer in reader.statistics(7).layers] == [0, 0, 2, 0]
    assert reader.statistics().count == 10


def test_each_record_is_opened_once(store: Counting) -> None:
    keep(count=30)
    reader = Reader(store)
    first = reader.statistics()
    assert len(set(store.opened)) == len(store.opened) == 30
    assert reader.statistics() == first
    assert len(store.opened) == 30
    keep(count=3)
    assert reader.statistics() == _reckoned(store)
    new = {row.id for row in list(store.newest())[:3]}
    assert set(store.opened[30:33]) == new
    assert reader.statistics(20).count == 20
    assert len(store.opened) == 33 + 33


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_what_is_pruned_or_cleared_counts_no_more(store: Counting, kind: str) -> None:
    kept: Store = store if kind == "sqlite" else MemoryStore(lambda: LIMIT)
    with configured.use(kept):
        keep(act="answer", count=20)
        keep(count=20)
        reader = Reader(kept)
        assert reader.statistics().count == 40
        kept.prune(20)
        assert reader.statistics() == _reckoned(kept)
        assert [layer.answered for layer in reader.statistics().layers] == [0, 0, 0, 0]
        kept.clear()
        assert reader.statistics() == Statistics()
        keep(act="raise_in", count=4)
        assert reader.statistics() == _reckoned(kept)
        assert reader.statistics().count == 4


def test_every_process_sees_what_the_others_kept_and_cleared(store: Counting) -> None:
    keep(count=15)
    reader, spawn = Reader(store), multiprocessing.get_context("spawn")
    assert reader.statistics().count == 15
    mine, theirs = spawn.Pipe()
    other = spawn.Process(target=_elsewhere, args=(store.path, theirs))
    other.start()
    assert mine.recv() == msgspec.json.encode(reader.statistics())
    keep(act="answer", count=5)
    mine.send("again")
    assert mine.recv() == msgspec.json.encode(reader.statistics())
    assert reader.statistics().count == 20
    mine.send("clear")
    assert mine.recv() == msgspec.json.encode(reader.statistics()) == msgspec.json.encode(Statistics())
    other.join()


def _elsewhere(path: Path, answer: Connection) -> None:
    """Be another process that looks at the statistics."""
    store = SqliteStore(path, lambda: LIMIT)
    reader = Reader(store)
    answer.send(msgspec.json.encode(reader.statistics()))
    assert answer.recv() == "again"
    answer.send(msgspec.json.encode(reader.statistics()))
    assert answer.recv() == "clear"
    store.clear()
    answer.send(msgspec.json.encode(reader.statistics()))
    store.close()


def test_many_threads_may_look_while_requests_are_kept(store: Counting) -> None:
    keep(count=60)
    reader = Reader(store)
    with ThreadPoolExecutor(4) as threads:
        looks = [threads.submit(reader.statistics, (None, 20)[number % 2]) for number in range(12)]
        keep(act="answer", count=20)
        counts = [look.result().count for look in looks]
    assert set(counts[1::2]) == {20}
    assert all(60 <= count <= 80 for count in counts[::2])
    assert reader.statistics() == _reckoned(store)


def test_a_record_that_cannot_be_put_together_is_left_out_and_noted_once(store: Counting) -> None:
    keep(count=3)
    (row, *_) = store.newest()
    sealed = store.read(row.id)
    assert sealed is not None
    store.append([msgspec.structs.replace(sealed, summary=msgspec.structs.replace(row, id="broken"), payload=b"?")])
    reader = Reader(store)
    try:
        assert reader.statistics().count == 3
        keep()
        assert reader.statistics().count == 4
        assert [fault.count for fault in faults.seen()] == [1]
    finally:
        faults.forget()


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("act", ACTS)
def test_an_abridged_record_has_the_layers_of_the_whole_one(store: Counting, interface: str, act: str) -> None:
    keep(interface, act, len(PATHS))
    for row in store.newest():
        sealed = store.read(row.id)
        assert sealed is not None
        for plan in (store.plan(sealed.plan_id), None):
            whole, short = assemble(sealed, plan), abridged(sealed, plan)
            assert (short.duration_ns, short.state) == (whole.duration_ns, whole.state)
            assert short.layers == [msgspec.structs.replace(layer, query_count=0) for layer in whole.layers]
            assert statistics([short]) == statistics([whole])
