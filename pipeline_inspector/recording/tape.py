"""The request in hand: one flat list of slots and one of events. All that the request path ever writes.

A tape belongs to one request. Its ``slots`` hold ``STRIDE`` places for the core and for each layer (``slots.py``).
Place ``ENTRY`` is the stamp of entry; a value there before entry means that something is special: ``OFF``, or the stamp
of an earlier entry. Layers are counted from the inside here (``position``: the core is 0, the innermost layer 1), because
Django builds a chain in that order; a record counts from the outside.

Snapshots are taken only where something differs from the boundary before: 0 there means "as before", a STATUS of 0 that
nothing of the response differs. Headers are compared whole. Of the request's attributes the number is compared: a place
for attributes holds how many there are, those that came are kept once, in ``came``, newest first, and those that there
were in the beginning in ``first``. From where on anything else was done to them it holds a copy of all. That one was taken
away is seen by the number. That one was exchanged is seen while a request is ``learning`` (a chain's first, and one in
fifty afterwards), as then all are looked at; and where some are ``watched``, which a layer of this chain was seen to
exchange: then copies are kept from the beginning on, where one of these differs.

``events`` are tuples, as ``kinds.py`` tells. Snapshots are shallow copies, compared later and dropped when the
record is made.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from operator import is_
from typing import TYPE_CHECKING, Any

from pipeline_inspector import clock, compiled
from pipeline_inspector.recording.fields import Fields
from pipeline_inspector.recording.kinds import EVENT_LIMIT

now: Callable[[], int] = getattr(compiled.half, "now", clock.now)

_NO_WIDTH = 1_000_000_000
"""More than a request has: it is asked at every boundary."""


def pure_alike(attributes: dict[str, Any], others: dict[str, Any]) -> bool:
    """Do both hold the very same, in the same order?"""
    return [*attributes] == [*others] and all(map(is_, attributes.values(), others.values()))


alike: Callable[[dict[str, Any], dict[str, Any]], bool] = getattr(compiled.half, "alike", pure_alike)


class Tape(Fields):
    """What is written down of one request while it runs. A copied or pickled request leaves its tape behind.

    ``chain`` is the loaded chain it runs through, ``number`` counts the tapes of this process.
    """

    __slots__ = ()

    def add(self, event: tuple[Any, ...]) -> None:
        """Append ``event``, or count it as dropped when the tape is full."""
        events = self.events
        if len(events) < EVENT_LIMIT:
            events.append(event)
        else:
            self.dropped += 1

    def all_of(self, attributes: dict[str, Any]) -> Any:
        """A copy of ``attributes``; 0 where they, or those that are ``watched``, are the very same as before."""
        if not self.open:
            return 0
        seen, watched = self.seen, self.watched
        if len(attributes) == len(seen) and (
            all(attributes.get(one) is seen.get(one) for one in watched) if watched else alike(attributes, seen)
        ):
            return 0
        self.keep_all()
        self.seen = copied = attributes.copy()
        return copied

    def learn(self) -> None:
        """From now on look at all attributes at every boundary, and not at their number alone."""
        self.learning = True
        self.width = _NO_WIDTH

    def keep_all(self) -> None:
        """From now on keep all attributes at every boundary where they differ, or one of those that are ``watched``."""
        self.only_added = False
        self.width, self.newest = _NO_WIDTH, None

    @property
    def width_at_first(self) -> int:
        """How many attributes there were when the tape was put on the request."""
        return len(self.first) + 1 if self.left is None else self.width - len(self.left[0])

    def __copy__(self) -> "Tape":
        return self

    def __deepcopy__(self, memo: object) -> "Tape":
        return self

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _no_tape, ()


if not TYPE_CHECKING and compiled.half is not None:
    Tape = compiled.put_into(Fields, Tape)


def _no_tape() -> None:
    """What a tape is once its request was pickled and opened again."""


begun: Callable[..., Tape] = getattr(compiled.half, "begun", Tape)
"""Makes one, of ``chain``, ``slots``, ``number``, ``request`` and ``off``."""

current: ContextVar[Tape | None] = ContextVar("pipeline_inspector_tape", default=None)
tape_in_hand, take, put_down = current.get, current.set, current.reset
"""Its methods by name: as attributes of an imported name Python would look them up anew in every request."""


def leave(token: Token[Tape | None]) -> None:
    """Undo what gave ``token``. A coroutine that is thrown away may be closed in another context than it was begun in."""
    try:
        current.reset(token)
    except ValueError:
        return
