"""What all processes of one machine must know at once, in one small mapped file: reading it is reading memory.

The file holds three numbers (control version, last ``seq``, watched-until), the API token and the control state. It is
written in place and never grows, so switches work while the database is locked, damaged or its disk is full. Of the
control state there are two copies: a change goes to the one not in force, then the version moves, so a reader never sees
half a change. Where no file can be had, the same bytes live in this process's memory, and ``problem`` says why.
"""

import contextlib
import mmap
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from pipeline_inspector import clock
from pipeline_inspector.store.base import PATIENCE, Control, StoreError, control_after
from pipeline_inspector.store.folders import make_private
from pipeline_inspector.store.locks import held

_MAGIC = b"PipeInS1"
_VERSION, _SEQ, _UNTIL = 1, 2, 3
_TOKEN = 64
_TOKEN_SIZE = 64
_HALF = 64 * 1024
_STATES = (4096, 4096 + _HALF)
_SIZE = 4096 + 2 * _HALF
_SETTLE = 0.5


class _Private:
    """The bytes in this process alone."""

    def __init__(self) -> None:
        self._bytes = bytearray(_SIZE)
        self.view = memoryview(self._bytes).toreadonly()

    def write(self, offset: int, data: bytes) -> None:
        self._bytes[offset : offset + len(data)] = data

    def same(self, path: Path) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""


