"""What every store promises, in words: keep the records, hand them out in order, hold the developer's hand's state.

A store serves many threads and many processes of one project at once. Nothing here is ever called on the path of a
request except ``control_version()`` and, after that has changed, ``control()``.

Order. ``append()`` gives each record of its batch a ``seq``: a whole number from 1, strictly rising over all processes,
never reused (not after ``clear()``, not after a restart). When a reader has seen ``seq`` N, no record with a smaller
``seq`` appears later. So a reader that asks "after N" again and again misses nothing.

Failure. Reading or writing may raise ``StoreError`` with a message for people (what was wrong, where, what to do);
nothing else. A store that cannot write keeps the newest records in memory (``MAX_REQUESTS`` of them), serves them, lists
the reason in ``problems()``, and writes again when it can. No call waits longer than ``PATIENCE`` seconds.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import msgspec

from pipeline_inspector.faults import Fault
from pipeline_inspector.records import Plan, Process, Sealed, Summary

PATIENCE = 2.0


class StoreError(Exception):
    """The store could not do what was asked; the message says why and what to do."""


class Control(msgspec.Struct, frozen=True):
    """The developer's hand: layers that are off for everyone, and those off for single browsers (by their token)."""

    version: int = 0
    off: tuple[str, ...] = ()
    off_for: dict[str, tuple[str, ...]] = {}


def control_after(edit: Callable[[Control], Control], state: Control, version: int = 0) -> Control:
    """What ``edit`` makes of ``state``, under the next version after that of ``state`` and ``version``."""
    return msgspec.structs.replace(edit(state), version=max(state.version, version) + 1)


class Store(ABC):
    """The contract. One instance per process, made by ``store.configured.store()``."""

    # -- records ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def append(self, batch: Sequence[Sealed]) -> int:
        """Keep ``batch`` in its order, set each ``summary.seq``, and return the last. Prunes to the limit now and then."""

    @abstractmethod
    def read(self, record_id: str) -> Sealed | None:
        """The record with that id (any text), or None."""

    @abstractmethod
    def after(self, seq: int, limit: int) -> list[Summary]:
        """The first ``limit`` rows with a greater ``seq``, oldest first."""

    @abstractmethod
    def newest(self, before: int | None = None) -> Iterable[Summary]:
        """Rows newest first, those with a smaller ``seq`` than ``before`` (None: all), fetched piece by piece."""

    @abstractmethod
    def last_seq(self) -> int:
        """The greatest ``seq`` given so far, 0 before the first. Cheap: viewers ask ten times a second."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all records. ``seq`` goes on rising, the control state stays."""

    @abstractmethod
    def prune(self, keep: int) -> int:
        """Forget the oldest so that ``keep`` records stay; returns how many went."""

    # -- chains and processes ---------------------------------------------------------------------------------------

    @abstractmethod
    def put_plan(self, plan: Plan) -> None:
        """Keep a chain under its id, and make it the newest of its interface."""

    @abstractmethod
    def plan(self, plan_id: str) -> Plan | None:
        """The chain with that id, or None."""

    @abstractmethod
    def plans(self) -> list[Plan]:
        """All kept chains, newest first."""

    @abstractmethod
    def put_process(self, process: Process) -> None:
        """Keep (or replace) what is known of a process; the newest 50 stay."""

    @abstractmethod
    def processes(self) -> list[Process]:
        """Newest first."""

    # -- while it runs ----------------------------------------------------------------------------------------------

    @abstractmethod
    def put_running(self, process: str, rows: Sequence[Summary]) -> None:
        """Replace the rows of requests in hand of one process (id as in ``Process.id``). Kept for at most two seconds."""

    @abstractmethod
    def running(self) -> list[Summary]:
        """Requests in hand in all processes, oldest first; those of processes that fell silent are left out."""

    @abstractmethod
    def watch(self, seconds: float) -> None:
        """A viewer looks, for the next ``seconds``."""

    @abstractmethod
    def watched(self) -> bool:
        """Does any viewer of any process look? Cheap: recorders ask ten times a second."""

    # -- control ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def control_version(self) -> int:
        """Rises with each change of the control state in any process. Called once per request: a memory read (well under
        a microsecond), never blocks, never raises."""

    @abstractmethod
    def control(self) -> Control:
        """The control state. Never waits for a lock or for a server: what this process last knew, at worst."""

    @abstractmethod
    def change_control(self, edit: Callable[[Control], Control]) -> Control:
        """Apply ``edit`` to the newest state, alone of all processes, and return the result with its new version."""

    # -- about itself -----------------------------------------------------------------------------------------------

    @abstractmethod
    def put_faults(self, process: str, faults: Sequence[Fault]) -> None:
        """Replace the failures told by one process."""

    @abstractmethod
    def faults(self) -> list[tuple[str, Fault]]:
        """``(process id, failure)`` of processes heard from within the last hour, newest first."""

    @abstractmethod
    def token(self) -> str:
        """The API token of this project: made once, 32 random bytes as URL-safe text, private to the user."""

    @abstractmethod
    def problems(self) -> list[str]:
        """What is wrong with this store now, for people; empty when all is well."""

    @abstractmethod
    def location(self) -> str:
        """Where it keeps things, for people (a path, an address without its password)."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; any later call opens them again."""
