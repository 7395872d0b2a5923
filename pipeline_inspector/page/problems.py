"""What is wrong with the inspector itself, in sentences for its pages: its store, its setting, its own failures."""

from pipeline_inspector import clock, conf, faults
from pipeline_inspector.faults import Fault
from pipeline_inspector.reader import Reader
from pipeline_inspector.store.base import Store

RECENT_NS = 600_000_000_000
"""A failure that was last seen longer ago in another process is not told any more."""


def told(source: Reader) -> list[str]:
    """All there is to tell now: failures of this process, and recent ones of the others, each once."""
    wrong = source.store.problems()
    own = faults.seen()
    known = {(fault.where, fault.message) for fault in own}
    since = clock.wall() - RECENT_NS
    others = [
        fault
        for _, fault in source.store.faults()
        if fault.last_at >= since and (fault.where, fault.message) not in known
    ]
    return [
        *wrong,
        *(f"{problem.message} {problem.hint}" for problem in conf.current().problems),
        *(_sentence(fault) for fault in (*own, *others) if not any(fault.message in sentence for sentence in wrong)),
    ]


def dismiss(store: Store) -> None:
    """Forget the failures of all processes; what still is wrong is told again when it happens again."""
    faults.forget()
    for process in {process for process, _ in store.faults()}:
        store.put_faults(process, [])


def _sentence(fault: Fault) -> str:
    since = "; it works again" if fault.over else ""
    return f"{fault.where} failed ({fault.message}), {fault.count} times{since}."
