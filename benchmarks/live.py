"""How soon a request is on the page, and what many open pages cost. ``python -m benchmarks.live --help``.

Four parts, each in a site of its own on free ports: ``latency`` (one page in a real browser, alone and beside many socket
viewers; the time runs from the last byte of the answer to the row in the DOM), ``other`` (the same for requests that
another process served, with no channel layer between the two), ``flood`` (many viewers for a while: rows missed, memory).
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

WATCH = """() => {
  window.seen = {};
  new MutationObserver((changes) => {
    const now = (performance.timeOrigin + performance.now()) / 1000;
    for (const change of changes)
      for (const row of change.addedNodes)
        if (row.nodeName === "LI") window.seen[row.querySelector("a").getAttribute("aria-label")] ??= now;
  }).observe(document.getElementById("requests"), { childList: true });
}"""


def delays(browser: "Browser", looked_at: "Server", asked: "Server", seconds: float, rate: float) -> list[float]:
    """Milliseconds from the last byte to the row, of requests at about ``rate`` a second in uneven steps."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{looked_at.url}/__inspector__/")
    page.wait_for_function("() => document.getElementById('connection').textContent === 'live'")
    page.evaluate(WATCH)
    asker, chance = Asker(asked.port), random.Random(1)
    over: dict[str, float] = {}
    for number in range(int(seconds * rate)):
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


def latency(options: argparse.Namespace) -> list[tuple[str, ...]]:
    """One page alone, beside socket viewers, and by event stream."""
    rows = []
    with place() as site, chromium() as browser:
        server = site.serve()
        Asker(server.port).get("/n/0/")
        rows.append(described("socket, 1 viewer", delays(browser, server, server, options.seconds, options.pace)))
        viewers = Viewers(server.port, options.beside, 1)
        name = f"socket, {options.beside} more socket viewers"
        rows.append(described(name, delays(browser, server, server, options.seconds, options.pace)))
        viewers.end()
        server.stop()
        stream = site.serve("gunicorn")
        rows.append(described("event stream", delays(browser, stream, stream, options.seconds, options.pace)))
    return rows


def other(options: argparse.Namespace) -> list[tuple[str, ...]]:
    """The page at one process, the requests at another."""
    with place() as site, chromium() as browser:
        one, two = site.serve(), site.serve()
        Asker(two.port).get("/n/0/")
        found = delays(browser, one, two, options.seconds, options.pace)
    return [described("socket, served by another process", found)]


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
        f"{told.received / took / 1e6:.1f} MB/s",
    )
    return line, [f"{mb:.0f}" for mb in memory]


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", default=["latency", "other", "flood"], help="latency, other, flood")
    parser.add_argument("--seconds", type=float, default=60, help="how long each measurement lasts")
    parser.add_argument("--pace", type=float, default=4, help="requests per second while delays are measured")
    parser.add_argument("--beside", type=int, default=50, help="socket viewers beside the browser")
    parser.add_argument("--viewers", type=int, default=100, help="socket viewers in the flood")
    parser.add_argument("--rate", type=float, default=200, help="requests per second in the flood")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, which browser, clients and server share.\n")
    delayed = []
    if "latency" in options.parts:
        delayed += latency(options)
    if "other" in options.parts:
        delayed += other(options)
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
            "sent",
        )
        print(table(head, [line]))
        print(f"\nMemory of the server every ten seconds, MB: {', '.join(memory)}")


if __name__ == "__main__":
    main()
