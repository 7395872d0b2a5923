"""What the main page costs with many requests kept. ``python -m benchmarks.page --help``.

First paint of a page that was never loaded before (a new browser profile each time) and, in turn with it, of a bare page of
the site, which is what browser and machine take at least; the rows in the DOM, the time from a click on a row to the onion,
how long the Pipeline page takes, and what staying up to date takes from the browser while requests pour in. For the last,
another process puts copies of kept requests into the store, so that the site's own speed does not matter.
"""

import argparse
import copy
import multiprocessing
import os
import statistics
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.sites import Place, chromium, place, processor_seconds, table
from benchmarks.sockets import Asker, ask_at_rate
from pipeline_inspector.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.sites import Server

CLICK = """([index, patience]) => new Promise((done) => {
  const link = document.querySelectorAll("#requests > li > a")[index];
  const chosen = link.parentElement.id.slice(2);
  const begin = performance.now();
  const late = setTimeout(() => done(null), patience);
  const seen = new MutationObserver(() => {
    const stage = document.querySelector("#stage .stage:has(.onion svg)");
    if (stage?.dataset.record !== chosen) return;
    seen.disconnect();
    clearTimeout(late);
    const drawn = new MessageChannel();
    drawn.port1.onmessage = () => done(performance.now() - begin);
    requestAnimationFrame(() => drawn.port2.postMessage(null));
  });
  seen.observe(document.getElementById("stage"), { childList: true, subtree: true });
  link.click();
})"""
WATCH = """() => {
  window.updates = 0;
  window.frames = [];
  new MutationObserver(() => { window.updates += 1; }).observe(document.getElementById("requests"), { childList: true });
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    window.frames.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""
PATIENCE_MS = 20_000
USED = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


def opened(browser: "Browser", server: "Server") -> "Page":
    """The main page in a profile of its own."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{server.url}/__inspector__/")
    page.wait_for_function("() => document.getElementById('connection').textContent === 'live'")
    return page


def paints(browser: "Browser", address: str, rows: int) -> tuple[float, float]:
    """Milliseconds to the first paint and to the first byte of a page with ``rows`` rows, in a profile of its own."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_function("() => performance.getEntriesByType('paint').length > 0")
    first = page.evaluate("performance.getEntriesByName('first-paint')[0].startTime")
    answered = page.evaluate("performance.getEntriesByType('navigation')[0].responseStart")
    assert page.locator("#requests > li").count() == rows
    page.context.close()
    return first, answered


def clicks(page: "Page", count: int) -> list[float]:
    """Milliseconds from a click on a row to the frame after its onion stands on the page, also when the row has left the
    list by then."""
    found = [page.evaluate(CLICK, [1 + number, PATIENCE_MS]) for number in range(count)]
    if None in found:
        raise SystemExit(f"A chosen row's onion did not come within {PATIENCE_MS / 1000:.0f} s.")
    return found


def looks(site: Place, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds until the Pipeline page is answered: to the first look of a process, which opens all that is kept, and
    to the next, when one more request was kept."""
    first, later = [], []
    for _ in range(count):
        server = site.serve()
        server.get("/n/0/")
        for found in (first, later):
            begin = time.perf_counter()
            assert server.get("/__inspector__/pipeline/").is_success
            found.append(1000 * (time.perf_counter() - begin))
            server.get("/n/0/")
            time.sleep(0.3)
        server.stop()
    return first, later


def pour(path: Path, rate: float, end: Event) -> None:
    """Put copies of the newest kept request into the store, ``rate`` of them a second."""
    store = SqliteStore(path, lambda: 2000)
    sample = store.read(next(iter(store.newest())).id)
    if sample is None:
        raise SystemExit("The store is empty.")
    begin, done = time.perf_counter(), 0
    while not end.is_set():
        due = int((time.perf_counter() - begin) * rate)
        batch = []
        for number in range(done, due):
            one = copy.deepcopy(sample)
            one.summary.id, one.summary.path = f"poured-{number}", f"/poured/{number}/"
            batch.append(one)
        if batch:
            store.append(batch)
            done = due
        end.wait(0.02)
    store.close()


