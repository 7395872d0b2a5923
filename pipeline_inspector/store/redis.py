"""The store for many machines: a Redis server, everything under one prefix with the project's name.

One thread of each process asks the server a few times a second what all must know at once; what others ask cheaply is
answered from there. While the server cannot be reached, that thread alone tries again; everybody else works in memory.
Records that wait have numbers of this process; they, and what others wrote under the same numbers meanwhile, get new,
greater ones when the server is back, so that every reader meets everything after what it has seen.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Event, Lock, RLock, Thread
from typing import Any

import msgspec

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError(
        "the 'redis' package is not installed. Run: pip install 'django-pipeline-inspector[redis]'"
    ) from error

from pipeline_inspector import clock
from pipeline_inspector.faults import note
from pipeline_inspector.records import Sealed, Summary
from pipeline_inspector.store import forking, redis_scripts
from pipeline_inspector.store.base import PATIENCE, Control, StoreError, control_after
from pipeline_inspector.store.packing import Unreadable, pack_payload, pack_row, unpack, unpack_row
from pipeline_inspector.store.shelf import Shelf, merged
from pipeline_inspector.store.things import KEEP, LASTING, Kind, Thing, ThingStore
from pipeline_inspector.store.trouble import Trouble

_EVERY = 0.05
_CONNECT = 0.5
_ANSWER = 1.0
_CHUNK = 200
_PAGE = 200
_FAILURES = (redis.RedisError, OSError)


class RedisStore(ThingStore):
    """Keeps ``max_requests()`` records of ``project`` on the server at ``address`` (``redis://``, ``rediss://``, ``unix://``).

    Raises ``ValueError`` when ``address`` is malformed; nothing is connected before the first use.
    """

    def __init__(self, address: str, project: str, max_requests: Callable[[], int]) -> None:
        super().__init__()
        self._client: Any = redis.Redis.from_url(
            address,
            socket_connect_timeout=_CONNECT,
            socket_timeout=_ANSWER,
            retry=Retry(NoBackoff(), 0),
        )
        self.prefix = f"pipeline-inspector:{project}:"
        self._max_requests = max_requests
        self._append_script = self._client.register_script(redis_scripts.APPEND)
        self._prune_script = self._client.register_script(redis_scripts.PRUNE)
        self._put_script = self._client.register_script(redis_scripts.PUT)
        self._watch_script = self._client.register_script(redis_scripts.WATCH)
        self._swap_script = self._client.register_script(redis_scripts.SWAP)
        self._trouble = Trouble()
        self._waiting = Shelf()
        self._unsaved: dict[tuple[Kind, str], int] = {}
        self._last = self._until = self._changes = 0
        self._seen: int | None = None
        self._thread: Thread | None = None
        self._control, self._control_bytes = Control(), b""
        self._token = ""
        self._begin_anew()
        forking.mind(self)

    # -- records ------------------------------------------------------------------------------------------------------

    def append(self, batch: Sequence[Sealed]) -> int:
        if not batch:
            return self.last_seq()
        self._follow()
        if not self._writing.acquire(timeout=PATIENCE / 2):
            self._hold(batch)
            return batch[-1].summary.seq
        try:
            if self._waiting or not self._tried(lambda: self._send(batch)):
                self._hold(batch)
        finally:
            self._writing.release()
        return batch[-1].summary.seq

    def read(self, record_id: str) -> Sealed | None:
        return self._waiting.read(record_id) or self._tried(lambda: self._read(record_id))

    def after(self, seq: int, limit: int) -> list[Summary]:
        held = self._waiting.after(seq, limit)
        kept = _opened(
            self._tried(lambda: self._client.xrange(self._key("rows"), min=max(seq + 1, 0), count=limit)) or []
        )
        return merged(kept, held)[:limit] if held else kept

    def newest(self, before: int | None = None) -> Iterable[Summary]:
        held = self._waiting.before(before)
        yield from reversed(held)
        shown = {row.id for row in held}
        end: int | str = "+" if before is None else max(before - 1, 0)
        while page := self._tried(partial(self._client.xrevrange, self._key("rows"), max=end, count=_PAGE)):
            yield from (row for row in _opened(page) if row.id not in shown)
            end = _seq(page[-1]) - 1

    def last_seq(self) -> int:
        self._follow()
        return self._last

    def clear(self) -> None:
        self._waiting.clear()
        with self._client.pipeline() as steps:
            steps.xtrim(self._key("rows"), maxlen=0, approximate=False)
            steps.delete(self._key("numbers"), self._key("payloads"))
            self._demanded("records could not be cleared", steps.execute)

    def prune(self, keep: int) -> int:
        keys = [self._key(name) for name in ("rows", "numbers", "payloads")]
        return int(self._demanded("records could not be pruned", lambda: self._prune_script(keys, [keep])))

    # -- while it runs --------------------------------------------------------------------------------------------------

    def watch(self, seconds: float) -> None:
        self._until = max(self._until, clock.now() + int(seconds * 1e9))
        self._tried(lambda: self._watch_script([self._key("watched")], [int(seconds * 1000)]))

    def watched(self) -> bool:
        self._follow()
        return self._until > clock.now()

    # -- control --------------------------------------------------------------------------------------------------------

    def control_version(self) -> int:
        if self._thread is None:
            self._follow()
        return self._control.version

    def control(self) -> Control:
        self._follow()
        return self._control

    def change_control(self, edit: Callable[[Control], Control]) -> Control:
        deadline = clock.now() + int(PATIENCE / 2 * 1e9)
        while clock.now() < deadline:
            found = self._demanded(
                "switches could not be changed", lambda: self._client.get(self._key("control")) or b""
            )
            self._learn_control(found)
            state = control_after(edit, self._control)
            data = msgspec.json.encode(state)
            swap = [self._key("control")], [found, data]
            if self._demanded("switches could not be changed", partial(self._swap_script, *swap)):
                self._changes += 1
                self._learn_control(data)
                return self._control
        raise StoreError(f"The switches kept in {self.location()} change too often to be changed now. Try again.")

    # -- about itself ---------------------------------------------------------------------------------------------------

    def token(self) -> str:
        if not self._token:
            key, fresh = self._key("token"), secrets.token_urlsafe(32)
            self._demanded("API token could not be read", lambda: self._client.set(key, fresh, nx=True))
            self._token = self._demanded("API token could not be read", lambda: self._client.get(key)).decode()
        return self._token

    def problems(self) -> list[str]:
        self._follow()
        return [self._trouble.told(len(self._waiting), self._waiting.lost)] if self._trouble else []

    def location(self) -> str:
        where = self._client.connection_pool.connection_kwargs
        server = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"
        return f"Redis at {server}, database {where.get('db', 0)}, keys {self.prefix}*"

    def close(self) -> None:
        with self._starting:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None:
            thread.join(PATIENCE)
        if self._waiting or self._unsaved:
            with contextlib.suppress(*_FAILURES):
                self._catch_up()
        self._client.close()

    def before_fork(self) -> None:
        """The client itself knows when it is in a child."""

    def after_fork(self) -> None:
        """The following thread, and the records that wait, are the parent's."""
        self._waiting = Shelf()
        self._unsaved = {}
        self._begin_anew()

    # -- following the server ---------------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        self._writing, self._holding, self._starting = RLock(), Lock(), Lock()
        self._stop = Event()
        self._thread = None

    def _follow(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._stop = Event()
                    self._thread = Thread(target=self._followed, args=(self._stop,), daemon=True, name="pipeline-redis")
                    self._thread.start()

    def _followed(self, stop: Event) -> None:
        while True:
            try:
                self._poll()
                if self._trouble or self._waiting or self._unsaved:
                    self._catch_up()
            except _FAILURES as error:
                self._trouble.met(self._explained(error))
            except Exception as error:
                note("store: following Redis", error)
            if stop.wait(max(_EVERY, self._trouble.pause)):
                return

    def _poll(self) -> None:
        changes, last = self._changes, self._last
        with self._client.pipeline(transaction=False) as steps:
            steps.get(self._key("seq")).get(self._key("control")).pttl(self._key("watched"))
            seq, control, watched = steps.execute()
        if seq is None or (int(seq) < last and not self._trouble):
            self._tell_again()
        if not self._trouble:
            self._last = max(self._last, int(seq or 0))
        if control is None and self._control_bytes:
            self._client.set(self._key("control"), self._control_bytes, nx=True)
        if changes == self._changes:
            self._learn_control(control or b"")
        self._until = max(self._until, clock.now() + max(0, watched) * 1_000_000)

    def _learn_control(self, data: bytes) -> None:
        """Take over a state that is not the one known: its version here is greater than any before."""
        with self._holding:
            if not data or data == self._control_bytes:
                return
            try:
                state = msgspec.json.decode(data, type=Control)
            except msgspec.MsgspecError as error:
                note("store: reading", error)
                return
            version = state.version if state.version > self._control.version else self._control.version + 1
            self._control, self._control_bytes = msgspec.structs.replace(state, version=version), data

    def _tell_again(self) -> None:
        """The server knows less than this process: it was emptied. What this process told about itself is told again,
        and the numbers go on from where they were."""
        for kind in LASTING:
            for name in list(self._own[kind]):
                self._unsaved.setdefault((kind, name), clock.now())
        with self._writing:
            if not self._trouble and not self._waiting:
                self._send([])

    def _catch_up(self) -> bool:
        """Write all that waits, oldest first; then there is no trouble any more."""
        with self._writing:
            for (kind, name), at in list(self._unsaved.items()):
                own = self._own[kind].get(name)
                if own is not None:
                    self._put_script([self._key(kind), self._key(f"{kind}:at")], [name, own.body, KEEP[kind]])
                is_newest = self._own[kind].get(name) is own  # else it may have overwritten what was put meanwhile
                if is_newest and self._unsaved.get((kind, name)) == at:
                    del self._unsaved[kind, name]
            while waiting := self._waiting.all()[:_CHUNK]:
                self._send(waiting)
                self._waiting.discard(waiting)
            self._trouble.over()
            return True

    # -- talking to it ----------------------------------------------------------------------------------------------------

    def _send(self, records: Sequence[Sealed]) -> bool:
        values: list[Any] = [self._max_requests(), self._last if self._seen is None else self._seen, self._last]
        for sealed in records:
            payload = msgspec.msgpack.encode((sealed.plan_id, pack_payload(sealed.payload)))
            values += (sealed.summary.id, pack_row(sealed.summary), payload)
        given = self._append_script([self._key(name) for name in ("seq", "rows", "numbers", "payloads")], values)
        for sealed, seq in zip(records, given, strict=True):
            sealed.summary.seq = seq
        self._last, self._seen = max([self._last, *given]), None
        return True

    def _hold(self, batch: Sequence[Sealed]) -> None:
        with self._holding:
            self._seen = self._last if self._seen is None else self._seen
            for seq, sealed in enumerate(batch, self._last + 1):
                sealed.summary.seq = seq
            self._waiting.add(batch, self._max_requests())
            self._last += len(batch)

    def _read(self, record_id: str) -> Sealed | None:
        seq, payload = (
            self._client.hget(self._key("numbers"), record_id),
            self._client.hget(self._key("payloads"), record_id),
        )
        found = self._client.xrange(self._key("rows"), min=int(seq), max=int(seq)) if seq else []
        if not found or payload is None:
            return None
        try:
            plan_id, packed = msgspec.msgpack.decode(payload, type=tuple[str, bytes])
            return unpack(int(seq), found[0][1][b"row"], packed, plan_id)
        except (Unreadable, msgspec.MsgspecError) as error:
            note("store: reading", error)
            return None

    def _put(self, kind: Kind, name: str, body: bytes) -> None:
        self._follow()
        keys = [self._key(kind), self._key(f"{kind}:at")]
        if not self._tried(lambda: self._put_script(keys, [name, body, KEEP[kind]])):
            self._unsaved[kind, name] = clock.now()

    def _all(self, kind: Kind) -> list[Thing]:
        return self._tried(lambda: self._listed(kind)) or []

    def _listed(self, kind: Kind) -> list[Thing]:
        with self._client.pipeline() as steps:
            steps.time().zrevrange(self._key(f"{kind}:at"), 0, -1, withscores=True).hgetall(self._key(kind))
            (seconds, micros), times, bodies = steps.execute()
        now = seconds + micros / 1e6
        return [Thing(name.decode(), now - at / 1000, bodies[name]) for name, at in times if name in bodies]

    def _key(self, name: str) -> str:
        return self.prefix + name

    def _tried(self, work: Callable[[], Any]) -> Any:
        """What ``work`` returns; None while the server cannot be reached, at once when that is known."""
        self._follow()
        if self._trouble:
            return None
        try:
            return work()
        except _FAILURES as error:
            self._trouble.met(self._explained(error))
            return None

    def _demanded(self, what: str, work: Callable[[], Any]) -> Any:
        """What ``work`` returns; raises ``StoreError`` when the server cannot be reached."""
        self._follow()
        if not self._trouble:
            try:
                return work()
            except _FAILURES as error:
                self._trouble.met(self._explained(error))
        raise StoreError(f"The {what}: {self._trouble.message}")

    def _explained(self, error: Exception) -> str:
        password = self._client.connection_pool.connection_kwargs.get("password")
        reason = str(error).replace(password, "***") if password else str(error)
        return f"{self.location()} does not answer as it should: {reason}. Look whether the server runs and STORE names it."


def _seq(entry: tuple[bytes, dict[bytes, bytes]]) -> int:
    return int(entry[0].partition(b"-")[0])


def _opened(entries: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Summary]:
    found = []
    for entry in entries:
        try:
            found.append(unpack_row(entry[1][b"row"], _seq(entry)))
        except Unreadable as error:
            note("store: reading", error)
    return found
