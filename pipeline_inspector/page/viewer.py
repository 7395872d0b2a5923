"""One open page: what it has shown, what it wants, and the HTML that brings it up to date. The same for every transport.

Pages that show the same and want the same are given the same update: it is made, and packed, once for all of them.
An update is one list: ``<ol id="news" …><li id="r-…">…</li></ol>``, newest first, with what else there is to say as data:

``data-upto``     the ``seq`` shown up to, to be sent back as ``after`` on the next connection
``data-more``     how many wanted rows lie between those before and those in this list, left out
``data-running``  ids of all rows that are running now: those the page shows besides are over
``data-round``    alone: updates from here on know of the page's change of mind (its filter, its pause) with that number
``data-from``     the ``seq`` of the oldest row that is kept: the page drops those before it
``data-waiting``  while paused: how many wanted rows are new (then the list is empty)
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from django.utils.html import escape

from pipeline_inspector.page.tail import AtHand, Drawn, Tail
from pipeline_inspector.reader import Filter

ROWS_MAX = 200
COUNT_MAX = 5000
"""Further back than so many rows is not counted."""


class Update(str):
    """The HTML that brings pages up to date."""

    @cached_property
    def packed(self) -> bytes:
        """The same in UTF-8, as a raw DEFLATE stream."""
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(self.encode()) + packer.flush()


@dataclass(frozen=True, eq=False)
class Shown:
    """The requests in hand that a page shows, by id."""

    rows: dict[str, Drawn] = field(default_factory=dict)


NONE_SHOWN = Shown()


@dataclass(frozen=True)
class _Step:
    """What takes a page on: its update (None: there is none), the ``seq`` and the requests in hand that it then shows."""

    update: Update | None
    upto: int
    shown: Shown


class Change(NamedTuple):
    """A page shows something else now: its list stands at ``after`` (None: where it stood) and holds no requests in hand
    that were sent before. ``round`` is its number."""

    wanted: Filter
    after: int | None
    paused: bool
    round: int


@dataclass
class Viewer:
    """An open page on ``tail`` that has shown everything up to ``after``.

    ``shown`` is None when it is not known: then the next update tells of all requests in hand.
    """

    tail: Tail
    wanted: Filter
    after: int = 0
    paused: bool = False
    shown: Shown | None = None
    round: int = 0
    _change: Change | None = None
    _waiting: int = -1
    _first: int = 1

    def is_at_hand(self) -> bool:
        """Can ``update()`` do without reading the store?"""
        return self._change is None and self.tail.now.reaches(self.after)

    def change(self, change: Change) -> None:
        """The next update is the first that knows of ``change``."""
        self._change = change

    def latest(self) -> Change:
        """How the page is, or is going to be with the next update."""
        return self._change or Change(self.wanted, None, self.paused, self.round)

    def update(self) -> Update | None:
        """The HTML that brings the page up to date, None when it is. Raises ``StoreError``."""
        self._change_mind()
        now = self.tail.now
        if self.after > max(now.seq, self.tail.reader.store.last_seq()):
            self.after = 0
        tells_first = self._first != now.first
        if self.paused:
            update = self._count(now, tells_first=tells_first)
        else:
            key = self.wanted, self.after, self.shown, tells_first
            step = now.shared(key, lambda: self._step(now, tells_first=tells_first))
            self.after, self.shown, update = step.upto, step.shown, step.update
        self._first = now.first
        return update

    def _change_mind(self) -> None:
        change, self._change = self._change, None
        if change is not None:
            self.wanted, after, self.paused, self.round = change
            self.after = self.after if after is None else after
            self.shown = None
            self._waiting = -1

    def _step(self, now: AtHand, *, tells_first: bool) -> _Step:
        rows, more = self._rows(now, ROWS_MAX)
        upto = max(self.after, now.seq, rows[0].row.seq if rows else 0)
        shown = now.shared(self.wanted, lambda: self._in_hand(now))
        before = None if self.shown is None else self.shown.rows
        if not (rows or more or tells_first or shown.rows != before):
            return _Step(None, upto, shown)
        fresh = [drawn for row_id, drawn in shown.rows.items() if before is None or before.get(row_id) != drawn]
        items = "".join(drawn.html for drawn in (*reversed(fresh), *rows))
        update = Update(
            f'<ol id="news" hx-swap-oob="afterbegin:#requests" data-upto="{upto}" data-more="{more}" '
            f'data-from="{now.first}" data-running="{escape(" ".join(shown.rows))}">{items}</ol>'
        )
        return _Step(update, upto, shown)

    def _count(self, now: AtHand, *, tells_first: bool) -> Update | None:
        _, more = self._rows(now, 0)
        if more == self._waiting and not tells_first:
            return None
        self._waiting = more
        return Update(
            f'<ol id="news" hx-swap-oob="none" data-upto="{self.after}" data-from="{now.first}" '
            f'data-waiting="{more}"></ol>'
        )

    def _rows(self, now: AtHand, at_most: int) -> tuple[list[Drawn], int]:
        """Wanted rows after the last one shown, newest first, and how many more there are."""
        found: list[Drawn] = []
        more = 0
        for drawn in self._newer(now):
            if len(found) < at_most:
                found.append(drawn)
            else:
                more += 1
                if more >= COUNT_MAX:
                    break
        return found, more

    def _newer(self, now: AtHand) -> Iterator[Drawn]:
        if now.reaches(self.after):
            yield from (drawn for drawn in reversed(now.after(self.after)) if drawn.fits(self.wanted))
            return
        for row in self.tail.reader.store.newest():
            if row.seq <= self.after:
                break
            if self.tail.reader.wants(self.wanted, row):
                yield self.tail.drawn(row)

    def _in_hand(self, now: AtHand) -> Shown:
        found = {drawn.row.id: drawn for drawn in now.running if drawn.fits(self.wanted)}
        return Shown(found) if found else NONE_SHOWN


def nothing(number: int) -> str:
    """The update that tells nothing but that the connection stands, and the round ``number``."""
    return f'<ol id="news" hx-swap-oob="none" data-round="{number}"></ol>'
