"""The numbers where the way crosses the rings: pills in lanes beside the line, the costliest first, none upon another.

They are laid out twice: ``USUAL`` letters for a picture as large as a window, ``LARGE`` ones for a picture as small as a
telephone, where only what costs has a number.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline_inspector.readings.way import Mark, figure

Side = Literal["in", "out"]

USUAL, LARGE = 11.5, 20.0
"""Sizes of the letters."""

_DIGIT, _POINT, _PADDING, _HEIGHT = 0.64, 0.33, 0.66, 1.48
_BETWEEN = 1.5
_COSTLY = 2
_HOT = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A number to be placed: ``ns`` of layer ``layer`` with its heat, on a ring of so much thickness, ``radius`` from the
    centre."""

    layer: int
    side: Side
    ns: int
    heat: int
    radius: float
    thickness: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """The number that stands where the way crosses a ring: a pill around ``(x, y)`` with letters of ``size``."""

    layer: int
    side: Side
    text: str
    x: float
    y: float
    width: float
    height: float
    size: float
    heat: int

    @property
    def left(self) -> float:
        """The pill's left edge."""
        return round(self.x - self.width / 2, 2)

    @property
    def top(self) -> float:
        """The pill's upper edge."""
        return round(self.y - self.height / 2, 2)

    @property
    def round(self) -> float:
        """The radius of its ends."""
        return self.height / 2

    @property
    def baseline(self) -> float:
        """The line on which the number stands."""
        return round(self.y + self.size * 0.345, 2)

    @property
    def tone(self) -> Literal["hot", "quiet", ""]:
        """How loud it is drawn."""
        return "hot" if self.heat >= _HOT else "" if self.heat else "quiet"


def crossings(
    wanted: Iterable[Wanted], marks: Iterable[Mark], centre: tuple[float, float], size: float = USUAL
) -> list[Crossing]:
    """The numbers that have room around ``centre``, the costliest first in line for it, by side and layer. None lies on
    one of the ``marks``. ``LARGE`` leaves out what costs little."""
    told = [entry for entry in wanted if size == USUAL or entry.heat >= _COSTLY]
    kept_free = list(marks)
    placed: list[Crossing] = []
    for entry in sorted(told, key=lambda entry: (-entry.ns, entry.layer, entry.side)):
        found = _place(entry, placed, kept_free, centre, size)
        if found:
            placed.append(found)
    return sorted(placed, key=lambda crossing: (crossing.side, crossing.layer))


def width_of(text: str, size: float) -> float:
    """How wide the pill around ``text`` is, in letters of ``size``."""
    points = text.count(".")
    return size * (_PADDING + points * _POINT + (len(text) - points) * _DIGIT)


def _place(
    entry: Wanted, placed: list[Crossing], marks: list[Mark], centre: tuple[float, float], size: float
) -> Crossing | None:
    text = figure(entry.ns)
    width = width_of(text, size)
    for lane in _lanes(entry, width, size):
        if abs(lane) >= entry.radius:
            continue
        across = math.sqrt(entry.radius**2 - lane**2) * (-1 if entry.side == "in" else 1)
        x, y = centre[0] + across, centre[1] + lane
        found = Crossing(entry.layer, entry.side, text, x, y, width, size * _HEIGHT, size, entry.heat)
        if not any(_overlap(found, other) for other in placed) and not any(_covers(found, mark) for mark in marks):
            return found
    return None


def _lanes(entry: Wanted, width: float, size: float) -> list[float]:
    """Heights above and below the line, the best first: on it, close by it, further away (not for what costs nothing)."""
    near, far = size * _HEIGHT / 2 + 3, size * _HEIGHT * 1.5 + 4.5
    turn = -1 if entry.layer % 2 == 0 else 1
    lanes = [0.0] if entry.thickness >= width + 3 else []
    lanes += [turn * near, -turn * near]
    return lanes + [turn * far, -turn * far] if entry.heat else lanes


def _overlap(one: Crossing, other: Crossing) -> bool:
    return (
        abs(one.x - other.x) < (one.width + other.width) / 2 + _BETWEEN
        and abs(one.y - other.y) < (one.height + other.height) / 2 + _BETWEEN / 2
    )


def _covers(crossing: Crossing, mark: Mark) -> bool:
    return (
        abs(crossing.x - mark.x) < crossing.width / 2 + mark.radius + _BETWEEN
        and abs(crossing.y - mark.y) < crossing.height / 2 + mark.radius
    )
