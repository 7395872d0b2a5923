"""Named moments on one line: what lies between each and the one before, as numbers."""

from collections.abc import Iterable

import msgspec

from pipeline_inspector.records import Stage


class Stretch(msgspec.Struct, frozen=True):
    """The time that ended with the moment ``name``: it came at ``at_ns``, ``took_ns`` after the one before. ``left`` and
    ``width`` are fractions (0 to 1) of the time from the first moment to the last; ``value`` is what was set then."""

    name: str
    at_ns: int
    took_ns: int
    left: float
    width: float
    value: str = ""


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
