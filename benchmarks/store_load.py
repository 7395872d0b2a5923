"""Nothing lost under load: gunicorn with four workers of four threads, and the store read beside them as a page does.

``python -m benchmarks.store_load``: once as fast as wrk can ask, once at a chosen rate. Afterwards the requests served
(counted by the site) less those counted as dropped must be the records stored, and the numbers met by a reader that asks
"after N" again and again must have no gap. Then the workers are killed with ``kill -9`` at full speed: what is missing must
have ended within the last half second. Ends with an error when that does not hold.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from contextlib import suppress

from benchmarks.peers import prepare
from benchmarks.sites import table
from benchmarks.sockets import ask_at_rate
from benchmarks.sockets_load import server
from pipeline_inspector import clock
from pipeline_inspector.store.sqlite import SqliteStore

KEPT = 1_000_000
CONNECTIONS = 16
KILL_MAY_COST = 0.5


class Tail(threading.Thread):
    """Reads "after seq N" again and again, and keeps the numbers."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(daemon=True)
        self.store = store
        self.seen: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            self.read()

    def read(self) -> None:
        """All that is new."""
        while rows := self.store.after(self.seen[-1] if self.seen else 0, 500):
            self.seen.extend(row.seq for row in rows)

    def gaps(self) -> int:
        """How many numbers are missing up to the last."""
        return self.seen[-1] - len(set(self.seen)) if self.seen else 0


def run(seconds: int, ask: Callable[[str], object]) -> dict[str, int]:
    """The figures of one run, during which ``ask`` is given the site's address."""
    with server("inspector", "wsgi", workers=4, BENCH_KEEP=str(KEPT), BENCH_COUNT="yes") as (url, folder):
        store = SqliteStore(folder / "inspector.sqlite3", lambda: KEPT)
        tail = Tail(store)
        tail.start()
        ask(url)
        last, still = -1, 0
        while still < 5:
            time.sleep(0.5)
            last, still = store.last_seq(), still + 1 if store.last_seq() == last else 0
        tail.over.set()
        tail.join()
        tail.read()
        served = sum(sum(memoryview(file.read_bytes()).cast("Q")) for file in folder.glob("served-*"))
        dropped = sum(fault.count for _, fault in store.faults() if fault.where == "recorder: queue")
        stored = len(set(tail.seen))
        store.close()
    return {
        "served": served,
        "a second": served // seconds,
        "dropped": dropped,
        "stored": stored,
        "lost": served - dropped - stored,
        "gaps": tail.gaps(),
        "met twice": len(tail.seen) - stored,
    }


def kill(seconds: int) -> float:
    """How long before ``kill -9`` at full speed, in seconds, the newest kept request ended: of the worst of the workers."""
    with server("inspector", "wsgi", workers=4, BENCH_KEEP=str(KEPT), BENCH_COUNT="yes") as (url, folder):
        load = subprocess.Popen(wrk(url, seconds + 2), stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        workers = [int(file.name.partition("-")[2]) for file in folder.glob("served-*")]
        at = clock.wall()
        for worker in workers:
            with suppress(ProcessLookupError):  # the one that made the tables has ended
                os.kill(worker, signal.SIGKILL)
        load.wait()
        store = SqliteStore(folder / "inspector.sqlite3", lambda: KEPT)
        pids = {process.id: process.pid for process in store.processes()}
        newest: dict[int, int] = {}
        for row in store.newest():
            ended = clock.from_iso(row.started_at) + row.duration_ns
            newest[pids[row.process]] = max(newest.get(pids[row.process], 0), ended)
        store.close()
    return max(at - ended for pid, ended in newest.items() if pid in workers) / 1e9


def wrk(url: str, seconds: int) -> list[str]:
    """The command that asks for ``url`` as fast as it can."""
    return ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long each of the two runs takes")
    parser.add_argument("--rate", type=int, default=500, help="requests a second in the second run")
    chosen = parser.parse_args()
    prepare()
    seconds, rate = chosen.seconds, chosen.rate

    def fast(url: str) -> None:
        subprocess.run(wrk(url, seconds), capture_output=True, check=True)

    def paced(url: str) -> None:
        port = urllib.parse.urlsplit(url).port
        assert port is not None
        ask_at_rate(port, rate, rate * seconds, connections=CONNECTIONS, path="/")

    runs = {"full speed": run(seconds, fast), f"{rate} a second": run(seconds, paced)}
    rows = [(name, *(f"{value:,}" for value in found.values())) for name, found in runs.items()]
    print(table(("gunicorn, 4 workers × 4 threads", *next(iter(runs.values()))), rows))
    cost = kill(min(seconds, 20))
    print(f"\nKilled at full speed: the newest record kept is of {cost * 1000:.0f} ms before.")
    if cost > KILL_MAY_COST:
        sys.exit("More than half a second of records was lost.")
    if any(found["lost"] or found["gaps"] or found["met twice"] for found in runs.values()):
        sys.exit("Records were lost, or the reader met a gap.")


if __name__ == "__main__":
    main()
