"""Where the recorder's work goes, and who does it: what it knows of a sealer and of a store."""

from collections.abc import Callable, Iterable
from typing import Protocol

from pipeline_inspector import faults
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import Plan, Process, Sealed, Summary


class Sealing(Protocol):
    """What the recorder needs of a sealer."""

    def seal(self, tape: Tape) -> Sealed:
        """The tape as plain data."""

    def rows(self, tapes: Iterable[Tape]) -> list[Summary]:
        """The rows of running requests."""


class Keeping(Protocol):
    """What the recorder needs of a store."""

    def append(self, batch: list[Sealed]) -> int:
        """Keep the batch."""

    def put_plan(self, plan: Plan) -> None:
        """Keep a chain."""

    def put_process(self, process: Process) -> None:
        """Keep what is known of this process."""

    def put_running(self, process: str, rows: list[Summary]) -> None:
        """Replace the rows of running requests."""

    def put_faults(self, process: str, faults: list[faults.Fault]) -> None:
        """Replace what failed."""

    def watched(self) -> bool:
        """Does anybody look?"""


class Outlets:
    """Where the recorder's work goes: given once by the wiring, asked for when it is needed."""

    def __init__(
        self,
        sealer: Callable[[], Sealing],
        store: Callable[[], Keeping],
        publish: Callable[[int], None],
        process: Callable[[], Process],
    ) -> None:
        self.sealer = sealer
        self.store = store
        self.publish = publish
        self.process = process
