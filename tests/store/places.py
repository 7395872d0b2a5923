"""Places where a store can keep things, described so that another process can open the same one."""

import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis

from pipeline_inspector.records import Sealed, Summary
from pipeline_inspector.store.base import Store
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.store.redis import RedisStore
from pipeline_inspector.store.sqlite import SqliteStore

_numbers = itertools.count(1)


def sealed(name: str | None = None, payload: bytes = b"tape", **fields: object) -> Sealed:
    """A record with an id of its own."""
    record_id = name or f"{os.getpid()}-{next(_numbers)}"
    return Sealed(Summary(id=record_id, method="GET", path=f"/{record_id}/", **fields), payload, "plan")  # type: ignore[arg-type]


def batch(count: int) -> list[Sealed]:
    """That many records."""
    return [sealed() for _ in range(count)]


def ids(rows: Sequence[Summary]) -> list[str]:
    """Their ids."""
    return [row.id for row in rows]


def _limit(limit: int) -> int:
    return limit


@dataclass(frozen=True)
class Place:
    """Where, in a form that can be sent to another process. ``kind`` is ``sqlite``, ``redis`` or ``memory``."""

    kind: str
    where: str = ""
    project: str = "tests"

    def open(self, limit: int = 1000) -> Store:
        """A store there, as one more process of the project has it."""
        limits = partial(_limit, limit)
        if self.kind == "sqlite":
            return SqliteStore(Path(self.where), limits)
        if self.kind == "redis":
            return RedisStore(self.where, self.project, limits)
        return MemoryStore(limits)


class RedisServer:
    """A real server on a free port of the loopback address, ended by its own process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        """The same server by another way, which can be cut: see ``cut()``."""
        return self._folder / "redis.sock"

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Those who came through ``socket`` lose their connections and get no new ones."""
        away = self.socket.rename(self._folder / "away.sock")
        with redis.Redis(port=self.port) as client:
            quiet = 0
            while quiet < 5:  # one that had knocked before may be let in after
                caught = [one["id"] for one in client.client_list() if one["addr"].startswith("/")]
                for number in caught:
                    client.client_kill_filter(_id=number)
                quiet = 0 if caught else quiet + 1
        yield
        away.rename(self.socket)

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                "redis-server",
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
                str(self.socket),
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 20
        with redis.Redis(port=self.port) as client:
            while True:
                with suppress(redis.ConnectionError):
                    client.ping()
                    return
                assert time.monotonic() < until, "redis-server does not answer"
                time.sleep(0.02)

    def pause(self) -> None:
        """Let it answer nobody, and forget nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once, and all that it kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
