"""How soon a request is on the page, and what many open pages cost. ``python -m benchmarks.live --help``.

Parts, each in a site of its own on free ports. Four of one page in a real browser, where the time runs from the last byte
of the answer to the row in the DOM: ``alone``, ``beside`` many socket viewers, by event ``stream``, and for requests that
an ``other`` process served, with no channel layer between the two. And ``flood``: many viewers for a while (rows missed,
memory).
"""

import argparse
import os
import random
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.sites import Place, chromium, place, processor_seconds, resident_mb, table
from benchmarks.sockets import PATH, Asker, Viewers, ask_at_rate

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.sites import Server

LATENCY = {
    "alone": "socket, 1 viewer",
    "beside": "socket, {} more socket viewers",
    "stream": "event stream",
    "other": "socket, served by another process",
}
WATCH = """() => {
  window.seen = {};
  new MutationObserver((changes) => {
    const now = (performance.timeOrigin + performance.now()) / 1000;
    for (const change of changes)
      for (const row of change.addedNodes)
        if (row.nodeName === "LI") window.seen[row.querySelector("a").getAttribute("aria-label")] ??= now;
  }).observe(document.getElementById("requests"), { childList: true });
}"""


def delays(browser: "Browser", looked_at: "Server", asked: "Server", count: int, rate: float) -> list[float]:
    """Milliseconds from the last byte to the row, of requests at about ``rate`` a second in uneven steps."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{looked_at.url}/__inspector__/")
    page.wait_for_function("() => document.getElementById('connection').textContent === 'live'")
    page.evaluate(WATCH)
    asker, chance = Asker(asked.port), random.Random(1)
    over: dict[str, float] = {}
    for number in range(count):
        path = PATH.format(number=1_000_000 + number)
        over[f"GET {path} 200"] = asker.get(path)
        time.sleep(chance.uniform(0.2, 1.8) / rate)
    time.sleep(1.5)
    seen = page.evaluate("window.seen")
    context.close()
    missed = [name for name in over if name not in seen]
    if missed:
        print(f"{len(missed)} rows did not come, such as {missed[0]}")
    return [(seen[name] - moment) * 1000 for name, moment in over.items() if name in seen]


def described(name: str, found: list[float]) -> tuple[str, ...]:
    """A line of the table of delays."""
    p99 = statistics.quantiles(found, n=100, method="inclusive")[98]
    return (name, str(len(found)), f"{statistics.median(found):.0f} ms", f"{p99:.0f} ms", f"{max(found):.0f} ms")


def latency(part: str, options: argparse.Namespace) -> tuple[str, ...]:
    """One page and what stands beside it."""
    with place() as site, chromium() as browser:
        looked_at = site.serve("gunicorn" if part == "stream" else "uvicorn")
        asked = site.serve() if part == "other" else looked_at
        Asker(asked.port).get("/n/0/")
        viewers = Viewers(looked_at.port, options.beside, 1) if part == "beside" else None
        found = delays(browser, looked_at, asked, options.requests, options.pace)
        if viewers is not None:
            viewers.end()
    return described(LATENCY[part].format(options.beside), found)


def flood(options: argparse.Namespace, site: Place) -> tuple[tuple[str, ...], list[str]]:
    """Many viewers and many requests: what was reached, and the memory every ten seconds."""
    server = site.serve()
    pid = server.process.pid
    Asker(server.port).get("/n/0/")
    count = int(options.rate * options.seconds)
    warm = min(500, count // 4)
    viewers = Viewers(server.port, options.viewers, warm + count)
    ask_at_rate(server.port, options.rate, warm, 0)
    time.sleep(1)
    memory, used, begin = [resident_mb(pid)], processor_seconds(pid), time.perf_counter()
    reached, number = [], warm
    while number < warm + count:
        piece = min(int(options.rate * 10), warm + count - number)
        reached.append(ask_at_rate(server.port, options.rate, piece, number))
        memory.append(resident_mb(pid))
        number += piece
    used, took = processor_seconds(pid) - used, time.perf_counter() - begin
    time.sleep(3)
    told = viewers.end()
    server.stop()
    line = (
        str(options.viewers),
        f"{options.rate:g}",
        f"{statistics.mean(reached):.0f}",
        f"{took:.0f} s",
        str(max(told.missing)),
        str(told.left_out),
        f"{memory[0]:.0f} → {memory[-1]:.0f} MB",
        f"{100 * used / took:.0f} %",
        f"{told.updates / took / options.viewers:.1f}",
        f"{told.received / took / 1e6:.1f} MB/s",
    )
    return line, [f"{mb:.0f}" for mb in memory]


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", default=[*LATENCY, "flood"], help=", ".join([*LATENCY, "flood"]))
    parser.add_argument("--requests", type=int, default=320, help="how many delays are measured in each part")
    parser.add_argument("--seconds", type=float, default=60, help="how long the flood lasts")
    parser.add_argument("--pace", type=float, default=5, help="requests per second while delays are measured")
    parser.add_argument("--beside", type=int, default=50, help="socket viewers beside the browser")
    parser.add_argument("--viewers", type=int, default=100, help="socket viewers in the flood")
    parser.add_argument("--rate", type=float, default=200, help="requests per second in the flood")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, which browser, clients and server share.\n")
    delayed = [latency(part, options) for part in LATENCY if part in options.parts]
    if delayed:
        print(table(("last byte → row in the DOM", "requests", "median", "p99", "most"), delayed), "\n")
    if "flood" in options.parts:
        with place() as site:
            line, memory = flood(options, site)
        head = (
            "viewers",
            "asked per s",
            "reached",
            "for",
            "rows missed by the worst",
            "left out",
            "memory",
            "CPU",
            "updates a second to each",
            "sent",
        )
        print(table(head, [line]))
        print(f"\nMemory of the server every ten seconds, MB: {', '.join(memory)}")


if __name__ == "__main__":
    main()
