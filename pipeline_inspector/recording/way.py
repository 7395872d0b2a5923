"""The stamps of the way between server and handler for one request. ``compiled_half/`` does the same in C."""

from typing import TYPE_CHECKING, Any

from pipeline_inspector import clock, compiled
from pipeline_inspector.recording.moments import FIRST_BYTE, OF_WAY

_now = clock.now


class PureWay:
    """``source`` is a request's WSGI environ or ASGI scope, which identifies it. Stamps are 0 until they are written.

    What is not written yet is read from the class: a new one costs what is written into it.
    """

    source: Any = None
    start_response: Any = None
    tape: Any = None
    script_prefix: str = ""
    called = prefixed = started = response_started = first_byte = last_byte = 0
    chunks = sent = 0
    chunk_stamps: Any = ()

    @classmethod
    def arrived(cls, source: Any, start_response: Any) -> Any:
        """The way of a request that was handed in now, with ``source`` and, under WSGI, ``start_response``."""
        way = cls()
        way.called = _now()
        way.source = source
        way.start_response = start_response
        return way

    def forget(self) -> None:
        """Let go of the request: tasks that outlive it may hold on to this."""
        self.tape = self.source = None

    def stamp(self, moment: int) -> None:
        """It is now: a number of ``OF_WAY``. A body begins once, and when the response was started."""
        if moment != FIRST_BYTE or (self.response_started and not self.first_byte):
            setattr(self, OF_WAY[moment], _now())

    def starting(self, status: Any, headers: Any, *failure: Any) -> Any:
        """In the place of WSGI's ``start_response``."""
        self.response_started = _now()
        start = self.start_response
        return start(status, headers, *failure) if failure else start(status, headers)


if TYPE_CHECKING:
    Way = PureWay
else:
    Way = getattr(compiled.half, "Way", PureWay)
