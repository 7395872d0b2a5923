"""What repeats in a record stands there once, and is told by its number."""

import threading
from types import CodeType


class Texts:
    """Each text once, by number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of ``text``."""
        return self.numbers.setdefault(text, len(self.numbers))

    def file(self, code: CodeType | None) -> int:
        """The number of the file of ``code``; of the empty text when there is none."""
        return self.number(code.co_filename if code is not None else "")


class Threads:
    """The name of each thread once, by number."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self._by_ident: dict[int, str] = {}

    def name(self, ident: int) -> str:
        """The name of the thread that ``get_ident()`` calls ``ident``; empty for 0."""
        if ident not in self._by_ident:
            thread = threading._active.get(ident)  # type: ignore[attr-defined]
            self._by_ident[ident] = thread.name if thread is not None else (f"thread {ident}" if ident else "")
        return self._by_ident[ident]

    def number(self, ident: int) -> int:
        """The number of that name."""
        return self.names.setdefault(self.name(ident), len(self.names))
