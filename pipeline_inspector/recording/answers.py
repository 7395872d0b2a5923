"""The headers of an answer as they are kept. Runs on the recorder thread only."""

from typing import Any

import msgspec

from pipeline_inspector import packed
from pipeline_inspector.recording.heads import HEADERS_KEPT
from pipeline_inspector.recording.pieces import Known, piece
from pipeline_inspector.recording.redaction import Redactor

LONGEST = 2000

_HEADERS = 4000
_VIEWS = 200

Headers = tuple[tuple[str, str], ...]
_NONE: tuple[Headers, msgspec.Raw | None] = (), None


class Answers:
    """Tells headers of answers as ``redactor`` does.

    Of each view the headers it answered with before are known: mostly it answers with the same ones again, and then they
    need not be looked up one by one. They are packed together once they came a second time.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._each: Known[tuple[str, str], msgspec.Raw] = Known(self._header, _HEADERS, LONGEST)
        self._before: dict[str, tuple[Headers, msgspec.Raw | None]] = {}

    def headers(self, view: str, answer: tuple[Any, ...]) -> msgspec.Raw | list[Any]:
        """Name and value of each header of ``answer`` (status, headers, cookies), that ``view`` gave; in all
        ``HEADERS_KEPT`` at most."""
        headers: Headers = (*answer[1].values(),)
        before, together = self._before.get(view, _NONE)
        again = headers == before
        if again and together is not None and not answer[2]:
            return together
        told: list[Any] = [*map(self._each.__getitem__, headers)]
        if again and len(told) <= HEADERS_KEPT:
            self._before[view] = headers, msgspec.Raw(packed.encode(told))
        elif not again:
            if len(self._before) >= _VIEWS:
                self._before.clear()
            self._before[view] = headers, None
        if answer[2]:
            cookie = self._redactor.cookie
            told += [("Set-Cookie", f"{name}={cookie(name, value)}") for name, value in answer[2].items()]
        return told[:HEADERS_KEPT]

    def _header(self, header: tuple[str, str]) -> msgspec.Raw:
        name, value = header
        return piece((name, self._redactor.header(name, str(value))[:LONGEST]))
