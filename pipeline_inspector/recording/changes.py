"""What changed between two boundaries: snapshots compared, by identity where a comparison could run the user's code.

A change is ``(position, on, what, name, kind, before, after)``; position 0 is the core.
"""

from collections.abc import Iterator
from itertools import islice
from operator import is_
from typing import Any, Protocol

from pipeline_inspector.recording.attributes import UNTOLD
from pipeline_inspector.recording.slots import ATTRIBUTES_IN, ATTRIBUTES_OUT, COOKIES, HEADERS, STATUS, STRIDE
from pipeline_inspector.recording.tape import Tape

Told = str | int
Change = tuple[int, str, str, str, str, Told | None, Told | None]
Changes = list[Change]
Attributes = dict[str, Any]
Named = dict[str, Any]
Answer = tuple[int, dict[str, tuple[str, str]], Any]

_LIMIT = 300
_WHOSE: Change = (0, "", "", "", "", None, None)
"""Stands for an attribute exchanged at a boundary that nobody looked at: counted rather than told of the wrong layer."""


class Words(Protocol):
    """How what changed is told."""

    def attribute(self, name: str, value: Any) -> Told:
        """A request attribute."""

    def header(self, name: str, value: tuple[str, str]) -> Told:
        """A header, as the response holds it under its lower-case ``name``."""

    def cookie(self, name: str, value: str) -> Told:
        """A cookie's value."""


class Comparer:
    """Goes along one tape's boundaries and lists the changes, told in ``words``."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._coming: Iterator[tuple[str, Any]] = iter(())
        self._width = 0

    def changes(self, tape: Tape, hooks: list[tuple[Any, ...]]) -> tuple[Changes, int]:
        """The changes of ``tape``, whose core called ``hooks``, in the order of the way, and how many were cut."""
        found: Changes = []
        slots = tape.slots
        reached = [base for base in range(len(slots) - STRIDE, -1, -STRIDE) if slots[base] > 0]
        if not reached:
            return found, 0
        attributes: Attributes = {**tape.first} if tape.left is None else {"resolver_match": None}
        self._coming, self._width = reversed(tape.came), tape.width_at_first
        outer = reached[0]
        for base in reached:
            attributes = self._attributes(found, outer // STRIDE, attributes, slots[base + ATTRIBUTES_IN], tape)
            if base is reached[0]:
                found.clear()  # nobody had the request in hand before
            outer = base
        response = None
        if outer == 0:
            attributes, response = self._core(found, tape, attributes, hooks)
        reached.reverse()
        for base in reached:
            after = slots[base + ATTRIBUTES_OUT]
            if after:
                attributes = self._attributes(found, base // STRIDE, attributes, after, tape)
            status = slots[base + STATUS]
            if status:
                headers = slots[base + HEADERS]
                if type(headers) is int:
                    headers = response[1] if response else {}
                answer = status, headers, slots[base + COOKIES]
                self._responses(found, base // STRIDE, response, answer)
                response = answer
        if tape.left is None:
            self._attributes(found, 0, attributes, tape.attributes, tape)
        cut = 0
        if tape.chain.watched:
            told = [change for change in found if change is not _WHOSE]
            cut, found = len(found) - len(told), told
        return (found, cut) if len(found) <= _LIMIT else (found[:_LIMIT], cut + len(found) - _LIMIT)

    def _core(
        self, found: Changes, tape: Tape, attributes: Attributes, hooks: list[tuple[Any, ...]]
    ) -> tuple[Attributes, Answer | None]:
        response: Answer | None = None
        match = tape.match
        if match is not None and attributes.get("resolver_match", match) is not match:
            found.append(self._exchanged(0, "resolver_match", attributes["resolver_match"], match, tape))
            attributes["resolver_match"] = match
        for event in hooks:
            position, after, answer = event[4], event[7], event[8]
            if after:
                attributes = self._attributes(found, position, attributes, after, tape)
            if answer is not None:
                self._responses(found, position if event[5] else 0, response, answer)
                response = answer
        return attributes, response

    def _attributes(self, found: Changes, position: int, before: Attributes, after: Any, tape: Tape) -> Attributes:
        """Adds what differs; gives what is known after that, for further use. Nothing kept: nothing was seen to differ."""
        if not after:
            return before
        if type(after) is int:
            for name, value in islice(self._coming, after - self._width):
                before[name] = value
                if name not in UNTOLD:
                    found.append(self._new(position, name, value))
            self._width = after
            return before
        known, self._width = len(before), len(after)
        names = [*after]
        goes_on = [*before] == names[:known]
        if goes_on and all(map(is_, before.values(), after.values())):
            if len(names) == known:
                return before
        else:
            for name, old in before.items():
                value = after.get(name, old)
                if value is not old and name not in UNTOLD:
                    found.append(self._exchanged(position, name, old, value, tape))
        for name, value in islice(after.items(), known, None) if goes_on else after.items():
            if name not in UNTOLD and (goes_on or name not in before):
                found.append(self._new(0 if name == "resolver_match" else position, name, value))
        if not goes_on:
            found.extend(
                (position, "request", "attribute", name, "removed", self._words.attribute(name, before[name]), None)
                for name in before.keys() - after.keys() - UNTOLD
            )
        return {**after}

    def _new(self, position: int, name: str, value: Any) -> Change:
        return position, "request", "attribute", name, "added", None, self._words.attribute(name, value)

    def _exchanged(self, position: int, name: str, old: object, value: object, tape: Tape) -> Change:
        if name == "resolver_match":  # in every request, by the core
            position = 0
        else:
            told = tape.learning or name in tape.watched
            tape.chain.watch(name)
            if not told:
                return _WHOSE
        return (
            position,
            "request",
            "attribute",
            name,
            "changed",
            self._words.attribute(name, old),
            self._words.attribute(name, value),
        )

    def _responses(self, found: Changes, position: int, before: Answer | None, after: Answer) -> None:
        if before is None:
            found.append((position, "response", "status", "status", "added", None, str(after[0])))
            nothing: Answer = (after[0], {}, 0)
            before = nothing
        elif before[0] != after[0]:
            found.append((position, "response", "status", "status", "changed", str(before[0]), str(after[0])))
        if before[1] != after[1]:
            self._compare(found, position, "header", before[1], after[1])
        if before[2] != after[2]:
            self._compare(found, position, "cookie", before[2] or {}, after[2] or {})

    def _compare(self, found: Changes, position: int, what: str, before: Named, after: Named) -> None:
        is_header = what == "header"
        tell: Any = self._words.header if is_header else self._words.cookie
        for name, value in after.items():
            old: Any = before.get(name)
            if old is value:
                continue
            told = value[0] if is_header else name
            if name not in before:
                found.append((position, "response", what, told, "added", None, tell(name, value)))
            elif old != value:
                found.append((position, "response", what, told, "changed", tell(name, old), tell(name, value)))
        for name in [name for name in before if name not in after]:
            value = before[name]
            told = value[0] if is_header else name
            found.append((position, "response", what, told, "removed", tell(name, value), None))
