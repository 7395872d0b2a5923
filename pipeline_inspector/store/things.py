"""The small named things a store keeps beside the records: chains, processes, requests in hand, failures.

A store says how one is put and how all of a kind are listed; what this process put itself is known here in any case, so
that it is shown while the store cannot be reached, and can be written again when the store was emptied.
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec

from pipeline_inspector import clock
from pipeline_inspector.faults import Fault, note
from pipeline_inspector.records import Plan, Process, Summary
from pipeline_inspector.store.base import Store

Kind = Literal["plan", "process", "running", "fault"]

KEEP: dict[Kind, int] = {"plan": 200, "process": 50, "running": 200, "fault": 200}
LASTING: tuple[Kind, ...] = ("plan", "process", "fault")
"""Kinds that still hold after a while, so that a store that was emptied is told them again."""

_SECOND = 1_000_000_000
_SILENT_AFTER = 2.0
_HOUR = 3600.0
_MINUTE = 60.0

T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode


class Thing(NamedTuple):
    """One kept thing: its name, how long ago it was put (seconds), and its packed body."""

    name: str
    age: float
    body: bytes


class Own(NamedTuple):
    """What this process put: when (``clock.now()``), and the packed body."""

    at: int
    body: bytes


class ThingStore(Store):
    """Chains, processes, requests in hand and failures, on two methods of the store proper."""

    def __init__(self) -> None:
        self._own: dict[Kind, OrderedDict[str, Own]] = {kind: OrderedDict() for kind in KEEP}

    @abstractmethod
    def _put(self, kind: Kind, name: str, body: bytes) -> None:
        """Keep one thing for all processes, as soon as that can be done. Never raises."""

    @abstractmethod
    def _all(self, kind: Kind) -> list[Thing]:
        """What all processes put, newest first; empty when the store cannot be reached. Never raises."""

    def put_plan(self, plan: Plan) -> None:
        self._keep("plan", plan.id, _encode(plan))

    def plan(self, plan_id: str) -> Plan | None:
        own = self._own["plan"].get(plan_id)
        if own is not None:
            return msgspec.msgpack.decode(own.body, type=Plan)
        return next((plan for plan in self.plans() if plan.id == plan_id), None)

    def plans(self) -> list[Plan]:
        return _opened(self._things("plan"), Plan)

    def put_process(self, process: Process) -> None:
        self._keep("process", process.id, _encode(process))

    def processes(self) -> list[Process]:
        newest = sorted(_opened(self._things("process"), Process), key=lambda item: item.started_at, reverse=True)
        return newest[: KEEP["process"]]

    def put_running(self, process: str, rows: Sequence[Summary]) -> None:
        before = self._own["running"].get(process)
        if rows or (before is not None and before.body != _encode([])):
            self._keep("running", process, _encode(list(rows)))

    def running(self) -> list[Summary]:
        heard = [thing for thing in self._things("running") if thing.age <= _SILENT_AFTER]
        rows = [row for group in _opened(heard, list[Summary]) for row in group]
        return sorted(rows, key=lambda row: row.started_at)

    def put_faults(self, process: str, faults: Sequence[Fault]) -> None:
        body, before = _encode(list(faults)), self._own["fault"].get(process)
        if before is None or before.body != body or clock.now() - before.at > _MINUTE * _SECOND:
            self._keep("fault", process, body)

    def faults(self) -> list[tuple[str, Fault]]:
        heard = [thing for thing in self._things("fault") if thing.age <= _HOUR]
        found = [(thing.name, fault) for thing in heard for group in _opened([thing], list[Fault]) for fault in group]
        return sorted(found, key=lambda item: item[1].last_at, reverse=True)

    def _keep(self, kind: Kind, name: str, body: bytes) -> None:
        own = self._own[kind]
        own[name] = Own(clock.now(), body)
        own.move_to_end(name)
        while len(own) > KEEP[kind]:
            own.popitem(last=False)
        self._put(kind, name, body)

    def _things(self, kind: Kind) -> list[Thing]:
        now = clock.now()
        mine = {name: Thing(name, (now - own.at) / _SECOND, own.body) for name, own in list(self._own[kind].items())}
        others = [thing for thing in self._all(kind) if thing.name not in mine]
        return sorted([*reversed(mine.values()), *others], key=lambda thing: thing.age)


def _opened(things: Sequence[Thing], kind: type[T]) -> list[T]:
    found = []
    for thing in things:
        try:
            found.append(msgspec.msgpack.decode(thing.body, type=kind))
        except msgspec.MsgspecError as error:
            note("store: reading", error)
    return found
