"""How much of the processor the recorder takes: a burst is recorded whole and soon, under lasting load the site goes first.

The recorder works on credit, as a token bucket gives it: the time that nobody else in the process used, and a small share
of all time, saved up for a burst. While it has credit a long queue may form. When that is spent, it takes no more than it
gets, and no more requests may wait than it gets through soon: what waits is lost when the process is killed, and what lives
long makes Python's collector work. The rest is not recorded, but counted.
"""

BURST = 0.1
"""Seconds of work that may be saved up."""
WHOLE = 0.75
"""A process that uses so much of one processor has nothing to spare: it may have waited for the processor the rest of the
time, which its clock does not tell."""
QUEUE_LIMIT = 1000
"""A tape of a plain request holds 8 kB, and what a burst has taken of memory Python seldom gives back."""
FEWEST = 8
SOON = 0.1
"""Seconds within which everything that waits is recorded when the credit is spent."""


class Pace:
    """The recorder's pace. ``now`` is a moment of ``time.monotonic()`` and ``used`` the processor time that the process has
    used until then, as ``time.process_time()`` tells it; both in seconds. ``room``: so many may wait now; ``rest``: seconds
    to rest now, so that a debt is worked off."""

    def __init__(self, now: float, used: float) -> None:
        self.room = QUEUE_LIMIT
        self._credit = BURST
        self._now, self._used = now, used
        self._each = 0.0
        self.rest = 0.0

    def worked(self, now: float, used: float, spent: float, requests: int, share: float) -> None:
        """A turn is over that took ``spent`` seconds of processor time for so many ``requests``. ``share``: what the
        recorder may take of one processor's time in a process that has none to spare."""
        passed, busy = now - self._now, used - self._used
        self._now, self._used = now, used
        gained = passed * share + max(0.0, passed * WHOLE - busy)
        self._credit = min(BURST, self._credit + gained - spent)
        if requests:
            self._each = spent / requests
        soon = int(SOON * share / self._each) if self._each else QUEUE_LIMIT
        self.room = QUEUE_LIMIT if self._credit >= 0 else max(FEWEST, min(soon, QUEUE_LIMIT))
        self.rest = min(SOON, max(0.0, -self._credit / share))
