"""The flame graph of ``docs/performance.md``: eight stock layers, asked as fast as can be, sampled by py-spy."""

import subprocess
from collections import Counter
from html import escape
from pathlib import Path

from benchmarks.peers import FOLDER, PYTHON, ROOT, environment, prepare

PICTURE = ROOT / "docs" / "images" / "flame.svg"
WIDTH, HEIGHT, NARROWEST = 1200, 17, 2.5
Stack = tuple[str, ...]


def sampled(seconds: int) -> Counter[Stack]:
    """How often each stack was met, outermost frame first."""
    raw = FOLDER / "stacks"
    command = [
        str(PYTHON.with_name("py-spy")),
        "record",
        "--rate",
        "400",
        "--format",
        "raw",
        "--output",
        str(raw),
        "--",
    ]
    subprocess.run(
        [*command, str(PYTHON), "-m", "benchmarks.subject", "inspector"],
        input=f"wsgi|eight stock layers|{seconds}\n",
        text=True,
        env=environment(),
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found: Counter[Stack] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if "_at_depth" not in frame and "<frozen" not in frame]
        begin = next(
            (i for i, frame in enumerate(frames) if frame.partition(" (")[0].endswith((".call", ".turn", "call"))), None
        )
        if begin is not None:
            found[tuple(_short(frame) for frame in frames[begin:])] += int(count)
    return found


def _short(frame: str) -> str:
    name, _, rest = frame.partition(" (")
    file = Path(rest.rpartition(":")[0] or rest.rstrip(")"))
    return f"{name} ({file.parent.name}/{file.name})"


def drawn(stacks: Counter[Stack]) -> str:
    """The picture: each frame as wide as it was met often, ours in orange, the rest grey; slivers are left out."""
    total = sum(stacks.values())
    boxes: list[str] = []
    deepest = 0

    def draw(level: int, left: float, under: Counter[Stack]) -> None:
        nonlocal deepest
        groups: dict[str, Counter[Stack]] = {}
        for stack, count in under.items():
            if stack:
                groups.setdefault(stack[0], Counter())[stack[1:]] += count
        for name, group in sorted(groups.items()):
            width = sum(group.values()) / total * WIDTH
            if width >= NARROWEST:
                deepest = max(deepest, level)
                boxes.append(_box(name, left, level, width))
                draw(level + 1, left, group)
            left += width

    draw(0, 0.0, stacks)
    size = f'width="{WIDTH}" height="{(deepest + 1) * HEIGHT}"'
    style = 'font-family="monospace" font-size="10"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{"".join(boxes)}</svg>\n'


def _box(name: str, left: float, level: int, width: float) -> str:
    function = name.partition(" (")[0]
    ours = any(f"({room}/" in name for room in ("pipeline_inspector", "probes", "recording", "store", "control"))
    fill = "#f0a04b" if ours else "#d8dbe0"
    top = level * HEIGHT
    text = escape(function[: int(width / 6.2)]) if width > 25 else ""
    label = f'<text x="{left + 2:.1f}" y="{top + 12}">{text}</text>' if text else ""
    rect = f'<rect x="{left:.1f}" y="{top}" width="{max(0.5, width - 0.5):.1f}" height="{HEIGHT - 1}" fill="{fill}"/>'
    return f"<g><title>{escape(name)}: {width / WIDTH:.1%}</title>{rect}{label}</g>\n"


def main() -> None:
    """Sample and draw."""
    prepare()
    PICTURE.write_text(drawn(sampled(8)))


if __name__ == "__main__":
    main()
