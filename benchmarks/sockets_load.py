"""Requests per second over a real socket: every tool behind its own server with one worker, asked in turn by wrk."""

import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks.pairs import Pair, in_turn
from benchmarks.peers import PYTHON, ROOT, environment, scratch
from pipeline_inspector.store.sqlite import SqliteStore
from tests.sites import free_port

WARM = 2
"""Seconds of load before anything is measured."""

_RATE, _COUNT = re.compile(r"Requests/sec:\s+([\d.]+)"), re.compile(r"(\d+) requests in ")


@contextmanager
def server(tool: str, interface: str, workers: int = 1, **extra: str) -> Iterator[tuple[str, Path]]:
    """The address of a running server with ``tool`` and the folder of its files. gunicorn for WSGI, uvicorn for ASGI."""
    port = free_port()
    with scratch() as folder:
        env = {**environment(), "BENCH_TOOL": tool, "BENCH_FOLDER": str(folder), **extra}
        subprocess.run(
            [PYTHON, "-c", "import benchmarks.served"], env={**env, "BENCH_MIGRATE": "1"}, cwd=ROOT, check=True
        )
        command = (
            [
                "-m",
                "gunicorn",
                "-b",
                f"127.0.0.1:{port}",
                "-w",
                str(workers),
                "--threads",
                "4",
                *(["--reuse-port"] if workers > 1 else []),  # else one worker may take all connections
                "benchmarks.served:wsgi",
            ]
            if interface == "wsgi"
            else ["-m", "uvicorn", "--port", str(port), "--no-access-log", "benchmarks.served:asgi"]
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([PYTHON, *command], env=env, cwd=ROOT, **quiet)  # type: ignore[call-overload]
        try:
            _await(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}/", folder
        finally:
            process.terminate()
            process.wait(30)


def _await(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server at {url} does not answer")


def wrk(url: str, seconds: float, connections: int = 8) -> tuple[float, int]:
    """Requests per second that ``url`` served, and how many these were."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing. On Debian: apt-get install wrk")
    told = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", url],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout
    rate, count = _RATE.search(told), _COUNT.search(told)
    if rate is None or count is None:
        raise RuntimeError(f"wrk said {told!r}")
    return float(rate[1]), int(count[1])


def rates(tools: list[str], interface: str, starts: int, seconds: float) -> tuple[dict[str, list[Pair]], float]:
    """Requests per second of the bare site and of each tool ``in_turn()``, right after it; and the part of its requests that
    the inspector recorded. All servers are started anew ``starts`` times: one process is a few parts in a hundred faster
    than another, for as long as it lives."""
    found: dict[str, list[Pair]] = {tool: [] for tool in tools[1:]}
    asked = recorded = 0
    for _ in range(starts):
        with ExitStack() as stack:
            served = {tool: stack.enter_context(server(tool, interface)) for tool in tools}
            for url, _ in served.values():
                wrk(url, WARM)
            recorded -= _kept(served)
            for tool in in_turn(tools):
                (bare, _), (here, count) = (wrk(served[one][0], seconds) for one in ("bare", tool))
                found[tool].append((bare, here))
                asked += count if tool == "inspector" else 0
            recorded += _kept(served)
    return found, recorded / (asked or 1)


def _kept(served: dict[str, tuple[str, Path]]) -> int:
    """How many requests the inspector has recorded."""
    if "inspector" not in served:
        return 0
    return SqliteStore(served["inspector"][1] / "inspector.sqlite3", lambda: 1).last_seq()
