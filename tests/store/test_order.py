"""The order that every store promises, whatever happens when: a reader that goes along misses nothing, and no number is
ever given twice."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.places import Place
from tests.store.workers import Hand, Numbered, obey

NEAR, FAR = 0, 1
_WHO = st.sampled_from([NEAR, FAR])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), _WHO, st.integers(1, 5)),
        st.tuples(st.just("append"), _WHO, st.integers(1, 5)),
        st.tuples(st.just("read"), _WHO, st.integers(1, 4)),
        st.tuples(st.just("read"), _WHO, st.integers(1, 4)),
        st.tuples(st.just("prune"), _WHO, st.integers(0, 8)),
        st.tuples(st.just("clear"), _WHO, st.just(0)),
        st.tuples(st.just("reopen"), _WHO, st.just(0)),
    ),
    max_size=40,
)

_spawn = multiprocessing.get_context("spawn")


class FarHand:
    """A ``Hand`` in another process."""

    def __init__(self, orders: Connection) -> None:
        self._orders = orders

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._told, name)

    def _told(self, name: str, *arguments: object) -> Any:
        self._orders.send((name, arguments))
        return self._orders.recv()


@pytest.fixture(scope="module")
def far() -> Iterator[FarHand]:
    """Another process."""
    here, there = _spawn.Pipe()
    process = _spawn.Process(target=obey, args=(there,))
    process.start()
    yield FarHand(here)
    here.send(None)
    process.join()
    assert process.exitcode == 0


@dataclass
class Reader:
    """Goes along: asks "after N" with the last number it has seen."""

    after: Callable[[int, int], Numbered]
    seen: Numbered = field(default_factory=list)

    def read(self, limit: int) -> Numbered:
        """What comes next."""
        found = self.after(self.seen[-1][0] if self.seen else 0, limit)
        self.seen += found
        return found


@contextmanager
def _fresh(place: Place, folder: Path) -> Iterator[Place]:
    """A place like ``place`` where nothing is yet."""
    name = uuid4().hex
    yield replace(place, where=str(folder / name / "requests.sqlite3") if place.kind == "sqlite" else place.where, project=name)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_two_processes_that_do_anything_in_any_order_see_the_same_rising_list(
    common_place: Place, far: FarHand, tmp_path: Path, steps: list[tuple[str, int, int]]
) -> None:
    with _fresh(common_place, tmp_path) as place:
        far.begin(place)
        hands: list[Any] = [Hand(place), far]
        readers = [Reader(hand.after) for hand in hands]
        names = (f"r{number}" for number in itertools.count(1))
        kept: Numbered = []
        given_last = 0
        for what, who, amount in steps:
            hand, reader = hands[who], readers[who]
            if what == "append":
                batch = list(itertools.islice(names, amount))
                numbers = hand.append(batch)
                assert numbers == list(range(given_last + 1, given_last + amount + 1))
                given_last += amount
                kept += zip(numbers, batch, strict=True)
            elif what == "read":
                at = reader.seen[-1][0] if reader.seen else 0
                assert reader.read(amount) == [one for one in kept if one[0] > at][:amount]
            elif what == "prune":
                assert hand.prune(amount) == max(0, len(kept) - amount)
                kept = kept[-amount:] if amount else []
            elif what == "clear":
                hand.clear()
                kept = []
            else:
                hand.reopen()
        for hand, reader in zip(hands, readers, strict=True):
            assert hand.newest() == kept[::-1]
            while reader.read(3):
                pass
            assert reader.seen[-len(kept) :] == kept if kept else True
            hand.close()
