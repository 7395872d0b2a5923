"""``make bench``: measure everything interleaved in one run, and write the tables into ``docs/performance.md``."""

import argparse
import json
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks import sockets_load
from benchmarks.pairs import Pair, beside, in_turn, quiet
from benchmarks.peers import PYTHON, ROOT, environment, prepare, scratch, subjects
from benchmarks.tools import TOOLS
from pipeline_inspector import compiled

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
TABLE = ("no layers", "eight stock layers", "28 layers", "JSON", "ten queries", "template page", "raised error")
EDGES = ("40 layers", "3,000 queries", "2,000 includes", "400 headers", "50 MB streamed")
OTHERS = "What the page costs is measured by itself: python -m benchmarks.page, python -m benchmarks.live."
COUNTS = (1_000, 10_000, 50_000)


def rows(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def in_process(tools: list[str], cases: tuple[str, ...], interface: str, rounds: int, seconds: float) -> str:
    """Added time by tool and case: the median over pairs of turns, the bare site's and right after it the tool's, as told by
    ``quiet()``."""
    wall: dict[tuple[str, str], list[Pair]] = {}
    cpu: dict[tuple[str, str], list[Pair]] = {}
    with subjects(tools) as running:
        for _ in range(rounds):
            for case in cases:
                for tool in in_turn(tools):
                    bare, here = (running[one].ask(interface, case, seconds) for one in ("bare", tool))
                    wall.setdefault((tool, case), []).append((bare["median_us"], here["median_us"]))
                    cpu.setdefault((tool, case), []).append((bare["cpu_us"], here["cpu_us"]))
    stock = "eight stock layers" if "eight stock layers" in cases else cases[0]
    body = [["bare", *(f"{_bare(wall, case)} µs" for case in cases), f"{_bare(cpu, stock)} µs"]]
    for tool in tools[1:]:
        line = [tool]
        for case in cases:
            more, times = beside(quiet(wall[tool, case]))
            line.append(f"{more:+,.0f} µs ×{times:.2f}")
        more, _ = beside(quiet(cpu[tool, stock]))
        body.append([*line, f"{more:+,.0f} µs"])
    return rows(["", *cases, f"CPU of the process ({stock})"], body)


def _bare(by_tool: dict[tuple[str, str], list[Pair]], case: str) -> str:
    return _middle([bare for (_, of), pairs in by_tool.items() if of == case for bare, _ in quiet(pairs)])


def _middle(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f}"


def path_alone() -> str:
    """What the request path adds with no recorder beside it."""
    found = _told_by("alone")
    body = []
    for kind, by_path in found.items():
        told = [
            f"{took:.0f} µs" if kind == "bare" else f"{more:+.1f} µs ×{ratio:.2f}"
            for took, more, ratio in by_path.values()
        ]
        body.append([kind, *told])
    return rows(["", *found["bare"]], body)


def over_sockets(tools: list[str], starts: int, seconds: float) -> str:
    """Requests per second as a ratio to the bare site, and how many of them the inspector records at that rate: the median
    over all pairs of turns. In the quickest of them a server may have had more of the processors than its share."""
    body: list[list[str]] = [["bare"], *([tool] for tool in tools[1:])]
    for interface in ("wsgi", "asgi"):
        found, recorded = sockets_load.rates(tools, interface, starts, seconds)
        body[0].append(_middle([bare for pairs in found.values() for bare, _ in pairs]))
        for line, (tool, pairs) in zip(body[1:], found.items(), strict=True):
            line.append(f"{_middle([here for _, here in pairs])} ×{beside(pairs)[1]:.2f}")
            if tool == "inspector":
                line[-1] += f", {recorded:.0%} of them recorded"
    return rows(["", "gunicorn, 4 threads", "uvicorn"], body)


def memory(counts: tuple[int, ...]) -> str:
    """Resident memory after so many requests in all."""
    body = []
    with subjects(["bare", "inspector"]) as running:
        for tool, subject in running.items():
            line, done = [tool], 0
            for count in counts:
                line.append(f"{subject.ask('memory', '', count - done)['resident_kb'] / 1024:,.0f} MB")
                done = count
            body.append(line)
    return rows(["", *(f"after {count:,}" for count in counts)], body)


def start_up(tools: list[str], rounds: int) -> str:
    """Wall time from the interpreter's start to a handler that is ready."""
    taken: dict[str, list[float]] = {tool: [] for tool in tools}
    for number in range(rounds + 1):
        for tool in tools:
            with scratch() as folder:
                env = {**environment(), "BENCH_TOOL": tool, "BENCH_FOLDER": str(folder)}
                start = time.perf_counter()
                subprocess.run([PYTHON, "-c", "import benchmarks.served"], env=env, cwd=ROOT, check=True)
                if number:
                    taken[tool].append(time.perf_counter() - start)
    middle = {tool: statistics.median(times) * 1000 for tool, times in taken.items()}
    return rows(
        ["", "start-up"],
        [[t, f"{m:,.0f} ms" + ("" if t == "bare" else f" ×{m / middle['bare']:.2f}")] for t, m in middle.items()],
    )


def one_more() -> str:
    """What recording one query or one template adds."""
    return rows(["one more", "adds"], [[name, f"{added:.1f} µs"] for name, added in _told_by("events").items()])


def where_it_goes() -> str:
    """What each part of the request path costs."""
    return rows(["part", "costs"], [[part, f"{costs:.1f} µs"] for part, costs in _told_by("parts").items()])


def _told_by(module: str) -> dict[str, Any]:
    command = [PYTHON, "-m", f"benchmarks.{module}"]
    told = subprocess.run(command, env=environment(), cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog=OTHERS)
    parser.add_argument("--rounds", type=int, default=12, help="how often each configuration has its turns")
    parser.add_argument("--seconds", type=float, default=0.05, help="how long one turn takes")
    parser.add_argument("--tools", nargs="*", default=list(TOOLS), help="with bare first")
    parser.add_argument("--short", action="store_true", help="fewer requests for memory")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page with the measured part")
    chosen = parser.parse_args()
    prepare()
    tools, rounds, seconds = chosen.tools, chosen.rounds, chosen.seconds
    told: list[str] = []

    def tell(section: str) -> None:
        print(section, flush=True)
        told.append(section)

    half = "compiled" if compiled.half is not None else "Python"
    tell(
        f"Python {platform.python_version()}, {platform.system()}, {rounds} rounds, the {half} half of the request path; "
        "`make bench` measures anew.\n"
    )
    tell("### The request path alone, eight stock layers\n\n" + path_alone())
    tell("### In process, WSGI\n\n" + in_process(tools, TABLE, "wsgi", rounds, seconds))
    small = [tool for tool in tools if tool in ("bare", "floor", "inspector")]
    tell("### In process, Django's test client\n\n" + in_process(small, TABLE[1:2], "client", rounds, seconds))
    tell("### In process, ASGI\n\n" + in_process(tools, TABLE, "asgi", rounds, seconds))
    tell(
        "### Large requests, WSGI\n\n" + in_process(["bare", "inspector"], EDGES, "wsgi", max(2, rounds // 4), seconds)
    )
    tell("### Each query and each template\n\n" + one_more())
    tell("### Requests per second over a socket, one worker\n\n" + over_sockets(tools, max(2, rounds), 1))
    tell("### Memory\n\n" + memory(COUNTS[:2] if chosen.short else COUNTS))
    tell("### Start-up\n\n" + start_up(tools, max(2, rounds // 2)))
    tell("### Where each microsecond of the request path goes\n\n" + where_it_goes())
    text = "\n".join(told)
    page = chosen.page.read_text()
    before, rest = page.split(BEGIN)
    chosen.page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
