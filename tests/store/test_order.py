"""The order that every store promises, whatever happens when: a reader that goes along misses nothing, and no number is
ever given twice."""

import itertools
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_inspector.store import sqlite, trouble
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
        if name.startswith("_"):  # what a printer asks for
            raise AttributeError(name)
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

    def last(self) -> int:
        """The last number seen."""
        return self.seen[-1][0] if self.seen else 0

    def read(self, limit: int) -> Numbered:
        """What comes next."""
        found = self.after(self.last(), limit)
        self.seen += found
        return found


def _fresh(place: Place, folder: Path) -> Place:
    """A place like ``place`` where nothing is yet."""
    name = uuid4().hex
    return replace(
        place, where=str(folder / name / "r.sqlite3") if place.kind == "sqlite" else place.where, project=name
    )


def _names() -> Iterator[str]:
    return (f"r{number}" for number in itertools.count(1))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_two_processes_that_do_anything_in_any_order_see_the_same_rising_list(
    common_place: Place, far: FarHand, tmp_path: Path, steps: list[tuple[str, int, int]]
) -> None:
    place = _fresh(common_place, tmp_path)
    far.begin(place)
    hands: list[Any] = [Hand(place), far]
    readers = [Reader(hand.after) for hand in hands]
    names, kept, last = _names(), Numbered(), 0
    for what, who, amount in steps:
        hand, reader = hands[who], readers[who]
        if what == "append":
            batch = list(itertools.islice(names, amount))
            numbers = hand.append(batch)
            assert numbers == list(range(last + 1, last + amount + 1))
            last += amount
            kept += zip(numbers, batch, strict=True)
        elif what == "read":
            seen = reader.last()
            assert reader.read(amount) == [one for one in kept if one[0] > seen][:amount]
        elif what == "prune":
            assert hand.prune(amount) == max(0, len(kept) - amount)
            kept = kept[len(kept) - min(amount, len(kept)) :]
        elif what == "clear":
            hand.clear()
            kept = []
        else:
            hand.reopen()
    for hand, reader in zip(hands, readers, strict=True):
        assert hand.newest() == kept[::-1]
        seen = reader.last()
        assert [one for _ in range(len(kept)) for one in reader.read(1)] == [one for one in kept if one[0] > seen]
        hand.close()


LOCKED_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), _WHO, st.integers(1, 4)),
        st.tuples(st.just("append"), _WHO, st.integers(1, 4)),
        st.tuples(st.just("read"), _WHO, st.integers(1, 9)),
        st.tuples(st.just("lock"), _WHO, st.just(0)),
        st.tuples(st.just("free"), _WHO, st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=LOCKED_STEPS)
def test_two_readers_miss_nothing_while_the_file_is_locked_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None], steps: list[tuple[str, int, int]]
) -> None:
    for module, name in ((sqlite, "_WAIT"), (sqlite, "_WAIT_IN_TROUBLE"), (trouble, "_LONGEST_PAUSE")):
        monkeypatch.setattr(module, name, 0.01)
    place = _fresh(Place("sqlite"), tmp_path)
    hands = [Hand(place), Hand(place)]
    readers = [Reader(hand.after) for hand in hands]
    names, appended = _names(), list[str]()
    assert hands[NEAR].newest() == []
    with closing(sqlite3.connect(place.where, isolation_level=None)) as other:
        for what, who, amount in steps:
            if what == "append":
                batch = list(itertools.islice(names, amount))
                hands[who].append(batch)
                appended += batch
            elif what == "read":
                readers[who].read(amount)
            elif (what == "lock") is not other.in_transaction:
                other.execute("BEGIN EXCLUSIVE" if what == "lock" else "ROLLBACK")
    for hand in hands:
        eventually(lambda hand=hand: hand.store.problems() == [])
    for hand, reader in zip(hands, readers, strict=True):
        while reader.read(5):
            pass
        assert {name for _, name in reader.seen} == set(appended)
        numbers = [number for number, _ in reader.seen]
        assert numbers == sorted(set(numbers))
        assert sorted(name for _, name in hand.newest()) == sorted(appended), "each once"
        hand.close()
