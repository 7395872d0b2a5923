"""What other processes do in the tests of the stores; each function runs in one of them."""

import os
import signal
from multiprocessing.synchronize import Event

from pipeline_inspector.store.base import Control, Store
from tests.store.places import Place, batch, sealed


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


def append_and_die(place: Place, size: int) -> None:
    """Append once and be killed before anything can be closed."""
    store = place.open()
    store.append(batch(size))
    os.kill(os.getpid(), signal.SIGKILL)
