"""Named moments on one line: what lies between each and the one before, as numbers."""

from collections.abc import Iterable
from statistics import median_low

import msgspec

from pipeline_inspector.readings.alike import runs
from pipeline_inspector.records import Stage

RUN = 3
"""So many numbered neighbours, or more, are told as one."""


class Stretch(msgspec.Struct, frozen=True):
    """The time that ended with the moment ``name``: it came at ``at_ns``, ``took_ns`` after the one before. ``left`` and
    ``width`` are fractions (0 to 1) of the time from the first moment to the last; ``value`` is what was set then.

    One that stands for several tells how long each took: ``parts_ns`` in their order, empty for one that stands for itself.
    """

    name: str
    at_ns: int
    took_ns: int
    left: float
    width: float
    value: str = ""
    parts_ns: tuple[int, ...] = ()

    def alike(self, other: "Stretch") -> bool:
        """Are both moments of one kind that are told apart by their number?"""
        word, number = _numbered(self.name)
        return bool(number) and number.isdecimal() and word == _numbered(other.name)[0]

    @property
    def usual_ns(self) -> int:
        """What half of its parts took at most."""
        return median_low(self.parts_ns)

    @property
    def longest_ns(self) -> int:
        """What the longest of its parts took."""
        return max(self.parts_ns)

    @property
    def ends(self) -> list[float]:
        """Where its parts end, but for the last: fractions of the whole line."""
        at, ends = self.left, []
        for part in self.parts_ns[:-1]:
            at += self.width * part / self.took_ns if self.took_ns else 0
            ends.append(at)
        return ends


def _numbered(name: str) -> tuple[str, str]:
    word, _, number = name.rpartition(" ")
    return word, number


def together(found: Iterable[Stretch]) -> list[Stretch]:
    """The same stretches in their order, but numbered neighbours of one kind (``chunk 2``, ``chunk 3`` …) as one."""
    told: list[Stretch] = []
    for run in runs(found):
        told += run if len(run) < RUN else [_one_of(run)]
    return told


def _one_of(run: list[Stretch]) -> Stretch:
    first, last = run[0], run[-1]
    word, number = _numbered(first.name)
    return Stretch(
        f"{word}s {number} to {_numbered(last.name)[1]}",
        last.at_ns,
        sum(part.took_ns for part in run),
        first.left,
        sum(part.width for part in run),
        parts_ns=tuple(part.took_ns for part in run),
    )


def stretches(moments: Iterable[Stage]) -> list[Stretch]:
    """One stretch for each moment, in the order of time; the first takes none."""
    ordered = sorted(moments, key=lambda moment: moment.at_ns)
    if not ordered:
        return []
    begin, whole = ordered[0].at_ns, max(1, ordered[-1].at_ns - ordered[0].at_ns)
    return [
        Stretch(
            moment.name,
            moment.at_ns,
            moment.at_ns - before.at_ns,
            (before.at_ns - begin) / whole,
            (moment.at_ns - before.at_ns) / whole,
            moment.value,
        )
        for before, moment in zip([ordered[0], *ordered], ordered, strict=False)
    ]
