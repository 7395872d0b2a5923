"""Places to keep things in, each fresh, and stores that are closed at the end."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from pipeline_inspector import faults
from pipeline_inspector.store.base import Store
from tests.store.places import Place, RedisServer


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    yield
    faults.forget()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test, which may stop and start it."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "redis", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place."""
    return _place(request, tmp_path)


@pytest.fixture(params=["sqlite", "redis"])
def common_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place that several processes share."""
    return _place(request, tmp_path)


def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "redis":
        return Place("redis", request.getfixturevalue("shared_redis").address, uuid4().hex)
    return Place(request.param, str(tmp_path / "folder" / "requests.sqlite3"))


@pytest.fixture
def open_at() -> Iterator[Callable[..., Store]]:
    """``open_at(place, limit=1000)``: a store, closed at the end."""
    opened: list[Store] = []

    def open_(place: Place, limit: int = 1000) -> Store:
        opened.append(place.open(limit))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(place: Place, open_at: Callable[..., Store]) -> Store:
    """A store at each kind of place."""
    return open_at(place)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """``eventually(lambda: …)``: wait until that is true, ten seconds at most."""

    def wait(true: Callable[[], object]) -> None:
        until = time.monotonic() + 10
        while not true():
            assert time.monotonic() < until, "still not true after ten seconds"
            time.sleep(0.01)

    return wait
