"""What is left of a request's attributes when its chain is through: their names and kinds, and the plain values among them.

The objects are let go of on the spot. A request waits to be sealed, and all that it holds meanwhile grows old enough for
Python's collector to go through every object of the process again.
"""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from types import NoneType
from typing import Any, NamedTuple

from django.utils.functional import LazyObject, empty

from pipeline_inspector.recording.pieces import Known
from pipeline_inspector.recording.secret_texts import as_text

NAME_KEPT = 200
_KNOWN = 500

UNTOLD = frozenset(
    {
        *("_pipeline_tape", "COOKIES", "GET", "headers", "accepted_types", "accepted_types_by_precedence", "_post"),
        *("_files", "_body", "_stream", "_read_started", "_post_parse_error", "_cached_media_type"),
        *("_current_scheme_host",),
    }
)
"""Ours, and what Django's request keeps of its own once it was asked for: nobody set these."""

SAYS_ITSELF = frozenset({dt.date, dt.datetime, dt.time, dt.timedelta, uuid.UUID, decimal.Decimal})
BYTES = frozenset({bytes, bytearray, memoryview})
SIZED = frozenset({list, tuple, dict, set, frozenset})
_PLAIN = frozenset({NoneType, bool, int, float, str, *BYTES, *SAYS_ITSELF})

Came = list[tuple[str, Any]]
Left = tuple[tuple[str, ...], tuple[type, ...]]


class Told(str):
    """What is told of an object that was let go of."""

    __slots__ = ()


def kind_of(kind: type) -> str:
    """How a type is called, as text that can be written."""
    return as_text(kind.__name__, NAME_KEPT)


def lazily(value: Any) -> str:
    """What a lazy object is told as: its type, and what it wraps only when that is there already."""
    wrapped = object.__getattribute__(value, "_wrapped")
    return _lazy[type(value), None if wrapped is empty else type(wrapped)]


def by_size(value: Any) -> str:
    """What a list, a dictionary or the like is told as."""
    return Told(f"{type(value).__name__}, {len(value)} long")


def _lazy_words(kinds: tuple[type, type | None]) -> Told:
    kind, wrapped = kinds
    return Told(kind_of(kind) if wrapped is None else f"{kind_of(kind)} ({kind_of(wrapped)})")


_lazy: Known[tuple[type, type | None], Told] = Known(_lazy_words, _KNOWN)


class Lazily(NamedTuple):
    """How a lazy object is told: as ``told`` while it wraps nothing, which is ``empty``."""

    told: Told
    empty: object

    def __call__(self, value: Any) -> str:
        return lazily(value)


class Sieve(NamedTuple):
    """What is kept of attributes of the same names and kinds, which are ``left``: of each place its name and how it is
    told, None: as it is."""

    left: Left
    kept: tuple[tuple[int, str, Callable[[Any], str] | Lazily | None], ...]


def _sieve(left: Left) -> Sieve:
    kept: list[tuple[int, str, Callable[[Any], str] | Lazily | None]] = []
    for place, (name, kind) in enumerate(zip(*left, strict=True)):
        if name in UNTOLD:
            continue
        if kind in _PLAIN:
            kept.append((place, name, None))
        elif kind in SIZED:
            kept.append((place, name, by_size))
        elif issubclass(kind, LazyObject):
            kept.append((place, name, Lazily(_lazy[kind, None], empty)))
    return Sieve(left, (*kept,))


sieves = Known(_sieve, _KNOWN)
"""By names and kinds of attributes."""


def as_told(left: Left, kept: dict[str, Any]) -> Came:
    """The attributes of which that was ``left`` and ``kept``, newest first."""
    told = [(name, kept[name] if name in kept else Told(kind_of(kind))) for name, kind in zip(*left, strict=True)]
    return told[::-1]
