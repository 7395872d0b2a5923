"""The fields of a tape, and what writes those that boundaries write. ``compiled_half/`` does the same in C."""

from collections.abc import Callable, Mapping
from itertools import chain as chained
from itertools import islice
from operator import is_
from threading import get_ident
from typing import TYPE_CHECKING, Any

from pipeline_inspector import clock, compiled
from pipeline_inspector.recording.attributes import Came, Left
from pipeline_inspector.recording.kinds import HOOK
from pipeline_inspector.recording.moments import FINISHED, OF_TAPE, VIEW_START
from pipeline_inspector.recording.slots import ATTRIBUTES_OUT, COOKIES, HEADERS, STATUS

_now = clock.now
_wall = clock.wall

ASK_AGAIN = -1
"""Stands for a status: an answer with cookies differs from the boundary before."""


_NOTHING: dict[str, Any] = {}
_NEVER = 0, 0

Snapshot = tuple[Any, ...]
Sieves = Mapping[tuple[tuple[str, ...], tuple[type, ...]], Any]


def pure_snapshot(response: Any) -> Snapshot | None:
    """Status, headers and cookies (0: none) of a response as it is now; None when it is no response."""
    try:
        cookies, headers = response.cookies, response.headers._store
        return (
            response.status_code,
            headers.copy(),
            {name: morsel.value for name, morsel in cookies.items()} if cookies else 0,
        )
    except Exception:
        return None


snapshot: Callable[[Any], Snapshot | None] = getattr(compiled.half, "snapshot", pure_snapshot)


