"""The stamps of the way between server and handler for one request. ``_compiled.c`` holds the same once more, compiled."""

from typing import TYPE_CHECKING, Any

from pipeline_inspector import clock, compiled

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

    def stamp_started(self) -> None:
        """``request_started`` is sent now."""
        self.started = _now()

    def stamp_prefixed(self, prefix: str) -> None:
        """The script prefix was set to ``prefix``."""
        self.prefixed = _now()
        self.script_prefix = prefix

    def stamp_first_byte(self) -> None:
        """The body begins, when the response was started and it is the first time."""
        if self.response_started and not self.first_byte:
            self.first_byte = _now()

    def starting(self, status: Any, headers: Any, *failure: Any) -> Any:
        """In the place of WSGI's ``start_response``."""
        self.response_started = _now()
        start = self.start_response
        return start(status, headers, *failure) if failure else start(status, headers)


if TYPE_CHECKING:
    Way = PureWay
else:
    Way = getattr(compiled.half, "Way", PureWay)