class _Mapped:
    """The bytes of the file: read through the map, written through the descriptor (a full disk is then an error and not
    a signal that kills)."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            self._identity = os.fstat(self._descriptor)
            self.view = memoryview(mmap.mmap(self._descriptor, _SIZE, access=mmap.ACCESS_READ))
        except BaseException:
            os.close(self._descriptor)
            raise

    if sys.platform == "win32":
        _lock = Lock()

        def write(self, offset: int, data: bytes) -> None:
            with self._lock:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                os.write(self._descriptor, data)
    else:

        def write(self, offset: int, data: bytes) -> None:
            os.pwrite(self._descriptor, data, offset)

    def same(self, path: Path) -> bool:
        try:
            return os.path.samestat(self._identity, path.stat())
        except OSError:
            return False

    def close(self) -> None:
        os.close(self._descriptor)  # the map itself goes when its last reader lets go of it


class _Unopened:
    """Stands for the numbers until somebody asks for one."""

    def __init__(self, opened: Callable[[], "memoryview[int]"]) -> None:
        self._opened = opened

    def __getitem__(self, index: int) -> int:
        return self._opened()[index]


class Shared:
    """The mapped file at ``path``; nothing is touched before the first use. ``numbers`` is what the request path reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        self.numbers: memoryview[int] | _Unopened = _Unopened(self._numbers)
        self._memory: _Private | _Mapped | None = None
        self._known: tuple[_Private | _Mapped | None, Control] = (None, Control())
        self._lock = Lock()
        self._looked_at = 0
        self._order = self._beside("order")

    # -- numbers ------------------------------------------------------------------------------------------------------

    def last_seq(self) -> int:
        """The greatest ``seq`` given so far."""
        self._look()
        return self.numbers[_SEQ]

    def gave(self, seq: int) -> None:
        """All numbers up to ``seq`` are given. Call it inside ``numbering()``."""
        if seq > self.numbers[_SEQ]:
            self._write(8 * _SEQ, seq.to_bytes(8, sys.byteorder))

    @contextlib.contextmanager
    def numbering(self, patience: float) -> Iterator[None]:
        """Alone of all processes while numbers are given; where the lock cannot be had, alone of nobody."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                stack.enter_context(held(self._order, patience))
            yield

    def watch(self, seconds: float) -> None:
        """Somebody looks, for that long."""
        until = clock.wall() + int(seconds * 1e9)
        if until > self.numbers[_UNTIL]:
            self._write(8 * _UNTIL, until.to_bytes(8, sys.byteorder))

    def watched(self) -> bool:
        """Does somebody look?"""
        self._look()
        return self.numbers[_UNTIL] > clock.wall()

    # -- control and token --------------------------------------------------------------------------------------------

    def control(self) -> Control:
        """The control state in force; all on when what the file holds cannot be read."""
        known_in, known = self._known
        while True:
            memory, version = self._opened(), self.numbers[_VERSION]
            if memory is known_in and version == known.version:
                return known
            data = _state(memory.view, version)
            if memory is self._memory and version == self.numbers[_VERSION]:
                state = _decoded(data, version)
                self._known = (memory, state)
                return state

    def change(self, edit: Callable[[Control], Control]) -> Control:
        """Put what ``edit`` makes of the state into force, alone of all processes. Raises ``StoreError``."""
        self.check()
        try:
            with self._alone():
                state = control_after(edit, self.control(), self.numbers[_VERSION])
                self._put_control(self._opened(), state)
                return state
        except OSError as error:
            raise StoreError(
                f"The switches kept in {self.path} could not be changed: {error}. Look at what holds the file."
            ) from error

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        return held(self._beside("lock"), PATIENCE) if isinstance(self._opened(), _Mapped) else self._lock

    def token(self) -> str:
        """The API token."""
        self._look()
        return _token(self._opened().view)

    # -- the file -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Open the file anew when it was deleted or replaced, or could not be opened before."""
        self._looked_at = clock.now()
        memory = self._memory
        if memory is None or not memory.same(self.path):
            self._open(memory)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            memory = self._memory
            if isinstance(memory, _Mapped):
                self.numbers, self._memory = _Unopened(self._numbers), None
                memory.close()

    def after_fork(self) -> None:
        """In the child: a lock that another thread of the parent held would never be freed."""
        self._lock = Lock()

    def _look(self) -> None:
        if clock.now() - self._looked_at > _SETTLE * 1e9:
            self.check()

    def _opened(self) -> _Private | _Mapped:
        memory = self._memory
        return self._open(None) if memory is None else memory

    def _numbers(self) -> "memoryview[int]":
        return self._opened().view.cast("Q")

    def _open(self, before: _Private | _Mapped | None) -> _Private | _Mapped:
        with self._lock:
            if self._memory is not None and self._memory is not before:
                return self._memory
            memory: _Private | _Mapped
            try:
                memory = self._map(before)
                self.problem = None
            except OSError as error:
                self.problem = (
                    f"{self.path} cannot be used ({error.strerror or error}): switches, and the list, are those of each "
                    "process alone. Make the folder writable, or set STORE to another path."
                )
                memory = before if isinstance(before, _Private) else self._begun(_Private(), before)
            self._memory, self.numbers = memory, memory.view.cast("Q")
            if isinstance(before, _Mapped) and memory is not before:
                before.close()
            return memory

    def _map(self, before: _Private | _Mapped | None) -> _Mapped:
        make_private(self.path.parent)
        with held(self._beside("lock"), PATIENCE / 4):
            if not self._usable():
                self._create(before)
                return _Mapped(self.path)
            memory = _Mapped(self.path)
            if before is not None:
                self._carry(before, memory)
            return memory

    def _usable(self) -> bool:
        try:
            with self.path.open("rb") as file:
                return file.read(len(_MAGIC)) == _MAGIC and os.fstat(file.fileno()).st_size == _SIZE
        except FileNotFoundError:
            return False

    def _create(self, before: _Private | _Mapped | None) -> None:
        """A new file, whole from its first moment."""
        fresh = self._begun(_Private(), before)
        unfinished = self._beside("new")
        unfinished.unlink(missing_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(fresh.view)
        unfinished.replace(self.path)

    def _begun(self, memory: _Private, before: _Private | _Mapped | None) -> _Private:
        """First content: that of ``before``, or a new token and nothing else."""
        memory.write(0, _MAGIC)
        token = _token(before.view) if before else secrets.token_urlsafe(32)
        memory.write(_TOKEN, token.encode())
        if before is not None:
            self._carry(before, memory)
        return memory

    def _carry(self, before: _Private | _Mapped, memory: _Private | _Mapped) -> None:
        """Numbers only ever rise, also when the file is another one; what is off stays off."""
        old, new = before.view.cast("Q"), memory.view.cast("Q")
        for index in (_SEQ, _UNTIL):
            memory.write(8 * index, max(old[index], new[index]).to_bytes(8, sys.byteorder))
        source = memory if new[_VERSION] else before
        state = _decoded(_state(source.view, source.view.cast("Q")[_VERSION]), 0)
        self._put_control(memory, control_after(lambda _: state, state, max(old[_VERSION], new[_VERSION])))

    def _put_control(self, memory: _Private | _Mapped, state: Control) -> None:
        data = msgspec.json.encode(state)
        if len(data) > _HALF - 4:
            raise StoreError(f"The switches take {len(data)} bytes, more than the {_HALF - 4} that fit. Reset them.")
        memory.write(_STATES[state.version & 1], len(data).to_bytes(4, "little") + data)
        memory.write(8 * _VERSION, state.version.to_bytes(8, sys.byteorder))

    def _write(self, offset: int, data: bytes) -> None:
        try:
            memory = self._opened()
            memory.write(offset, data)
            if isinstance(memory, _Mapped):
                self.problem = None
        except OSError as error:
            self.problem = f"{self.path} cannot be written ({error.strerror or error}). Free some space on its disk."

    def _beside(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{name}")


def _token(view: memoryview) -> str:
    return bytes(view[_TOKEN : _TOKEN + _TOKEN_SIZE]).rstrip(b"\0").decode("ascii", "replace")


def _state(view: memoryview, version: int) -> bytes:
    start = _STATES[version & 1]
    size = int.from_bytes(view[start : start + 4], "little")
    return bytes(view[start + 4 : start + 4 + min(size, _HALF - 4)])


def _decoded(data: bytes, version: int) -> Control:
    try:
        return msgspec.json.decode(data, type=Control)
    except msgspec.MsgspecError:
        return Control(version)
