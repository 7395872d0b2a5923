"""A store in the memory of one process: for tests, and where nothing else can be opened. Gone when the process ends."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from pipeline_inspector import clock
from pipeline_inspector.records import Sealed, Summary
from pipeline_inspector.store.base import Control, control_after
from pipeline_inspector.store.shelf import Shelf
from pipeline_inspector.store.things import Kind, Thing, ThingStore


class MemoryStore(ThingStore):
    """Keeps ``max_requests()`` records. ``problem`` is told by ``problems()``: why there is no better store."""

    def __init__(self, max_requests: Callable[[], int], problem: str | None = None) -> None:
        super().__init__()
        self._max_requests = max_requests
        self._problem = problem
        self._shelf = Shelf()
        self._lock = Lock()
        self._last = 0
        self._until = 0
        self._control = Control()
        self._token = secrets.token_urlsafe(32)

    def append(self, batch: Sequence[Sealed]) -> int:
        with self._lock:
            for seq, sealed in enumerate(batch, self._last + 1):
                sealed.summary.seq = seq
            self._last += len(batch)
            self._shelf.add(batch, self._max_requests())
            return self._last

    def read(self, record_id: str) -> Sealed | None:
        return self._shelf.read(record_id)

    def after(self, seq: int, limit: int) -> list[Summary]:
        return self._shelf.after(seq, limit)

    def newest(self, before: int | None = None) -> Iterable[Summary]:
        return reversed(self._shelf.before(before))

    def last_seq(self) -> int:
        return self._last

    def clear(self) -> None:
        self._shelf.clear()

    def prune(self, keep: int) -> int:
        return self._shelf.prune(keep)

    def watch(self, seconds: float) -> None:
        self._until = max(self._until, clock.now() + int(seconds * 1e9))

    def watched(self) -> bool:
        return self._until > clock.now()

    def control_version(self) -> int:
        return self._control.version

    def control(self) -> Control:
        return self._control

    def change_control(self, edit: Callable[[Control], Control]) -> Control:
        with self._lock:
            self._control = control_after(edit, self._control)
            return self._control

    def token(self) -> str:
        return self._token

    def problems(self) -> list[str]:
        return [self._problem] if self._problem else []

    def location(self) -> str:
        return "memory of this process"

    def close(self) -> None:
        """Nothing is open: what is kept stays."""

    def _put(self, kind: Kind, name: str, body: bytes) -> None:
        """All that was put is this process's own, which is known already."""

    def _all(self, kind: Kind) -> list[Thing]:
        return []
