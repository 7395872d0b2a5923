"""What repeats from request to request is worked out once. Runs on the recorder thread only."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pipeline_inspector import packed
from pipeline_inspector.recording.secret_texts import as_text

Key = TypeVar("Key")
Made = TypeVar("Made")


class Known(dict[Key, Made]):
    """Makes what is asked for by ``make(key)``, once: at most ``most`` are kept, and none whose key holds more than
    ``longest`` characters."""

    def __init__(self, make: Callable[[Key], Made], most: int = 1000, longest: int = 4000) -> None:
        super().__init__()
        self._make = make
        self._most = most
        self._longest = longest

    def __missing__(self, key: Key) -> Made:
        made = self._make(key)
        if size(key) <= self._longest:
            if len(self) >= self._most:
                self.clear()
            self[key] = made
        return made


def size(thing: Any) -> int:
    """How many characters are in a text, or in those of a tuple."""
    if isinstance(thing, str):
        return len(thing)
    return sum(map(size, thing)) if isinstance(thing, tuple) else 1


def piece(value: Any) -> msgspec.Raw:
    """``value`` packed, to be put into a tape as it is."""
    return msgspec.Raw(packed.encode(writable(value)))


def writable(value: Any) -> Any:
    """``value`` with no text in it that cannot be written: half a surrogate pair, where a server or the site made text
    of bytes."""
    if isinstance(value, str):
        return as_text(value, len(value))
    if isinstance(value, dict):
        return {writable(key): writable(item) for key, item in value.items()}
    return [writable(item) for item in value] if isinstance(value, list | tuple) else value
