"""What repeats in a record stands there once, and is told by its number."""

import threading
from types import CodeType
from typing import TypeVar

Key = TypeVar("Key")


class Numbers(dict[Key, int]):
    """Gives each thing a number when it is first asked for: 0, 1, 2 …"""

    __slots__ = ()

    def __missing__(self, thing: Key) -> int:
        number = self[thing] = len(self)
        return number


class Texts(Numbers[str]):
    """Each text once, by number."""

    __slots__ = ()

    def file(self, code: CodeType | None) -> int:
        """The number of the file of ``code``; of the empty text when there is none."""
        return self[code.co_filename if code is not None else ""]


class Threads(Numbers[int]):
    """Each thread once, by number."""

    __slots__ = ()


def thread_name(ident: int) -> str:
    """The name of the thread that ``get_ident()`` calls ``ident``; empty for 0."""
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    return thread.name if thread is not None else (f"thread {ident}" if ident else "")
