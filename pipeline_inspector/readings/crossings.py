"""The numbers where the way crosses the rings: pills in lanes beside the line, the costliest first, none upon another.
What has no room is spare: it stands on the line while its ring is the one that is looked at.

They are laid out twice: ``USUAL`` letters for a picture as large as a window, ``LARGE`` ones for a picture as small as a
telephone, where only what costs has a number of its own.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pipeline_inspector.readings.way import Mark, figure

Side = Literal["in", "out"]

USUAL, LARGE = 11.5, 20.0
"""Sizes of the letters."""

_DIGIT, _POINT, _PADDING, _HEIGHT = 0.64, 0.33, 0.66, 1.48
_BETWEEN = 1.5
_CROWD = 16
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
    """The number that stands where the way crosses a ring: a pill around ``(x, y)`` with letters of ``size``.
    ``spare``: there is no room for it beside the others."""

    layer: int
    side: Side
    text: str
    x: float
    y: float
    width: float
    height: float
    size: float
    heat: int
    spare: bool = False

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
    """A number for each that is wanted, around ``centre``; the costliest are first in line for room, the spare come last.
    None with room lies on another or on one of the ``marks``. In a crowd, and in ``LARGE``, the quiet give way."""
    told = sorted(wanted, key=lambda entry: (-entry.ns, entry.layer, entry.side))
    kept_free = list(marks)
    crowded = len({entry.layer for entry in told}) > _CROWD
    placed: list[Crossing] = []
    spare: list[Crossing] = []
    for entry in told:
        lanes = _lanes(entry, size, crowded=crowded) if size == USUAL or entry.heat >= _COSTLY else []
        tried = (_at(lane, entry, centre, size) for lane in lanes if abs(lane) < entry.radius)
        found = next((one for one in tried if _is_free(one, placed, kept_free)), None)
        if found:
            placed.append(found)
        else:
            spare.append(replace(_at(0.0, entry, centre, size), spare=True))
    return [*sorted(placed, key=lambda crossing: (crossing.side, crossing.layer)), *spare]


def width_of(text: str, size: float) -> float:
    """How wide the pill around ``text`` is, in letters of ``size``."""
    points = text.count(".")
    return size * (_PADDING + points * _POINT + (len(text) - points) * _DIGIT)


def _at(lane: float, entry: Wanted, centre: tuple[float, float], size: float) -> Crossing:
    text = figure(entry.ns)
    across = math.sqrt(entry.radius**2 - lane**2) * (-1 if entry.side == "in" else 1)
    x, y = centre[0] + across, centre[1] + lane
    return Crossing(entry.layer, entry.side, text, x, y, width_of(text, size), size * _HEIGHT, size, entry.heat)


def _lanes(entry: Wanted, size: float, *, crowded: bool) -> list[float]:
    """Heights above and below the line, the best first: on it, close by it, further away."""
    near, far = size * _HEIGHT / 2 + 3, size * _HEIGHT * 1.5 + 4.5
    turn = -1 if entry.layer % 2 == 0 else 1
    lanes = [0.0] if entry.thickness >= width_of(figure(entry.ns), size) + 3 else []
    lanes += [turn * near, -turn * near]
    return lanes if crowded and not entry.heat else [*lanes, turn * far, -turn * far]


def _is_free(found: Crossing, placed: list[Crossing], marks: list[Mark]) -> bool:
    return not any(_overlap(found, other) for other in placed) and not any(_covers(found, mark) for mark in marks)


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
