"""The request in hand: one flat list of slots and one of events. All that the request path ever writes.

A tape belongs to one request. Its ``slots`` hold ``STRIDE`` places for the core and for each layer (the names below).
Place ``ENTRY`` is the stamp of entry; a value there before entry means that something is special: ``OFF``, or the stamp
of an earlier entry. Layers are counted from the inside here (``position``: the core is 0, the innermost layer 1), because
Django builds a chain in that order; a record counts from the outside.

Snapshots are taken only where something differs from the boundary before: 0 there means "as before", a STATUS of 0 that
nothing of the response differs. Headers are compared whole. Of the request's attributes the number is compared, and the
identity of those named in ``watched``: names that a layer of this chain was seen to exchange. While a request is
``learning`` (a chain's first, and one in fifty afterwards) every boundary is kept.

``events`` are tuples ``(kind, start, end, thread, …)``; at most ``EVENT_LIMIT`` are kept, the rest is counted:

======== ==============================================================================================================
QUERY    sql, params, alias, rows (-1: unknown, [n]: counted while they are fetched), how many parameter sets (0: plain),
         in a transaction, error or None, code, line
TEMPLATE name, engine, context keys (tuple), relation (render | include | extends | import), file
CACHE    alias, operation, key (str), hit (bool or None), code, line
LOG      level name, logger, message template, arguments, file, line
HOOK     position, hook, answered, attributes after, response after, start and end inside the adapted call, error
RENDER   (nothing more)
AGAIN    position: the layer was entered a second time
======== ==============================================================================================================

``code`` is a code object or None (no line of the user's own on the stack). Stamps are nanoseconds of ``clock.now``;
``thread`` is ``threading.get_ident()``. Snapshots are shallow copies, compared later and dropped when the record is made.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from itertools import islice
from threading import get_ident
from typing import Any

from pipeline_inspector import clock

now = clock.now
_wall = clock.wall

STRIDE = 9
ENTRY, ATTRIBUTES_IN, EXIT, STATUS, HEADERS, COOKIES, ATTRIBUTES_OUT, HOP_START, HOP_END = range(STRIDE)
OFF = -1
EVENT_LIMIT = 4000

QUERY, TEMPLATE, CACHE, LOG, HOOK, RENDER, AGAIN = range(7)

_NOTHING: dict[str, Any] = {}
_NEVER = 0, 0


class Tape:
    """What is written down of one request while it runs. A copied or pickled request leaves its tape behind.

    ``chain`` is the loaded chain it runs through, ``number`` counts the tapes of this process.
    """

    __slots__ = (
        *("aborted", "attributes", "body_bytes", "chain", "closed_at", "cookies", "dropped", "end", "errors"),
        *(
            "events",
            "finished_at",
            "headers",
            "inside",
            "learning",
            "match",
            "meta",
            "method",
            "newest",
            "number",
            "off",
        ),
        *(
            "open",
            "opened_at",
            "path",
            "query_count",
            "resolve_end",
            "resolve_start",
            "response",
            "seen",
            "slots",
            "start",
        ),
        *("status", "streaming", "task", "template_count", "thread", "transport", "tried", "urlconf", "view"),
        *("view_end", "view_made", "view_start", "view_thread", "wall", "watched", "width"),
    )

    def __init__(
        self, chain: Any, slots: list[Any], number: int, request: Any, off: tuple[str, ...] = (), learning: bool = True
    ) -> None:
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
        self.seen: dict[str, Any] = _NOTHING
        self.off = off
        self.learning = learning
        self.open = True
        self.aborted = self.streaming = False
        self.dropped = self.query_count = self.template_count = self.status = 0
        self.start = self.end = self.closed_at = self.finished_at = 0
        self.resolve_start = self.resolve_end = self.view_made = self.view_start = self.view_end = self.view_thread = 0
        self.width = -1
        self.newest: str | None = None
        self.cookies: Any = 0
        self.view: Any = None
        self.match: Any = None
        self.tried: Any = None
        self.urlconf: Any = None
        self.response: Any = None
        self.attributes: Any = None
        self.transport: Any = None
        self.task: Any = None
        self.headers: Any = None
        self.errors: list[Any] | None = None
        self.body_bytes: int | None = None
        self.watched: tuple[str, ...] = chain.watched if chain is not None else ()
        self.inside: tuple[int, int] = _NEVER

    def add(self, event: tuple[Any, ...]) -> None:
        """Append ``event``, or count it as dropped when the tape is full."""
        events = self.events
        if len(events) < EVENT_LIMIT:
            events.append(event)
        else:
            self.dropped += 1

    def looked(self, attributes: dict[str, Any]) -> Any:
        """What there is to keep of the request's ``attributes`` at a boundary; 0 where they are as they were before.

        A list holds those that came, newest first; a copy of all is kept where something else may have happened, while
        learning, and in chains with watched names: there this is to be asked at every boundary, else only where their
        number is not ``width``. A request that was given up may still run in its thread: by then nothing is kept, as
        nobody would let go of it.
        """
        if not self.open:
            return 0
        count = len(attributes)
        if not self.learning:
            if self.watched:
                seen = self.seen
                if count == len(seen) and all(attributes.get(name) is seen.get(name) for name in self.watched):
                    return 0
            else:
                came, self.width = count - self.width, count
                items = [*islice(reversed(attributes.items()), came + 1 if 0 < came < count else 1)]
                before, self.newest = self.newest, items[0][0]
                if items[-1][0] is before and came > 0:
                    items.pop()
                    return items
        self.seen = copied = attributes.copy()
        return copied

    def answered(self, base: int, response: Any) -> None:
        """Keep what differs in ``response`` from the boundary before, in the slots from ``base`` on."""
        slots, headers, cookies = self.slots, response.headers._store, response.cookies
        if cookies or self.cookies:
            slots[base + COOKIES] = self.cookies = (
                {name: morsel.value for name, morsel in cookies.items()} if cookies else 0
            )
        if headers != self.headers:
            slots[base + HEADERS] = self.headers = headers.copy()
        slots[base + STATUS] = self.status = response.status_code

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

current: ContextVar[Tape | None] = ContextVar("pipeline_inspector_tape", default=None)


def leave(token: Token[Tape | None]) -> None:
    """Undo what gave ``token``. A coroutine that is thrown away may be closed in another context than it was begun in."""
    try:
        current.reset(token)
    except ValueError:
        return
