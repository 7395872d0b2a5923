"""What is the same of requests that repeat each other: all that is told of them, save when it was and what ran inside.

A page is asked for again and again, and little is different then. So what is told of such requests is packed once, when the
second of them comes. Runs on the recorder thread only, and only where a compiled half says what a request is like:
``likeness(tape, interface)``, a tuple, equal to that of another request of which the same is told, or None.
"""

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from django.urls import ResolverMatch

from pipeline_inspector import compiled
from pipeline_inspector.packed import Part, pack
from pipeline_inspector.recording.heads import Secrets
from pipeline_inspector.recording.pieces import size
from pipeline_inspector.recording.tape import Tape

_MOST, _LONGEST = 200, 20_000
_ONCE = 2000

Key = tuple[Any, ...]

_likeness: Callable[[Tape, str], Key | None] = getattr(compiled.half, "likeness", lambda *_: None)


class Same(NamedTuple):
    """``fields``: those of a ``Packed`` from ``server`` to ``view``; ``cut``: so many changes are left out of them;
    ``view`` and ``route``: as the row names them; ``secrets``: those of the request."""

    fields: Part
    cut: int
    view: str
    route: str
    secrets: Secrets


class Repeats:
    """Keeps what is the same of requests that came more than once."""

    def __init__(self) -> None:
        self._once: set[int] = set()
        self._kept: dict[Key, tuple[Same, Callable[[], Any], Any]] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._once.clear()
        self._kept.clear()

    def of(self, tape: Tape) -> tuple[Key | None, Same | None]:
        """What ``tape`` is like, to ``keep()`` by it what is told of it; and that, where it is kept."""
        match = tape.match
        key = _likeness(tape, tape.chain.interface) if type(match) is ResolverMatch else None
        if key is not None:
            kept = self._kept.get(key)
            if kept is not None and kept[1]() is tape.view[0] and kept[2] == match.tried:
                return key, kept[0]
        return key, None

    def keep(self, key: Key, tape: Tape, same: Same) -> None:
        """Keep what is told of ``tape``, which is like that, from the second time on, unless it is long."""
        number = hash(key)
        if number not in self._once:
            if len(self._once) >= _ONCE:
                self._once.clear()
            self._once.add(number)
        elif size(key) <= _LONGEST:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            with suppress(TypeError, UnicodeEncodeError):  # such a view, or a text, that cannot be kept
                packed = same._replace(fields=pack(same.fields))
                self._kept[key] = packed, weakref.ref(tape.view[0]), tape.match.tried
