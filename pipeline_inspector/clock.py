"""The only place that asks the time: stamps on one monotonic clock, and the wall clock for people.

Code reads ``clock.now()`` or binds it at import where nanoseconds count; tests that need a fake clock
swap the functions here before they build the object under test.
"""

import time
from datetime import UTC, datetime

now = time.perf_counter_ns
"""Nanoseconds on the process's monotonic clock; only differences mean anything."""

wall = time.time_ns
"""Nanoseconds since 1970-01-01 UTC."""

_second: tuple[int, str] = 0, "1970-01-01T00:00:00.%06dZ"
"""The second that was told last, and its text: what is told one after the other is mostly of the same."""


def iso(wall_ns: int) -> str:
    """ISO 8601 text, UTC, microseconds, for ``wall_ns`` nanoseconds since 1970."""
    global _second
    began, text = _second
    into = wall_ns - began
    if not 0 <= into < 1_000_000_000:
        into = wall_ns % 1_000_000_000
        began = wall_ns - into
        text = f"{datetime.fromtimestamp(began // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.%06dZ"
        _second = began, text
    return text % (into // 1000)


def from_iso(text: str) -> int:
    """The nanoseconds since 1970 that ``iso()`` told, to the microsecond."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
