"""The SQLite store's file: small records, bounded size, and the shared state read whole at any moment."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_inspector.records import Segments
from pipeline_inspector.store.base import Control, Store, StoreError
from tests.store import workers
from tests.store.places import Place, batch, sealed

Opener = Callable[..., Store]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.sqlite3"


@pytest.fixture
def place(path: Path) -> Place:
    return Place("sqlite", str(path))


def _bytes_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def test_a_plain_record_takes_less_than_three_kilobytes(store: Store, path: Path) -> None:
    tape = bytes(range(256)) * 6
    plain = {
        "started_at": "2024-01-01T00:00:00.000000Z",
        "status": 200,
        "duration_ns": 1_234_567,
        "view": "shop.views.product_list",
        "route": "products/<int:number>/",
        "segments": Segments(300_000, 20_000, 500_000, 100_000),
        "process": "4711-1700000000",
        "plan_id": "0123456789abcdef",
    }
    store.append([sealed()])
    store.close()
    empty = path.stat().st_size
    for _ in range(20):
        store.append([sealed(payload=tape, **plain) for _ in range(50)])
    store.close()
    assert (path.stat().st_size - empty) / 1000 <= 3000


def test_the_size_on_disk_is_bounded(place: Place, path: Path, open_at: Opener) -> None:
    store = open_at(place, limit=100)
    sizes = []
    for _ in range(8):
        for _ in range(10):
            store.append([sealed(payload=bytes(range(256)) * 8) for _ in range(25)])
        store.close()
        sizes.append(_bytes_of(path))
    assert sizes[-1] <= sizes[1] * 1.1


def test_the_log_beside_the_file_stays_small_while_it_is_open(place: Place, path: Path, open_at: Opener) -> None:
    store = open_at(place, limit=100)
    for _ in range(60):
        store.append([sealed(payload=os.urandom(8000)) for _ in range(64)])
    assert path.with_name(f"{path.name}-wal").stat().st_size < 12_000_000


def test_the_log_of_writers_that_were_all_killed_does_not_grow_for_ever(store: Store, place: Place, path: Path) -> None:
    assert store.after(0, 1) == [], "a reader that is there all the time keeps the log from being put away"
    spawn = multiprocessing.get_context("spawn")
    for _ in range(4):
        writer = spawn.Process(target=workers.append_and_die, args=(place, 400, 4000))
        writer.start()
        writer.join()
    assert path.with_name(f"{path.name}-wal").stat().st_size < 5_000_000


def test_a_lowered_limit_gives_space_back(place: Place, path: Path, open_at: Opener) -> None:
    store = open_at(place, limit=2000)
    for _ in range(40):
        store.append([sealed(payload=bytes(range(256)) * 8) for _ in range(50)])
    store.close()
    full = path.stat().st_size
    lower = open_at(place, limit=100)
    for _ in range(3):
        lower.append(batch(100))
    lower.close()
    assert path.stat().st_size < full / 2


def test_more_switches_than_fit_are_refused_and_the_old_ones_stay(store: Store) -> None:
    kept = store.change_control(lambda state: Control(state.version, ("a.B",)))
    with pytest.raises(StoreError, match="more than the"):
        store.change_control(lambda state: Control(state.version, tuple(f"a.Layer{n}" for n in range(10_000))))
    assert store.control() == kept
    assert store.control_version() == kept.version


def test_a_reader_never_sees_half_a_switch(store: Store, place: Place, open_at: Opener) -> None:
    other = open_at(place)
    done = threading.Event()

    def flip() -> None:
        for number in range(100):
            store.change_control(lambda state, number=number: Control(state.version, (str(number),) * (number % 40)))
        done.set()

    flipping = threading.Thread(target=flip)
    flipping.start()
    version = 0
    while not done.is_set():
        state = other.control()
        assert len(set(state.off)) <= 1
        assert not state.off or len(state.off) == int(state.off[0]) % 40
        assert state.version >= version
        version = state.version
    flipping.join()
    assert other.control_version() == 100
