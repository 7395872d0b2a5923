"""The shape of a request: all that makes out its changes, save the values. Requests of one shape differ in what is told of
single values only, so what changed is found out once for each shape. Runs on the recorder thread only.

A request has no known shape while its chain still learns, when its layers exchange attributes, or when some are off.
"""

from itertools import chain
from operator import is_, itemgetter
from typing import Any, NamedTuple

import msgspec

from pipeline_inspector.recording.changes import UNTOLD, Comparer
from pipeline_inspector.recording.heads import HEADERS_KEPT
from pipeline_inspector.recording.pieces import Known, piece, size
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.tape import (
    ATTRIBUTES_IN,
    ATTRIBUTES_OUT,
    COOKIES,
    HEADERS,
    STATUS,
    STRIDE,
    Tape,
)

LONGEST = 2000

_SHORT = 200
_KNOWN = 4000
_SHAPES = 500
_LONGEST_SHAPE = 20_000
_LISTS = {list}


class Changed(NamedTuple):
    """``changes`` as ``Packed`` holds them, how many were ``cut``, and the ``values`` that they refer to by number."""

    changes: Any
    cut: int
    values: list[str]


class Shape(NamedTuple):
    """What requests of one shape have in common; ``named``: the attributes whose values are told one by one."""

    changes: msgspec.Raw
    cut: int
    named: tuple[str, ...]


class Words:
    """Tells values as ``redactor`` does; texts that come with every request are asked for once."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._texts: Known[tuple[str, str], str] = Known(lambda text: redactor.attribute(*text), _KNOWN, LONGEST)
        self._headers: Known[tuple[str, str], str] = Known(
            lambda pair: redactor.header(*pair)[:_SHORT], _KNOWN, LONGEST
        )

    def attribute(self, name: str, value: Any) -> str:
        """A request attribute."""
        return self._texts[name, value] if type(value) is str else self._redactor.attribute(name, value)

    def header(self, name: str, value: tuple[str, str]) -> str:
        """A header."""
        return self._headers[name, str(value[1])]

    def cookie(self, name: str, value: str) -> str:
        """A cookie's value."""
        return self._redactor.cookie(name, value)


class Numbers(Words):
    """Tells values by number: attributes by their place in ``named``, headers from -1 down by theirs in the answer."""

    def __init__(self, redactor: Redactor, named: tuple[str, ...], headers: dict[str, Any] | None) -> None:
        super().__init__(redactor)
        self._named = {name: number for number, name in enumerate(named)}
        self._places = {name: -1 - place for place, name in enumerate(headers or ())}

    def attribute(self, name: str, value: Any) -> str | int:  # type: ignore[override]
        """A request attribute, or the number of its value."""
        number = self._named.get(name)
        return super().attribute(name, value) if number is None else number

    def header(self, name: str, value: tuple[str, str]) -> str | int:  # type: ignore[override]
        """A header, or the number of its value."""
        place = self._places.get(name)
        return super().header(name, value) if place is None else place


class Shapes:
    """Tells what changed on the way of a tape; ``redactor`` says how values may be told."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._words = Words(redactor)
        self._comparer = Comparer(self._words)
        self._shapes: dict[tuple[Any, ...], Shape] = {}

    def changes(self, tape: Tape, hooks: list[tuple[Any, ...]]) -> Changed:
        """The changes of ``tape``, whose core called ``hooks``, in the order of the way."""
        came = None if tape.learning or tape.watched or tape.chain.watched or tape.off else self._came(tape, hooks)
        if came is None:
            return Changed(*self._comparer.changes(tape, hooks), [])
        lists, attributes = came
        slots, answer = tape.slots, tape.response[1]
        headers = slots[HEADERS::STRIDE]
        cookies = slots[COOKIES::STRIDE]
        only_added = len(answer) <= HEADERS_KEPT
        last = answer.values()
        for one in headers:
            if one and not all(map(is_, one.values(), last)):
                only_added = False
        key = (
            (*[one and len(one) for one in lists],),
            (*attributes,),
            (*map(type, attributes.values()),),
            type(tape.match),
            *[event[4:7] for event in hooks],
            (*slots[STATUS::STRIDE],),
            (*[one if one == 0 else len(one) for one in headers],),
            (*answer,) if only_added else (*[(*one.values(),) for one in headers if one],),
            (*[(*one.items(),) if one else 0 for one in cookies],) if any(cookies) else 0,
        )
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shape(tape, hooks, attributes, answer if only_added else None)
            if size(key) <= _LONGEST_SHAPE:
                if len(self._shapes) >= _SHAPES:
                    self._shapes.clear()
                self._shapes[key] = shape
        tell = self._words.attribute
        return Changed(shape.changes, shape.cut, [tell(name, attributes[name]) for name in shape.named])

    @staticmethod
    def _came(tape: Tape, hooks: list[tuple[Any, ...]]) -> tuple[list[Any], dict[str, Any]] | None:
        """The attributes that came, in lists by boundary and all together; None where anything else was done to them, or
        to an answer out of the common."""
        slots, match, final = tape.slots, tape.match, tape.attributes
        lists = [*slots[ATTRIBUTES_IN::STRIDE], *[event[7] for event in hooks], *slots[ATTRIBUTES_OUT::STRIDE]]
        count = len(slots) // STRIDE - 1
        first, lists[count] = lists[count], 0
        kept = [*filter(None, lists)]
        if (
            not final
            or tape.response is None
            or type(first) is not dict
            or first.get("resolver_match", 0) is not None
            or not _LISTS.issuperset(map(type, kept))
            or any(map(itemgetter(8), hooks))
        ):
            return None
        came = dict(chain.from_iterable(kept))
        known = {**first, **came}
        if match is not None:
            known["resolver_match"] = match
        if len(known) == len(final) == len(first) + sum(map(len, kept)) and all(
            map(is_, map(known.get, final), final.values())
        ):
            return lists, came
        return None

    def _shape(
        self, tape: Tape, hooks: list[tuple[Any, ...]], attributes: dict[str, Any], answer: dict[str, Any] | None
    ) -> Shape:
        told = {name: self._redactor.attribute(name, value) for name, value in attributes.items() if name not in UNTOLD}
        named = tuple(name for name in told if type(attributes[name]) not in self._redactor.opaque)
        changes, cut = Comparer(Numbers(self._redactor, named, answer)).changes(tape, hooks)
        return Shape(piece(changes), cut, named)
