"""What other processes do in the tests of the stores; each function runs in one of them."""

import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from pipeline_inspector.store.base import Control, Store
from tests.store.places import Place, batch, sealed

NOBODY = 65534
Numbered = list[tuple[int, str]]


class Hand:
    """A store at ``place``, and what may be done to it in any order."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.store = place.open(limit=100_000)

    def append(self, names: Sequence[str]) -> list[int]:
        """The numbers given to records of these names."""
        records = [sealed(name) for name in names]
        self.store.append(records)
        return [one.summary.seq for one in records]

    def after(self, seq: int, limit: int) -> Numbered:
        """Numbers and names of the first records after ``seq``."""
        return [(row.seq, row.id) for row in self.store.after(seq, limit)]

    def newest(self) -> Numbered:
        """Numbers and names of all records, newest first."""
        return [(row.seq, row.id) for row in self.store.newest()]

    def prune(self, keep: int) -> int:
        """How many of the oldest went."""
        return self.store.prune(keep)

    def clear(self) -> None:
        """Forget all."""
        self.store.clear()

    def reopen(self) -> None:
        """Go on as another process would."""
        self.store.close()
        self.store = self.place.open(limit=100_000)

    def close(self) -> None:
        """Let go."""
        self.store.close()


def obey(orders: Connection) -> None:
    """Be the process behind a ``FarHand``."""
    hand: Hand | None = None
    while (order := orders.recv()) is not None:
        name, arguments = order
        if hand is None or name == "begin":
            hand = Hand(*arguments)
            orders.send(None)
        else:
            orders.send(getattr(hand, name)(*arguments))


def opened_by_fork(store: Store, name: str) -> int:
    """Append one record in a forked child of this process; returns its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.append([sealed(name)])
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def append_batches(place: Place, name: str, batches: int, size: int, go: Event) -> None:
    """Append that many batches, records named ``<name>-<n>``, as fast as possible."""
    store = place.open(limit=100_000)
    go.wait()
    for number in range(batches):
        store.append([sealed(f"{name}-{number * size + n}") for n in range(size)])
    assert store.problems() == []
    store.close()


def append_until_killed(place: Place, started: Event) -> None:
    """Append for ever."""
    store = place.open(limit=100_000)
    while True:
        store.append(batch(5))
        if store.last_seq() > 50:
            started.set()


def switch_off(place: Place, layer: str) -> None:
    """Switch a layer off for everyone."""
    store = place.open()
    store.change_control(lambda state: Control(state.version, (*state.off, layer)))
    store.close()


def append_and_die(place: Place, size: int, payload_size: int = 4) -> None:
    """Append once and be killed before anything can be closed."""
    store = place.open()
    store.append([sealed(payload=os.urandom(payload_size)) for _ in range(size)])
    os.kill(os.getpid(), signal.SIGKILL)


def append_as_another_user(place: Place, name: str, answer: Connection) -> None:
    """Append one record as somebody who is not root, and answer with what is listed and what is told to be wrong."""
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    store = place.open()
    store.append([sealed(name)])
    answer.send(([row.id for row in store.after(0, 10)], store.problems()))
    store.close()
