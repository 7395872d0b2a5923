"""What changed between two boundaries: snapshots compared, by identity where a comparison could run the user's code.

A change is ``(position, on, what, name, kind, before, after)``; position 0 is the core.
"""

from collections.abc import Callable, Iterator
from operator import is_
from typing import Any

from pipeline_inspector.recording.tape import ATTRIBUTES_IN, ATTRIBUTES_OUT, ENTRY, HOOK, OFF, RESPONSE, STRIDE, Tape

Change = tuple[int, str, str, str, str, str | None, str | None]
Attributes = dict[str, Any]
Describe = Callable[[str, Any], str]

_UNTOLD = frozenset(
    "_pipeline_tape COOKIES GET headers accepted_types accepted_types_by_precedence _post _files _body _stream"
    " _read_started _post_parse_error _cached_media_type".split()
)
"""Ours, and what Django's request keeps of its own once it was asked for: nobody set these."""

_LIMIT = 300


class Comparer:
    """Goes along one tape's boundaries and lists the changes; ``redactor`` says how values may be told."""

    def __init__(self, redactor: Any) -> None:
        self._redactor = redactor

    def changes(self, tape: Tape) -> tuple[list[Change], int]:
        """The changes of ``tape`` in the order of the way, and how many were cut."""
        found: list[Change] = []
        slots = tape.slots
        reached = [base for base in range(len(slots) - STRIDE, -1, -STRIDE) if slots[base + ENTRY] not in (0, OFF)]
        for base, inner in zip(reached, [*reached[1:], None], strict=True):
            before = slots[base + ATTRIBUTES_IN]
            after = slots[base + ATTRIBUTES_OUT] if inner is None else slots[inner + ATTRIBUTES_IN]
            if inner is not None or base:
                found += self._attributes(base // STRIDE, before, after)
        if reached and reached[-1] == 0:
            found += self._core(tape)
        for base, inner in zip(reached[::-1], [None, *reached[:0:-1]], strict=True):
            if inner is not None:
                found += self._attributes(base // STRIDE, slots[inner + ATTRIBUTES_OUT], slots[base + ATTRIBUTES_OUT])
                found += self._responses(base // STRIDE, slots[inner + RESPONSE], slots[base + RESPONSE])
            elif base:
                found += self._responses(base // STRIDE, None, slots[base + RESPONSE])
        return found[:_LIMIT], max(0, len(found) - _LIMIT)

    def _core(self, tape: Tape) -> list[Change]:
        found: list[Change] = []
        attributes, response = tape.slots[ATTRIBUTES_IN], None
        for event in tape.events:
            if event[0] != HOOK:
                continue
            position, after, answer = event[4], event[7], event[8]
            if after is not None:
                found += self._attributes(position, attributes, after)
                attributes = after
            if event[5] == "":
                found += self._responses(0, response, answer)
            elif answer is not None:
                found += self._responses(position, response, answer)
            response = answer or response
        found += self._attributes(0, attributes, tape.slots[ATTRIBUTES_OUT])
        found += self._responses(0, response, tape.slots[RESPONSE])
        return found

    def _attributes(self, position: int, before: Attributes | None, after: Attributes | None) -> list[Change]:
        if not before or not after or (len(before) == len(after) and all(map(is_, before.values(), after.values()))):
            return []
        describe = self._redactor.attribute
        return [
            (0 if name == "resolver_match" else position, "request", "attribute", name, kind, old, new)
            for name, kind, old, new in _differences(before, after, describe, is_)
            if name not in _UNTOLD
        ]

    def _responses(self, position: int, before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> list[Change]:
        if after is None or before == after:
            return []
        found: list[Change] = []
        status = before[0] if before else None
        if status != after[0]:
            found.append(
                (
                    position,
                    "response",
                    "status",
                    "status",
                    "changed" if before else "added",
                    None if status is None else str(status),
                    str(after[0]),
                )
            )
        headers = (before[1] if before else {}), after[1]
        if headers[0] != headers[1]:
            found += [
                (position, "response", "header", (after[1].get(name) or headers[0][name])[0], kind, old, new)
                for name, kind, old, new in _differences(*headers, self._header, _same)
            ]
        cookies = (before[2] if before else None) or {}, after[2] or {}
        if cookies[0] != cookies[1]:
            found += [
                (position, "response", "cookie", name, kind, old, new)
                for name, kind, old, new in _differences(*cookies, self._redactor.cookie, _same)
            ]
        return found

    def _header(self, name: str, value: tuple[str, str]) -> str:
        return str(self._redactor.header(name, str(value[1])))[:200]


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _differences(
    before: Attributes, after: Attributes, describe: Describe, same: Callable[[Any, Any], bool]
) -> Iterator[tuple[str, str, str | None, str | None]]:
    for name, value in after.items():
        if name not in before:
            yield name, "added", None, describe(name, value)
        elif not same(before[name], value):
            yield name, "changed", describe(name, before[name]), describe(name, value)
    for name, value in before.items():
        if name not in after:
            yield name, "removed", describe(name, value), None
