"""One open page: what it has shown, what it wants, and the HTML that brings it up to date. The same for every transport.

An update is one list: ``<ol id="news" …><li id="r-…">…</li></ol>``, newest first, with what else there is to say as data:

``data-upto``     the ``seq`` shown up to, to be sent back as ``after`` on the next connection
``data-more``     how many wanted rows lie between those before and those in this list, left out
``data-running``  ids of all rows that are running now: those the page shows besides are over
``data-round``    the number of the page's last change of mind (its filter, its pause) that the update knows of
``data-from``     the ``seq`` of the oldest row that is kept: the page drops those before it
``data-waiting``  while paused: how many wanted rows are new (then the list is empty)
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.html import escape

from pipeline_inspector.page.tail import Drawn, Tail
from pipeline_inspector.reader import Filter

ROWS_MAX = 200
COUNT_MAX = 5000
"""Further back than so many rows is not counted."""


@dataclass
class Viewer:
    """An open page on ``tail`` that has shown everything up to ``after``.

    ``running`` holds the running rows that it shows, None when that is not known: then the next update tells them all.
    """

    tail: Tail
    wanted: Filter
    after: int = 0
    paused: bool = False
    round: int = 0
    running: dict[str, Drawn] | None = None
    _waiting: int = -1
    _first: int = 1

    def is_at_hand(self) -> bool:
        """Can ``update()`` do without reading the store?"""
        return self.tail.after(self.after) is not None

    def nothing(self) -> str:
        """The update that tells nothing but that the connection stands."""
        return f'<ol id="news" hx-swap-oob="none" data-upto="{self.after}" data-round="{self.round}"></ol>'

    def change(self, wanted: Filter, after: int | None, *, paused: bool) -> None:
        """The page shows something else now: its list stands at ``after`` (None: where it stood) and holds no running
        rows that were sent before."""
        self.wanted, self.paused = wanted, paused
        self.after = self.after if after is None else after
        self.running = None
        self._waiting = -1

    def update(self) -> str | None:
        """The HTML that brings the page up to date, None when it is. Raises ``StoreError``."""
        if self.after > max(self.tail.seq, self.tail.reader.store.last_seq()):
            self.after = 0
        upto = self.tail.seq
        if self.paused:
            return self._count()
        rows, more = self._rows(ROWS_MAX)
        self.after = max(self.after, upto, rows[0].row.seq if rows else 0)
        before, running = self.running, self._running_now()
        if not (rows or more or running != before or self._first != self.tail.first):
            return None
        fresh = [drawn for row_id, drawn in running.items() if before is None or before.get(row_id) != drawn]
        items = "".join(drawn.html for drawn in (*reversed(fresh), *rows))
        return (
            f'<ol id="news" hx-swap-oob="afterbegin:#requests" data-upto="{self.after}" data-more="{more}" '
            f'data-round="{self.round}" data-from="{self._told_first()}" '
            f'data-running="{escape(" ".join(running))}">{items}</ol>'
        )

    def _count(self) -> str | None:
        _, more = self._rows(0)
        if more == self._waiting and self._first == self.tail.first:
            return None
        self._waiting = more
        return (
            f'<ol id="news" hx-swap-oob="none" data-upto="{self.after}" data-round="{self.round}" '
            f'data-from="{self._told_first()}" data-waiting="{more}"></ol>'
        )

    def _told_first(self) -> int:
        self._first = self.tail.first
        return self._first

    def _rows(self, at_most: int) -> tuple[list[Drawn], int]:
        """Wanted rows after the last one shown, newest first, and how many more there are."""
        found: list[Drawn] = []
        more = 0
        for drawn in self._newer():
            if len(found) < at_most:
                found.append(drawn)
            else:
                more += 1
                if more >= COUNT_MAX:
                    break
        return found, more

    def _newer(self) -> Iterator[Drawn]:
        at_hand = self.tail.after(self.after)
        if at_hand is not None:
            yield from (drawn for drawn in reversed(at_hand) if drawn.fits(self.wanted))
            return
        for row in self.tail.reader.store.newest():
            if row.seq <= self.after:
                break
            if self.tail.reader.wants(self.wanted, row):
                yield self.tail.drawn(row)

    def _running_now(self) -> dict[str, Drawn]:
        self.running = {drawn.row.id: drawn for drawn in self.tail.running if drawn.fits(self.wanted)}
        return self.running
