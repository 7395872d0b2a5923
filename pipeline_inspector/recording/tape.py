"""The request in hand: one flat list of slots and one of events. All that the request path ever writes.

A tape belongs to one request. Its ``slots`` hold ``STRIDE`` places for the core and for each layer (the names below).
Place ``ENTRY`` is the stamp of entry; a value there before entry means that something is special: ``OFF``, or the stamp
of an earlier entry. Layers are counted from the inside here (``position``: the core is 0, the innermost layer 1), because
Django builds a chain in that order; a record counts from the outside.

Snapshots are taken only where something differs from the boundary before: 0 there means "as before", a STATUS of 0 that
nothing of the response differs. Headers are compared whole. Of the request's attributes the number is compared: a place
for attributes holds how many there are, those that came are kept once, in ``came``, newest first, and those that there
were in the beginning in ``first``. It holds a copy of all from where on an attribute was taken away, and everywhere while
a request is ``learning`` (a chain's first, and one in fifty afterwards) or attributes are ``watched``, which a layer of this
chain was seen to exchange: then where one of these differs.

``events`` are tuples ``(kind, start, end, thread, …)``; at most ``EVENT_LIMIT`` are kept, and of queries
``QUERIES_KEPT``; the rest is counted:

======== ==============================================================================================================
QUERY    sql, params, alias, rows (-1: unknown, [n]: counted while they are fetched), how many parameter sets (0: plain),
         in a transaction, error or None, code, place
TEMPLATE name, engine, context keys (tuple), relation (render | include | extends | import), file
CACHE    alias, operation, key (str), hit (bool or None), code, place
LOG      level name, logger, message template, arguments, file, line
HOOK     position, hook, answered, attributes after, response after, start and end inside the adapted call, error
RENDER   (nothing more)
AGAIN    position: the layer was entered a second time
======== ==============================================================================================================

``code`` is a code object or None (no line of the user's own on the stack), ``place`` an offset in its bytecode. Stamps are
nanoseconds of ``clock.now``; ``thread`` is ``threading.get_ident()``. Snapshots are shallow copies, compared later and
dropped when the record is made.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from itertools import chain, islice
from operator import is_
from threading import get_ident
from typing import Any

from pipeline_inspector import clock
from pipeline_inspector.recording.attributes import Came, Left, leave_behind

now = clock.now
_wall = clock.wall

STRIDE = 9
ENTRY, ATTRIBUTES_IN, EXIT, STATUS, HEADERS, COOKIES, ATTRIBUTES_OUT, HOP_START, HOP_END = range(STRIDE)
OFF = -1
EVENT_LIMIT = 4000
QUERIES_KEPT = 1000

QUERY, TEMPLATE, CACHE, LOG, HOOK, RENDER, AGAIN = range(7)

_NOTHING: dict[str, Any] = {}
_NEVER = 0, 0
_NO_WIDTH = 1_000_000_000
"""More than a request has: it is asked at every boundary."""
_ASK_AGAIN = -1
"""Stands for a status: an answer with cookies differs from the boundary before."""


class Tape:
    """What is written down of one request while it runs. A copied or pickled request leaves its tape behind.

    ``chain`` is the loaded chain it runs through, ``number`` counts the tapes of this process.
    """

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
        self.opened_at = now()
        self.wall = _wall()
        self.thread = get_ident()
        self.chain = chain
        self.slots = slots
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

    def add(self, event: tuple[Any, ...]) -> None:
        """Append ``event``, or count it as dropped when the tape is full."""
        events = self.events
        if len(events) < EVENT_LIMIT:
            events.append(event)
        else:
            self.dropped += 1

    def looked(self, attributes: dict[str, Any]) -> Any:
        """What there is to keep of the request's ``attributes`` at a boundary where their number is not ``width``: how many
        there are now, those that came being put before the others in ``came``; or a copy of all, where anything else was
        done to them. A request that was given up may still run in its thread: by then nothing is kept (0), as nobody would
        let go of it.
        """
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

    def all_of(self, attributes: dict[str, Any]) -> Any:
        """A copy of ``attributes``; 0 where those that are ``watched`` are as they were before."""
        if not self.open:
            return 0
        seen, watched = self.seen, self.watched
        if watched and len(attributes) == len(seen) and all(attributes.get(one) is seen.get(one) for one in watched):
            return 0
        self.keep_all()
        self.seen = copied = attributes.copy()
        return copied

    def keep_all(self) -> None:
        """From now on keep all attributes at every boundary, or where one of those that are ``watched`` differs."""
        self.only_added = False
        self.width, self.newest = _NO_WIDTH, None

    def answered(self, base: int, response: Any) -> None:
        """Keep what ``response`` is now, which differs from the boundary before, in the slots from ``base`` on."""
        slots, cookies = self.slots, response.cookies
        slots[base + HEADERS] = self.headers = response.headers._store.copy()
        slots[base + STATUS] = status = response.status_code
        if cookies:
            slots[base + COOKIES] = {name: morsel.value for name, morsel in cookies.items()}
            status = _ASK_AGAIN
        self.status = status

    def settle(self, attributes: dict[str, Any]) -> None:
        """The chain is through: keep what is needed of the request's ``attributes``, and let go of all that is not.

        Where they only came, one after the other, no object is needed any more; else all stay until the record is made.
        """
        first, came = self.first, self.came
        if (
            self.only_added
            and first.get("resolver_match", 0) is None
            and "_post" not in attributes
            and "urlconf" not in attributes
        ):
            came.reverse()
            names, values = zip(*came, strict=True) if came else ((), ())
            first["resolver_match"] = self.match
            if [*attributes] == [*first, "_pipeline_tape", *names] and all(
                map(is_, attributes.values(), chain(first.values(), (self,), values))
            ):
                self.left, self.attributes = leave_behind(names, values)
                self.came, self.first = [], _NOTHING
                return
            first["resolver_match"] = None
            came.reverse()
        self.attributes = attributes.copy()

    @property
    def width_at_first(self) -> int:
        """How many attributes there were when the tape was put on the request."""
        return len(self.first) + 1 if self.left is None else self.width - len(self.left[0])

    def sent(self) -> None:
        """The response is closed; ``request_finished``, which follows on this thread, hands the tape over."""
        self.closed_at = now()
        closing[get_ident()] = self

    def __copy__(self) -> "Tape":
        return self

    def __deepcopy__(self, memo: object) -> "Tape":
        return self

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _no_tape, ()


def _no_tape() -> None:
    """What a tape is once its request was pickled and opened again."""


closing: dict[int, Tape] = {}
"""By thread: the tape whose response is being closed there."""

closing_on = closing.pop

current: ContextVar[Tape | None] = ContextVar("pipeline_inspector_tape", default=None)
tape_in_hand, take, put_down = current.get, current.set, current.reset
"""Its methods by name: as attributes of an imported name Python would look them up anew in every request."""


def leave(token: Token[Tape | None]) -> None:
    """Undo what gave ``token``. A coroutine that is thrown away may be closed in another context than it was begun in."""
    try:
        current.reset(token)
    except ValueError:
        return
