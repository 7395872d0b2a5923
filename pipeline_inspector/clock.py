"""The only place that asks the time: stamps on one monotonic clock, and the wall clock for people.

Code reads ``clock.now()`` or binds it at import where nanoseconds count; tests that need a fake clock
swap the functions here before they build the object under test.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache

now = time.perf_counter_ns
"""Nanoseconds on the process's monotonic clock; only differences mean anything."""

wall = time.time_ns
"""Nanoseconds since 1970-01-01 UTC."""


def iso(wall_ns: int) -> str:
    """ISO 8601 text, UTC, microseconds, for ``wall_ns`` nanoseconds since 1970."""
    return f"{_second(wall_ns // 1_000_000_000)}.{wall_ns % 1_000_000_000 // 1000:06d}Z"


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


def from_iso(text: str) -> int:
    """The nanoseconds since 1970 that ``iso()`` told, to the microsecond."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
