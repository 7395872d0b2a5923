"""The resolver: when it ran, what it matched, what it tried. Read from what Django itself found, never resolved twice."""

from functools import cache, wraps
from typing import Any

from django.core.handlers.base import BaseHandler
from django.urls import Resolver404

from pipeline_inspector import faults
from pipeline_inspector.probes.base import met
from pipeline_inspector.recording.moments import RESOLVE_END, RESOLVE_START
from pipeline_inspector.recording.tape import Tape


@cache
def install() -> None:
    """Watch the resolver."""
    original = BaseHandler.resolve_request

    @wraps(original)
    def resolve_request(self: Any, request: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            tape = None
        if tape is None:
            return original(self, request)
        tape.urlconf = getattr(request, "urlconf", None)
        tape.stamp(RESOLVE_START)
        try:
            match = original(self, request)
        except Exception as error:
            tape.stamp(RESOLVE_END)
            met(tape, error, ("resolver", 0))
            _keep_tried(tape, error)
            raise
        tape.stamp(RESOLVE_END)
        tape.match = match
        return match

    BaseHandler.resolve_request = resolve_request  # type: ignore[method-assign]


def _keep_tried(tape: Tape, error: Exception) -> None:
    try:
        if isinstance(error, Resolver404) and error.args and isinstance(error.args[0], dict):
            tape.tried = error.args[0].get("tried")
    except Exception as fault:
        faults.note("probes: resolver", fault)
