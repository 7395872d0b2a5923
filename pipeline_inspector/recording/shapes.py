"""The shape of a request: all that makes out its changes, save the values. Requests of one shape differ in what is told of
single values only, so what changed is found out once for each shape. Runs on the recorder thread only.

A request has no known shape when its layers exchange attributes, or when some are off.
"""

from collections.abc import Callable
from operator import is_, itemgetter
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from pipeline_inspector import compiled
from pipeline_inspector.packed import shortened
from pipeline_inspector.recording.attributes import Told, as_told
from pipeline_inspector.recording.changes import Comparer
from pipeline_inspector.recording.heads import HEADERS_KEPT
from pipeline_inspector.recording.pieces import Known, piece, size
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.slots import ATTRIBUTES_IN, ATTRIBUTES_OUT, COOKIES, HEADERS, STATUS, STRIDE
from pipeline_inspector.recording.tape import Tape

LONGEST = 2000

_seen_by, _answer_of = itemgetter(slice(4, 8)), itemgetter(8)
"""Of a hook: position, name, whether it answered and the attributes it left; what it made of the response."""
_SHORT = 200
_KNOWN = 4000
_SHAPES = 500
_LONGEST_SHAPE = 20_000
_ALIKE_WHEN_EQUAL = frozenset({NoneType, bool, int, str, Told})
"""Kinds of which equal values are told in the same words. Not so ``0.0`` and ``-0.0``, or a moment in two time zones."""


Changed = tuple[Any, int, list[str] | msgspec.Raw]
"""Changes as ``Packed`` holds them, how many were cut, and the values that they refer to by number."""


class Shape(NamedTuple):
    """What requests of one shape have in common; ``named``: the attributes whose values are told one by one."""

    changes: msgspec.Raw
    cut: int
    named: tuple[str, ...]
    told: Known[tuple[Any, ...], msgspec.Raw] | None


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
        kind = type(value)
        if kind is str:
            return self._texts[name, value]
        return str(value) if kind is Told else self._redactor.attribute(name, value)

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


_numbers_only: Callable[[Any, dict[str, Any]], bytes | None] = getattr(compiled.half, "outline", lambda *_: None)


def _outline(slots: Any, answer: dict[str, Any]) -> tuple[bool, Any]:
    """Were headers only added on the way to ``answer``? And what boundaries kept, all save values where they were."""
    outline = _numbers_only(slots, answer) if len(answer) <= HEADERS_KEPT else None
    if outline is not None:
        return True, outline
    kept, cookies = slots[HEADERS::STRIDE], slots[COOKIES::STRIDE]
    headers = [*filter(None, kept)]
    last = answer.values()
    only_added = len(answer) <= HEADERS_KEPT and all(
        len(one) <= len(answer) and all(map(is_, one.values(), last)) for one in headers
    )
    return only_added, (
        (*slots[ATTRIBUTES_IN::STRIDE],),
        (*slots[ATTRIBUTES_OUT::STRIDE],),
        (*slots[STATUS::STRIDE],),
        (*map(bool, kept),),
        (*map(len, headers),),
        0 if only_added else (*[(*one.values(),) for one in headers],),
        (*[(*one.items(),) if one else 0 for one in cookies],) if any(cookies) else 0,
    )


class Shapes:
    """Tells what changed on the way of a tape; ``redactor`` says how values may be told."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._words = Words(redactor)
        self._comparer = Comparer(self._words)
        self._shapes: dict[tuple[Any, ...], Shape] = {}

    def changes(self, tape: Tape, hooks: list[tuple[Any, ...]]) -> Changed:
        """The changes of ``tape``, whose core called ``hooks``, in the order of the way."""
        left, final = tape.left, tape.response
        if left is None or final is None or tape.off or any(map(_answer_of, hooks)):
            if left is not None:
                tape.came = as_told(left, tape.attributes)
            changes, cut = self._comparer.changes(tape, hooks)
            return shortened(changes), cut, []
        answer, attributes = final[1], tape.attributes
        only_added, outline = _outline(tape.slots, answer)
        key = left, type(tape.match), outline, (*answer,), *map(_seen_by, hooks)
        shape = self._shapes.get(key)
        if shape is None:
            tape.came = as_told(left, attributes)
            shape = self._shape(tape, hooks, answer if only_added else None)
            if size(key) <= _LONGEST_SHAPE:
                if len(self._shapes) >= _SHAPES:
                    self._shapes.clear()
                self._shapes[key] = shape
        values = attributes.values()
        told = [*map(self._words.attribute, shape.named, values)] if shape.told is None else shape.told[*values,]
        return shape.changes, shape.cut, told

    def _shape(self, tape: Tape, hooks: list[tuple[Any, ...]], answer: dict[str, Any] | None) -> Shape:
        named = (*tape.attributes,)
        changes, cut = Comparer(Numbers(self._redactor, named, answer)).changes(tape, hooks)
        told: Known[tuple[Any, ...], msgspec.Raw] | None = None
        if {*map(type, tape.attributes.values())} <= _ALIKE_WHEN_EQUAL:
            told = Known(lambda values: piece([*map(self._words.attribute, named, values)]), _SHORT, LONGEST)
        return Shape(piece(shortened(changes)), cut, named, told)
