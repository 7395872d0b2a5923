"""Nothing lost at full speed: gunicorn with four workers of four threads, asked by wrk, and the store read beside them.

``python -m benchmarks.store_load --seconds 60``. Afterwards: records stored = requests served − dropped ones, and the
numbers that a tailing reader met have no gap and no repetition.
"""

import argparse
import re
import subprocess
import threading
import time

from benchmarks.peers import prepare
from benchmarks.sockets_load import server
from pipeline_inspector.store.sqlite import SqliteStore

_SERVED = re.compile(r"(\d+) requests in")
KEPT = 1_000_000


class Tail(threading.Thread):
    """Reads "after seq N" again and again, as a page does, and keeps the numbers."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(daemon=True)
        self.store = store
        self.seen: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.read()
            time.sleep(0.05)

    def read(self) -> None:
        """All that is new."""
        while rows := self.store.after(self.seen[-1] if self.seen else 0, 500):
            self.seen.extend(row.seq for row in rows)

    def gaps(self) -> int:
        """How many numbers are missing between the first and the last."""
        return self.seen[-1] - self.seen[0] + 1 - len(set(self.seen)) if self.seen else 0


def run(seconds: int, connections: int) -> dict[str, float]:
    """The figures of one run."""
    with server("inspector", "wsgi", workers=4, BENCH_KEEP=str(KEPT)) as (url, folder):
        store = SqliteStore(folder / "inspector.sqlite3", lambda: KEPT)
        time.sleep(1)
        before = store.last_seq()
        tail = Tail(store)
        tail.start()
        told = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url], capture_output=True, text=True, check=True
        ).stdout
        served = int(_SERVED.search(told)[1])  # type: ignore[index]
        last, still = -1, 0
        while still < 5:
            last, still = store.last_seq(), still + 1 if store.last_seq() == last else 0
            time.sleep(0.5)
        tail.over.set()
        tail.join()
        tail.read()
        stored = len({seq for seq in tail.seen if seq > before})
        found = {
            "served": served,
            "a second": served / seconds,
            "stored": stored,
            "not stored": served - stored,
            "gaps for the reader": tail.gaps(),
            "met twice": len(tail.seen) - len(set(tail.seen)),
        }
        store.close()
        return found


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=16)
    chosen = parser.parse_args()
    prepare()
    for name, value in run(chosen.seconds, chosen.connections).items():
        print(f"{name:22} {value:,.0f}")


if __name__ == "__main__":
    main()