def flooded(site: Place, server: "Server", page: "Page", seconds: float, rate: float) -> tuple[str, ...]:
    """What the browser and the server do while ``rate`` requests a second come in."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    spawn = multiprocessing.get_context("spawn")
    end = spawn.Event()
    pouring = spawn.Process(target=pour, args=(site.store, rate, end))
    pouring.start()
    page.wait_for_function("() => document.querySelector('#requests a[aria-label*=\"/poured/\"]')")
    page.evaluate(WATCH)
    seq, before, used, begin = _seq(page), _metrics(session), processor_seconds(server.process.pid), time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begin
    after, used = _metrics(session), processor_seconds(server.process.pid) - used
    came = (_seq(page) - seq) / took
    updates, frames = page.evaluate("[window.updates, window.frames]")
    rows = page.locator("#requests > li").count()
    reaction = statistics.median(clicks(page, 5))
    end.set()
    pouring.join()
    busy = {name: 100 * (after[name] - before[name]) / took for name in USED}
    return (
        f"{came:.0f}",
        f"{updates / took:.1f}",
        str(rows),
        f"{busy['TaskDuration']:.0f} % (script {busy['ScriptDuration']:.0f}, style and layout "
        f"{busy['LayoutDuration'] + busy['RecalcStyleDuration']:.0f})",
        f"{1000 * (after['TaskDuration'] - before['TaskDuration']) / max(updates, 1):.0f} ms",
        f"{statistics.quantiles(frames, n=100, method='inclusive')[98]:.0f} ms",
        f"{reaction:.0f} ms",
        f"{100 * used / took:.0f} %",
    )


def _seq(page: "Page") -> int:
    return int(page.evaluate("document.querySelector('#requests > li').dataset.seq"))


def _metrics(session: Any) -> dict[str, float]:
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def _line(name: str, found: list[float]) -> tuple[str, ...]:
    return name, f"{statistics.median(found):.0f} ms", f"{min(found):.0f} ms", f"{max(found):.0f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kept", type=int, default=2000, help="requests that are kept")
    parser.add_argument("--loads", type=int, default=15, help="how often the page is loaded")
    parser.add_argument("--clicks", type=int, default=15, help="how many rows are chosen")
    parser.add_argument("--looks", type=int, default=5, help="how many processes are asked for the Pipeline page")
    parser.add_argument("--seconds", type=float, default=15, help="how long requests pour in")
    parser.add_argument("--rate", type=float, default=1000, help="requests per second that pour in")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, which browser and server share; {options.kept} requests kept.\n")
    with place(options.kept) as site, chromium() as browser:
        server = site.serve()
        ask_at_rate(server.port, 1e9, options.kept + 50, 0)
        Asker(server.port).get("/n/0/")
        time.sleep(2)
        full, bare = f"{server.url}/__inspector__/", f"{server.url}/n/0/"
        pairs = [(paints(browser, full, 200), paints(browser, bare, 0)) for _ in range(options.loads)]
        page = opened(browser, server)
        lines = [
            _line("first paint", [first for (first, _), _ in pairs]),
            _line("of which until the first byte", [answered for (_, answered), _ in pairs]),
            _line("first paint of a bare page", [first for _, (first, _) in pairs]),
            _line("the one less the other", [ours - theirs for (ours, _), (theirs, _) in pairs]),
            _line("click on a row → onion drawn", clicks(page, options.clicks)),
            ("rows in the DOM", str(page.locator("#requests > li").count()), "", ""),
        ]
        print(table(("main page", "median", "least", "most"), lines), "\n")
        first, later = looks(site, options.looks)
        lines = [_line("first look of a process", first), _line("next look, one request later", later)]
        print(table(("Pipeline page, until it is answered", "median", "least", "most"), lines), "\n")
        line = flooded(site, server, page, options.seconds, options.rate)
        head = ("came per s", "updates per s", "rows in the DOM", "main thread busy", "per update")
        print(table((*head, "p99 between frames", "click → onion", "CPU of the server"), [line]))


if __name__ == "__main__":
    main()
