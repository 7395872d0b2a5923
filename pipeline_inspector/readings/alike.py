"""Like neighbours together: what a reading tells once with a count."""

from collections.abc import Iterable
from typing import Protocol, Self, TypeVar


class Comparable(Protocol):
    """What can say whether it looks like another of its kind."""

    def alike(self, other: Self, /) -> bool:
        """Would ``other`` be told with the same words?"""


T = TypeVar("T", bound=Comparable)


def runs(nodes: Iterable[T]) -> list[list[T]]:
    """``nodes`` in their order, each with those right behind it that are alike."""
    found: list[list[T]] = []
    for node in nodes:
        if found and found[-1][-1].alike(node):
            found[-1].append(node)
        else:
            found.append([node])
    return found
