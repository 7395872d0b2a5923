"""Failures of our own: counted, logged once, and kept as text for the page. The request never notices.

``note()`` never raises and takes no lock that a request could wait for.
"""

import logging
from collections.abc import Callable

import msgspec

from pipeline_inspector import clock

_logger = logging.getLogger("pipeline_inspector")
_LIMIT = 50


class Fault(msgspec.Struct):
    """One kind of failure: ``where`` it happened, what it said, how often, when last (ns since 1970), and whether it is
    over since."""

    where: str
    message: str
    count: int = 0
    last_at: int = 0
    over: bool = False


_seen: dict[tuple[str, str], Fault] = {}
_watchers: list[Callable[[], Fault | None]] = []


def note(where: str, error: BaseException | str) -> None:
    """Count a failure in ``where`` (a room and what it did, such as ``"probes: query"``)."""
    try:
        message = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        key = _key(where, message)
        fault = _seen.get(key)
        if fault is None:
            if len(_seen) >= _LIMIT:
                return
            fault = _seen[key] = Fault(where, message[:500])
            _logger.warning(
                "Pipeline Inspector: %s failed (%s). The request was not affected; this is said once.",
                where,
                message,
                exc_info=error if isinstance(error, BaseException) else None,
            )
        fault.count += 1
        fault.last_at = clock.wall()
        fault.over = False
    except Exception:  # noqa: S110 - the last line of defence has nowhere to complain to
        pass


def over(where: str, message: str) -> None:
    """What was noted with these words does not fail any more."""
    fault = _seen.get(_key(where, message))
    if fault is not None:
        fault.over = True


def ask(watcher: Callable[[], Fault | None]) -> None:
    """Have ``seen()`` ask ``watcher`` too: it tells of what is wrong at this moment, None when nothing is."""
    _watchers.append(watcher)


def seen() -> list[Fault]:
    """What has failed in this process, oldest first, and what is wrong at this moment."""
    now = [watcher() for watcher in _watchers]
    return [*_seen.values(), *(fault for fault in now if fault is not None)]


def _key(where: str, message: str) -> tuple[str, str]:
    return where, message[:200]


def forget() -> None:
    """Begin anew."""
    _seen.clear()
