"""Records in tests: what a block of code sent through the pipeline, without a server and without a store.

from pipeline_inspector.testing import record_pipeline

with record_pipeline() as records:
    client.get("/")
assert records[0].layers[0].outcome == "passed"
"""

import gc
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

from asgiref.sync import iscoroutinefunction
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.test.client import AsyncClientHandler

from pipeline_inspector import wiring
from pipeline_inspector.assembly.record import assemble
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import RequestRecord


class Records(Sequence[RequestRecord]):
    """The records made so far, oldest first; grows while the block runs."""

    def __init__(self, tapes: "deque[Tape]", since: int) -> None:
        self._tapes = tapes
        self._since = since
        self._made: list[RequestRecord] = []

    def _all(self) -> list[RequestRecord]:
        while self._tapes:
            tape = self._tapes.popleft()
            if tape.number < self._since:
                continue
            plan = tape.chain.plan()
            sealed = wiring.sealer().seal(tape)
            sealed.summary.seq = len(self._made) + 1
            recorder.clear(tape)
            self._made.append(assemble(sealed, plan))
        return self._made

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> RequestRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[RequestRecord]: ...
    def __getitem__(self, index: int | slice) -> RequestRecord | list[RequestRecord]:
        return self._all()[index]

    def __repr__(self) -> str:
        return f"<{len(self)} records: {', '.join(f'{r.request.method} {r.request.path}' for r in self)}>"

    def wait(self, count: int, seconds: float = 5.0) -> "Records":
        """Wait until there are ``count`` records (a server's thread may close a response after the client has it).

        Raises ``TimeoutError`` after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while len(self) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self)} of {count} records after {seconds} s: {self!r}")
            time.sleep(0.005)
        return self


@contextmanager
def record_pipeline() -> Iterator[Records]:
    """Record every request of this process that runs inside the block, whatever ``DEBUG`` and ``ENABLED`` say.

    Gives the growing list of records. Handlers that loaded their middleware before (a client used earlier, a live server)
    load it again, so that their layers are seen.
    """
    wiring.force(on=True)
    try:
        with recorder.diverted() as tapes:
            _reload_handlers()
            records = Records(tapes, since=next(recorder.numbers))
            try:
                yield records
            finally:
                recorder.settle()
                len(records)
    finally:
        wiring.force(on=False)


def _reload_handlers() -> None:
    if not _not_watched():
        return
    gc.collect()  # a handler that nobody has any more would make all its layers anew
    for found in _not_watched():
        is_async = isinstance(found, ASGIHandler | AsyncClientHandler) or iscoroutinefunction(found._middleware_chain)
        found.load_middleware(is_async=is_async)


def _not_watched() -> list[Any]:
    """Handlers that loaded their middleware without us. By their types: a proxy may be asked nothing."""
    handlers: list[Any] = [found for found in gc.get_objects() if issubclass(type(found), BaseHandler)]
    loaded = [(found, found._middleware_chain) for found in handlers]
    return [found for found, chain in loaded if chain is not None and not getattr(chain, "_pipeline_inspector", False)]