class PureFields:
    """What a tape is begun with: the ``chain``, the ``slots`` to copy, its ``number``, the ``request``, and the ids of the
    layers that are ``off``."""

    __slots__ = (
        *("__dict__", "came", "chain", "events", "first", "headers", "meta", "method", "newest", "number", "off"),
        *("open", "opened_at", "path", "slots", "status", "thread", "view_made", "wall", "width"),
    )

    # What few requests need, or what is written once and read when the record is made, has its value from here until then.
    learning = False
    only_added = True
    aborted = streaming = False
    dropped = query_count = template_count = 0
    start = end = closed_at = finished_at = 0
    resolve_start = resolve_end = view_start = view_end = view_thread = 0
    view: Any = None
    match: Any = None
    tried: Any = None
    urlconf: Any = None
    response: Any = None
    attributes: Any = None
    left: Left | None = None
    transport: Any = None
    task: Any = None
    errors: list[Any] | None = None
    body_bytes: int | None = None
    watched: tuple[str, ...] = ()
    seen: dict[str, Any] = _NOTHING
    inside: tuple[int, int] = _NEVER

    def __init__(self, chain: Any, slots: list[Any], number: int, request: Any, off: tuple[str, ...] = ()) -> None:
        self.opened_at = _now()
        self.wall = _wall()
        self.thread = get_ident()
        self.chain = chain
        self.slots = slots[:]
        self.number = number
        self.meta: dict[str, Any] = request.META
        self.path: str = request.path
        self.method: str | None = request.method
        self.events: list[tuple[Any, ...]] = []
        self.off = off
        self.open = True
        self.view_made = self.status = 0
        self.headers: Any = None
        self.came: Came = []
        self.first: dict[str, Any] = request.__dict__.copy()
        self.newest: str | None = "_pipeline_tape"
        self.width = len(self.first) + 1

    def stamp(self, moment: int) -> None:
        """It is now: a number of ``OF_TAPE``. A view begins on this thread."""
        if moment == VIEW_START:
            self.view_thread = get_ident()
        setattr(self, OF_TAPE[moment], _now())

    def forget(self) -> None:
        """Hold nothing any more: everything that was not there at the beginning is as it was before it was written."""
        self.__dict__ = {}
        self.slots = [0] * len(self.slots)
        self.events, self.came, self.meta, self.first = [], [], _NOTHING, _NOTHING
        self.headers = self.newest = None

    def over(self, running: dict[int, Any]) -> bool:
        """The request is over; true for the first who says so, by whether the tape is among those ``running``."""
        if running.pop(self.number, None) is None:
            return False
        self.open = False
        self.newest = self.task = None
        return True

    def rest(self) -> None:
        """The tape waits until it is taken and cleared, as it must be: compiled, what is its own is left out of the work of
        Python's collector from now on."""

    def hooked(self, attributes: dict[str, Any], start: int, position: int, answered: bool) -> None:
        """A ``process_view`` hook of the layer at ``position`` that began at ``start`` returned, and left ``attributes``."""
        end = _now()
        after = None if len(attributes) == self.width else self.looked(attributes)
        self.add((HOOK, start, end, get_ident(), position, "process_view", answered, after, None, 0, 0, None))

    def looked(self, attributes: dict[str, Any]) -> Any:
        """What there is to keep of the request's ``attributes`` at a boundary where their number is not ``width``: how many
        there are now, those that came being put before the others in ``came``; or a copy of all, where anything else was
        done to them. A request that was given up may still run in its thread: by then nothing is kept (0), as nobody would
        let go of it.
        """
        if self.learning and self.only_added and self.open:
            return self._looked_closely(attributes)
        count = len(attributes)
        more = count - self.width
        if more > 0:
            items = [*islice(reversed(attributes.items()), more + 1)]
            if items.pop()[0] is self.newest:
                self.came[:0] = items
                self.newest = items[0][0]
                self.width = count
                return count
        return self.all_of(attributes)

    def _looked_closely(self, attributes: dict[str, Any]) -> Any:
        """The same, where more is looked at than the number of ``attributes``."""
        more = len(attributes) - len(self.first) - 1 - len(self.came)
        new = [*islice(reversed(attributes.items()), more)] if more > 0 else []
        self.came[:0] = new
        if self._only_came(attributes):
            return len(attributes) if new else 0
        del self.came[: len(new)]
        return self.all_of(attributes)

    def _only_came(self, attributes: dict[str, Any]) -> bool:
        """Was nothing else done to ``attributes`` than that those came that are in ``came``, and a ``match`` was set?"""
        first, came = self.first, self.came[::-1]
        begun = {**first, "resolver_match": self.match, "_pipeline_tape": self}
        return (
            first.get("resolver_match", 0) is None
            and [*attributes] == [*begun, *(name for name, _ in came)]
            and all(map(is_, attributes.values(), chained(begun.values(), (value for _, value in came))))
        )

    def all_of(self, attributes: dict[str, Any]) -> Any:
        """A copy of ``attributes``, or 0: the tape says."""
        raise NotImplementedError

    def add(self, event: tuple[Any, ...]) -> None:
        """Keep ``event``, or count it: the tape says."""
        raise NotImplementedError

    def through(self, attributes: dict[str, Any], response: Any, sieves: Sieves) -> bool:
        """The chain is through: keep what ``response`` is and what is needed of the request's ``attributes``. Compiled, of a
        body in one piece its length is noted too, and its being closed is told to ``sent()``: true when that is done."""
        self.response = pure_snapshot(response)
        self.settle(attributes, sieves)
        return False

    def settle(self, attributes: dict[str, Any], sieves: Sieves) -> None:
        """Keep what is needed of the request's ``attributes``, and let go of all that is not.

        Where they only came, one after the other, and a ``match`` was set, the view resolved, no object is needed any more:
        names and kinds, oldest first, are ``left``, and by name what the sieve for these, one of ``sieves``, keeps. Else all
        stay until the record is made.
        """
        if not (
            self.only_added
            and "_post" not in attributes
            and "urlconf" not in attributes
            and self._sift(attributes, sieves)
        ):
            self.attributes = attributes.copy()

    def _sift(self, attributes: dict[str, Any], sieves: Sieves) -> bool:
        if not self._only_came(attributes):
            return False
        names, values = zip(*reversed(self.came), strict=True) if self.came else ((), ())
        left, places = sieves[names, (*map(type, values),)]
        kept = {}
        for place, name, tell in places:
            kept[name] = values[place] if tell is None else tell(values[place])
        self.left, self.attributes, self.width = left, kept, len(attributes)
        self.came, self.first = [], _NOTHING
        return True

    def sent(self) -> None:
        """The response is closed; ``request_finished``, which follows on this thread, hands the tape over."""
        self.closed_at = _now()
        closing[get_ident()] = self

    def came_out(self, base: int, attributes: dict[str, Any], response: Any) -> None:
        """``response`` came out of the layer whose slots begin at ``base``: keep what differs from the boundary before, of
        it and of the request's ``attributes``. Raises ``AttributeError`` where it is no response."""
        slots = self.slots
        if len(attributes) != self.width:
            slots[base + ATTRIBUTES_OUT] = self.looked(attributes)
        headers, status, cookies = response.headers._store, response.status_code, response.cookies
        if headers == self.headers and status == self.status and not cookies:
            return
        slots[base + HEADERS] = self.headers = headers.copy()
        slots[base + STATUS] = status
        if cookies:
            slots[base + COOKIES] = {name: morsel.value for name, morsel in cookies.items()}
            status = ASK_AGAIN
        self.status = status


closing: dict[int, Any] = getattr(compiled.half, "closing", {})
"""By thread: the tape whose response is being closed there."""


def pure_finished() -> Any:
    """The tape whose response is being closed on this thread, None: Django has told that it is finished."""
    tape = closing.pop(get_ident(), None)
    if tape is not None:
        tape.stamp(FINISHED)
    return tape


finished: Callable[[], Any] = getattr(compiled.half, "finished", pure_finished)

if TYPE_CHECKING:
    Fields = PureFields
    Slots = list[Any]
else:
    Fields = getattr(compiled.half, "Fields", PureFields)
    Slots = getattr(compiled.half, "Slots", list)
"""Makes slots of a list, ``STRIDE`` for each position, to be copied into each tape; compiled, their stamps are numbers."""
