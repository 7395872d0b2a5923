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


def thread_name(ident: int) -> str:
    """The name of the thread that ``get_ident()`` calls ``ident``; empty for 0."""
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    return thread.name if thread is not None else (f"thread {ident}" if ident else "")
