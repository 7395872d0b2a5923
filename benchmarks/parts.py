"""Where each microsecond of the request path goes: eight stock layers, with one part after the other left out.

Every stage is a process of its own, and they take turns: a part costs what the next stage takes less, the last one beside
the bare site. Measured as ``benchmarks.alone`` does.
"""

import json
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise

from benchmarks.alone import answer, by_turns


def _server() -> None:
    from django.core.handlers import wsgi
    from django.core.signals import request_started
    from django.http import HttpResponse

    for owner, name in ((wsgi.WSGIHandler, "__call__"), (wsgi, "set_script_prefix"), (HttpResponse, "__iter__")):
        setattr(owner, name, getattr(owner, name).__wrapped__)
    request_started.disconnect(dispatch_uid="pipeline_inspector.started")


def _closing() -> None:
    from django.core.signals import request_finished

    request_finished.disconnect(dispatch_uid="pipeline_inspector.finished")


def _unwrapped(name: str) -> None:
    from django.core.handlers.base import BaseHandler

    setattr(BaseHandler, name, getattr(BaseHandler, name).__wrapped__)


def _hooks() -> None:
    from pipeline_inspector.probes import hooks

    hooks._timed = lambda hook, *_: hook


def _seams() -> None:
    from pipeline_inspector.probes import layers

    layers.seam = lambda get_response, chain, position, inward, convert=layers._convert: convert(get_response)


PARTS: dict[str, Callable[[], None]] = {
    "between server and handler: entry, script prefix, `request_started`, start of the response, first byte": _server,
    "`request_finished`, putting the tape into the queue": _closing,
    "resolver": lambda: _unwrapped("resolve_request"),
    "view": lambda: _unwrapped("make_view_atomic"),
    "`process_view` hook": _hooks,
    "seams of eight layers and the core, what changed at them": _seams,
}
REST = "the outermost and the innermost middleware: opening the tape, answer and attributes when the chain is through"


def parts() -> dict[str, float]:
    """Microseconds by part, the rest, and last what all of it takes."""
    stages = [*(str(left_out) for left_out in range(len(PARTS) + 1)), "bare"]
    middle = [statistics.median(times) for times in by_turns([(("benchmarks.parts", stage), {}) for stage in stages])]
    costs = [one - other for one, other in pairwise(middle)]
    return {**dict(zip([*PARTS, REST], costs, strict=True)), "all of it": middle[0] - middle[-1]}


def _leave_out(number: int) -> None:
    for leave_out in list(PARTS.values())[:number]:
        leave_out()


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            json.dump(parts(), sys.stdout)
        case ["bare"]:
            answer("bare", "wsgi")
        case [left_out]:
            answer("inspector", "wsgi", lambda: _leave_out(int(left_out)))
