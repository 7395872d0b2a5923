"""The recorder thread: takes finished tapes, seals them in batches, keeps them in the store, wakes the viewers.

The request path meets it in ``running`` and ``finish()``: a dict entry and an append. The queue is bounded;
when it is full the record is counted as dropped. The thread starts with the first finished request, sleeps while nothing
happens, and is made anew after a fork. A failure of the store or of a listener is noted and costs the records of that
batch at most.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from pipeline_inspector import clock, faults
from pipeline_inspector.recording import pacing
from pipeline_inspector.recording.chain import LoadedChain
from pipeline_inspector.recording.outlets import Outlets
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import Process, Sealed, Summary

BATCH = 64
MOST = 1000
AT_A_TIME = 64
"""So many records are sealed, in about a millisecond, before the interpreter is offered to whoever serves: not while a batch
and more wait. Every offer under load costs this thread the interpreter for milliseconds, and both sides processor time."""
SHARE = 0.05
SHARE_WATCHED = 0.5
"""So much of one processor's time the thread takes when the process has none to spare, and while somebody looks: then every
request is wanted. What comes in beyond that is dropped."""
PAUSE = 0.02
"""Tapes are sealed soon: each holds its request's objects, and what lives long makes Python's collector work."""
KEPT_WITHIN = 0.15
KEPT_WITHIN_WATCHED = 0.05
"""Seconds after which sealed records go to the store while requests keep coming in. Writing gives the interpreter away some
thirty times, however many are written: seldom, while nobody looks."""
AT_ONCE = 1000
"""No more are sealed before they go to the store."""
IDLE = 0.25
HOUSEKEEPING = 1.0
NOT_CLOSED_AFTER = 10.0
STUCK_AFTER = 5


numbers = count(1)
running: dict[int, Tape] = {}

waiting: deque[Tape] = deque()
"""Tapes of requests that are over, oldest first, until they are sealed."""
_chains: deque[LoadedChain] = deque(maxlen=100)
diversions: list[deque[Tape]] = []
"""Where finished tapes go instead: to the last of these."""
_wake = threading.Event()
asleep = True
"""Whoever hands over a tape is to wake the thread: it sleeps until then, or there is none yet."""
_dropped = 0
room = pacing.QUEUE_LIMIT
"""So many may wait now. Who is asked in every request looks by itself whether so many do, and calls ``full()`` only then."""
_turn_began = 0
_thread: threading.Thread | None = None
_outlets: Outlets | None = None
_starting = threading.Lock()


def connect(outlets: Outlets) -> None:
    """Say where records go. May be called again."""
    global _outlets
    _outlets = outlets


def full() -> bool:
    """There is no ``room``: is another request left out, and counted? Not where tapes are diverted, which do not wait."""
    global _dropped
    if diversions:
        return False
    _dropped += 1
    faults.note("recorder: queue", "it is full: more requests come in than can be recorded, and some are not")
    return True


def finish(tape: Tape) -> None:
    """A request is over; the first call counts. Appends and returns; never raises."""
    if tape.over(running):
        hand_over(tape)


def hand_over(tape: Tape) -> None:
    """The ``tape`` of a request that is over goes where such tapes go."""
    if diversions:
        diversions[-1].append(tape)
        return
    if len(waiting) >= room and full():
        clear(tape)
        return
    tape.rest()
    waiting.append(tape)
    if asleep or len(waiting) == BATCH:
        wake()


def wake() -> None:
    """There is something to do for the thread."""
    _wake.set()
    if _thread is None:
        _start()


def loaded(chain: LoadedChain) -> None:
    """A handler loaded its chain: describe and keep it soon."""
    _chains.append(chain)
    wake()


def dropped() -> int:
    """How many requests of this process were not recorded because the queue was full."""
    return _dropped


@contextmanager
def diverted() -> Iterator[deque[Tape]]:
    """While the block runs, finished tapes go to the yielded deque instead of the store."""
    kept: deque[Tape] = deque()
    diversions.append(kept)
    try:
        yield kept
    finally:
        diversions.remove(kept)


def settle() -> None:
    """Finish the tapes whose response was made but never closed (a handler called by hand)."""
    for tape in list(running.values()):
        if tape.end:
            finish(tape)


def flush(patience: float = 20.0) -> bool:
    """Wait until everything finished so far is in the store, ``patience`` seconds at most; False: it is not, or there is no
    thread to do it."""
    deadline = time.monotonic() + patience
    if waiting or _chains:
        wake()
    while (waiting or _chains or _busy.is_set()) and _thread is not None and time.monotonic() < deadline:
        _wake.set()
        time.sleep(0.002)
    return not (waiting or _chains or _busy.is_set())


# -- the thread -----------------------------------------------------------------------------------------------------

_busy = threading.Event()


def _start() -> None:
    global _thread
    with _starting:
        if _thread is None and _outlets is not None:
            _thread = threading.Thread(target=_run, name="pipeline-inspector-recorder", daemon=True)
            try:
                _thread.start()
            except RuntimeError as error:  # the system gives no more threads
                _thread = None
                faults.note("recorder: thread", error)


def _run() -> None:
    global asleep
    me = threading.current_thread()
    asleep = False
    try:
        keeper = Keeper()
        while _thread is me:
            try:
                keeper.turn()
            except Exception as error:
                faults.note("recorder", error)
                time.sleep(IDLE)
    except BaseException as error:
        faults.note("recorder: thread", error)
    finally:
        _end(me)


def _end(thread: threading.Thread) -> None:
    """The next finished request starts another thread."""
    global _thread, asleep
    if _thread is thread:
        _thread, asleep = None, True


def _complaint() -> faults.Fault | None:
    """What to tell of a turn that does not come to its end: a store that hangs cannot be told through the store."""
    began = _turn_began
    waited = (clock.now() - began) // 1_000_000_000 if began else 0
    if waited < STUCK_AFTER:
        return None
    told = f"the store has not answered for {waited} s; {len(waiting)} requests wait to be kept"
    return faults.Fault("recorder: store", told, 1, clock.wall())


faults.ask(_complaint)


class Keeper:
    """The recorder's work, turn by turn."""

    def __init__(self) -> None:
        self._plans: set[str] = set()
        self._rows_shown = False
        self._housekept = 0.0
        self._process: Process | None = None
        self._faults_told: list[tuple[int, bool]] = []
        self._sealed: list[Sealed] = []
        self._kept_at = 0.0
        self._watched = False
        self._pace = pacing.Pace(time.monotonic(), time.process_time())

    def turn(self) -> None:
        """One turn: what is queued is kept; then sleep, deeply when there is nothing to do."""
        global room, _turn_began
        outlets = _outlets
        if outlets is None:
            time.sleep(IDLE)
            return
        _busy.set()
        _turn_began = clock.now()
        before = time.thread_time()
        try:
            self._chains(outlets)
            worked = self._batch(outlets)
            self._keep(outlets)
            watched = self._watched = self._guarded("store", lambda: outlets.store().watched(), otherwise=False)
            if watched or self._rows_shown:
                self._show_running(outlets, watched=watched)
            if time.monotonic() - self._housekept > HOUSEKEEPING:
                self._housekeep(outlets)
        finally:
            _turn_began = 0
            if not self._sealed:
                _busy.clear()
        spent = time.thread_time() - before
        self._pace.worked(time.monotonic(), time.process_time(), spent, worked, SHARE_WATCHED if watched else SHARE)
        room = self._pace.room
        self._sleep(worked=worked, watched=watched, rest=max(self._pace.rest, spent if running else 0))

    def _sleep(self, *, worked: int, watched: bool, rest: float) -> None:
        global asleep
        if worked or self._sealed:
            if rest < PAUSE and len(waiting) < BATCH:
                _wake.wait(PAUSE)  # one sleep, not two: after each the interpreter must be won back from busy threads
            else:
                time.sleep(rest)
            _wake.clear()
            return
        asleep = True
        if not waiting and not _chains:
            _wake.wait(0.1 if watched else IDLE)
        asleep = False
        if _wake.is_set():
            _wake.clear()
            time.sleep(PAUSE)

    def _chains(self, outlets: Outlets) -> None:
        while _chains:
            plan = self._guarded("recorder: chain", _chains[0].plan)
            if plan is not None:
                self._guarded("store: chain", lambda plan=plan: outlets.store().put_plan(plan))  # type: ignore[misc]
                self._plans.add(plan.id)
            _chains.popleft()

    def _know(self, outlets: Outlets, chain: LoadedChain) -> None:
        """Keep ``chain``, once: whoever reads a row that names it finds it."""
        plan = self._guarded("recorder: chain", chain.plan)
        if plan is not None and plan.id not in self._plans:
            self._guarded("store: chain", lambda: outlets.store().put_plan(plan))
            self._plans.add(plan.id)

    def _batch(self, outlets: Outlets) -> int:
        count = min(MOST, len(waiting))
        if not count:
            return 0
        sealer = self._guarded("recorder: sealing", outlets.sealer)
        for number, tape in enumerate(_take(waiting, count), 1):
            if not number % AT_A_TIME and len(waiting) < BATCH + count - number:
                time.sleep(0)
            try:
                one = sealer.seal(tape)
                self._sealed.append(one)
                if one.plan_id not in self._plans:
                    self._know(outlets, tape.chain)
            except Exception as error:
                faults.note("recorder: sealing", error)
            clear(tape)
        return count

    def _keep(self, outlets: Outlets) -> None:
        """What is sealed goes to the store: in batches, or when it has waited, or when nothing else is to do."""
        sealed = self._sealed
        waited = time.monotonic() - self._kept_at
        within = KEPT_WITHIN_WATCHED if self._watched else KEPT_WITHIN
        if not sealed or (len(sealed) < AT_ONCE and waited < within and (running or waiting)):
            return
        self._sealed, self._kept_at = [], time.monotonic()
        self._tell_process(outlets)
        last = self._guarded("store: append", lambda: outlets.store().append(sealed))
        if last is not None:
            self._guarded("live: publish", lambda: outlets.publish(last))

    def _show_running(self, outlets: Outlets, *, watched: bool) -> None:
        rows = self._guarded("recorder: running", lambda: _rows(outlets), otherwise=[]) if watched else []
        if rows or self._rows_shown:
            for chain in {tape.chain for tape in list(running.values())}:
                self._know(outlets, chain)
            process = outlets.process().id
            self._guarded("store: running", lambda: outlets.store().put_running(process, rows))
        self._rows_shown = bool(rows)

    def _housekeep(self, outlets: Outlets) -> None:
        self._housekept = time.monotonic()
        limit = clock.now() - int(NOT_CLOSED_AFTER * 1e9)
        for tape in list(running.values()):
            if tape.end and tape.end < limit and not tape.streaming:
                finish(tape)
        seen = faults.seen()
        told = [(fault.count, fault.over) for fault in seen]
        if told != self._faults_told:
            self._guarded("store: faults", lambda: outlets.store().put_faults(outlets.process().id, seen))
            self._faults_told = told
        self._tell_process(outlets)

    def _tell_process(self, outlets: Outlets) -> None:
        """Keep what is known of this process where that is new: whoever reads a record of it finds the way it came."""
        before, self._process = self._process, self._guarded("recorder: process", outlets.process)
        if (process := self._process) is not None and process is not before:
            self._guarded("store: process", lambda: outlets.store().put_process(process))

    @staticmethod
    def _guarded(where: str, work: Callable[[], Any], otherwise: Any = None) -> Any:
        try:
            return work()
        except Exception as error:
            faults.note(where, error)
            return otherwise


def _rows(outlets: Outlets) -> list[Summary]:
    return outlets.sealer().rows(tape for tape in list(running.values()) if not tape.closed_at)


def clear(tape: Tape) -> None:
    """Let go of all that ``tape`` refers to. Its slots stay in number: cancelled work may still go on in a thread."""
    if tape.transport is not None:
        tape.transport.forget()
    tape.forget()


def _take(queue: deque[Tape], most: int) -> Iterable[Tape]:
    for _ in range(most):
        try:
            yield queue.popleft()
        except IndexError:
            return


def _after_fork() -> None:
    global _thread, _starting, asleep, _turn_began
    _thread, asleep, _turn_began = None, True, 0
    _starting = threading.Lock()
    _wake.clear()
    _busy.clear()
    while waiting:
        clear(waiting.popleft())
    running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
