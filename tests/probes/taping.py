"""A tape in hand without a request's way through Django: what one probe writes while a block of code runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import RequestFactory

from pipeline_inspector.recording.tape import Tape, current


@contextmanager
def taping() -> Iterator[Tape]:
    """The tape that the code of the block writes on; closed for writing at the end of the block."""
    tape = Tape(None, [], 1, RequestFactory().get("/"))
    token = current.set(tape)
    try:
        yield tape
    finally:
        tape.open = False
        current.reset(token)


def events(tape: Tape, kind: int) -> list[tuple[Any, ...]]:
    """What the tape holds of one kind, without the kind, in the order written."""
    return [event[1:] for event in tape.events if event[0] == kind]
