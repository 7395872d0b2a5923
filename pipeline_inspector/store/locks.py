"""One process at a time: an advisory lock on a small file, free again the moment its holder ends or dies."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_inspector import clock

_PAUSE = 0.001

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _give(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def held(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock that ``path`` stands for, alone of all threads and processes.

    Raises ``TimeoutError`` when another holds it for longer than ``patience`` seconds, and other ``OSError`` when the file
    cannot be opened.
    """
    deadline = clock.now() + int(patience * 1e9)
    while (descriptor := _try(path)) is None:
        if clock.now() >= deadline:
            raise TimeoutError(f"Another process has held the lock {path} for more than {patience:g} s.")
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        _give(descriptor)  # a child forked meanwhile holds a copy of the descriptor: closing alone would not free it
        os.close(descriptor)


def _try(path: Path) -> int | None:
    """The descriptor that holds the lock, or None when another holds it or the file was replaced under our hands."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
