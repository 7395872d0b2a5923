"""The shape of a request: all that makes out its changes, save the values. Requests of one shape differ in what is told of
single values only, so what changed is found out once for each shape. Runs on the recorder thread only.

A request has no known shape while its chain still learns, when its layers exchange attributes, or when some are off.
"""

from operator import is_, itemgetter
from typing import Any, NamedTuple

import msgspec

from pipeline_inspector.recording.attributes import Told, as_told
from pipeline_inspector.recording.changes import Comparer
from pipeline_inspector.recording.heads import HEADERS_KEPT
from pipeline_inspector.recording.pieces import Known, piece, size
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.slots import ATTRIBUTES_IN, ATTRIBUTES_OUT, COOKIES, HEADERS, STATUS, STRIDE
from pipeline_inspector.recording.tape import Tape

LONGEST = 2000

_SHORT = 200
_KNOWN = 4000
_SHAPES = 500
_LONGEST_SHAPE = 20_000


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
        if left is None or final is None or tape.off or any(map(itemgetter(8), hooks)):
            if left is not None:
                tape.came = as_told(left, tape.attributes)
            return Changed(*self._comparer.changes(tape, hooks), [])
        slots, answer, attributes = tape.slots, final[1], tape.attributes
        kept = slots[HEADERS::STRIDE]
        headers = [*filter(None, kept)]
        cookies = slots[COOKIES::STRIDE]
        last = answer.values()
        only_added = len(answer) <= HEADERS_KEPT
        for one in headers:
            if not all(map(is_, one.values(), last)):
                only_added = False
                break
        key = (
            left,
            (*attributes,),
            type(tape.match),
            *[event[4:8] for event in hooks],
            (*slots[ATTRIBUTES_IN::STRIDE],),
            (*slots[ATTRIBUTES_OUT::STRIDE],),
            (*slots[STATUS::STRIDE],),
            (*map(bool, kept),),
            (*map(len, headers),),
            (*answer,) if only_added else (*[(*one.values(),) for one in headers],),
            (*[(*one.items(),) if one else 0 for one in cookies],) if any(cookies) else 0,
        )
        shape = self._shapes.get(key)
        if shape is None:
            tape.came = as_told(left, attributes)
            shape = self._shape(tape, hooks, answer if only_added else None)
            if size(key) <= _LONGEST_SHAPE:
                if len(self._shapes) >= _SHAPES:
                    self._shapes.clear()
                self._shapes[key] = shape
        tell = self._words.attribute
        return Changed(shape.changes, shape.cut, [tell(name, attributes[name]) for name in shape.named])

    def _shape(self, tape: Tape, hooks: list[tuple[Any, ...]], answer: dict[str, Any] | None) -> Shape:
        named = (*tape.attributes,)
        changes, cut = Comparer(Numbers(self._redactor, named, answer)).changes(tape, hooks)
        return Shape(piece(changes), cut, named)
