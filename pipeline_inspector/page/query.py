"""What a query string asks for: the rows wanted, from where, how many. One table for pages, API and live.

``PARAMETERS`` is also what the OpenAPI description is made from, so that it cannot say anything else.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict

from pipeline_inspector.page.responses import Refused
from pipeline_inspector.reader import Filter

LIMIT = 100
LIMIT_MAX = 1000
SEQ_MAX = 2**63 - 1
TEXT_MAX = 200

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_STATUS = re.compile(r"[1-5]([0-9][0-9]|[xX][xX])|running|finished|aborted")


@dataclass(frozen=True)
class Parameter:
    """One name a query string may hold: what it means, its JSON schema (empty text says nothing, everywhere), and how its
    text is read (None: not usable)."""

    means: str
    schema: dict[str, Any]
    read: Callable[[str], Any]


def _whole(low: int, high: int) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        if not re.fullmatch(r"[0-9]{1,19}", text):
            return None
        return int(text) if low <= int(text) <= high else None

    return read


def _milliseconds(text: str) -> float | None:
    if len(text) > 60 or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) and 0 <= value <= 1e9 else None


def _text(text: str) -> str | None:
    return text if len(text) <= TEXT_MAX else None


def _words(means: str) -> Parameter:
    return Parameter(means, {"type": "string", "maxLength": TEXT_MAX}, _text)


def _or_empty(kind: str, low: int, high: int) -> dict[str, Any]:
    return {"type": [kind, "string"], "minimum": low, "maximum": high, "maxLength": 0}


def _integer(means: str, low: int, high: int, **more: Any) -> Parameter:
    return Parameter(means, _or_empty("integer", low, high) | more, _whole(low, high))


FILTERS: dict[str, Parameter] = {
    "method": _words("The HTTP method, regardless of case."),
    "path": _words("A part of the path, regardless of case."),
    "status": Parameter(
        "A status (`404`), a class of them (`5xx`), or a state.",
        {"type": "string", "pattern": "^([1-5]([0-9][0-9]|[xX][xX])|running|finished|aborted|)$"},
        lambda text: text if _STATUS.fullmatch(text) else None,
    ),
    "min_ms": Parameter("At least this many milliseconds long.", _or_empty("number", 0, 10**9), _milliseconds),
    "layer": _words("The id or the class name of a layer that the request went through."),
    "view": _words("A part of the view's name, regardless of case."),
    "exception": _words("A part of the exception's type, regardless of case."),
}

PARAMETERS: dict[str, Parameter] = {
    "after": _integer("Only requests with a greater `seq`, oldest first. Without it: the newest.", 0, SEQ_MAX),
    "limit": _integer("At most this many requests.", 1, LIMIT_MAX, default=LIMIT),
    **FILTERS,
}

_PAGE_ONLY: dict[str, Parameter] = {
    "before": _integer("Only requests with a smaller `seq`.", 0, SEQ_MAX),
    "paused": Parameter("Only count what is new.", {"type": "string"}, lambda text: text == "1"),
}


class Asked(msgspec.Struct, frozen=True):
    """What a query string asks for; ``None`` where it says nothing."""

    wanted: Filter = Filter()
    after: int | None = None
    before: int | None = None
    limit: int = LIMIT
    paused: bool = False


def parameters(request: HttpRequest) -> QueryDict:
    """The query string, taken apart. Raises ``Refused`` (400) when that cannot be done."""
    try:
        return request.GET
    except (TooManyFieldsSent, ValueError) as error:
        raise Refused(400, "bad_query", f"The query string cannot be read: {error}") from error


def read(given: QueryDict, *, strict: bool = False) -> Asked:
    """What ``given`` asks for; an empty value says nothing. Raises ``Refused`` (400) at a value that does not fit, and
    with ``strict`` at a name that is not in ``PARAMETERS`` or that is given twice."""
    known = PARAMETERS if strict else {**PARAMETERS, **_PAGE_ONLY}
    if strict:
        _check_names(given, known)
    found: dict[str, Any] = {}
    for name, parameter in known.items():
        text = given.get(name, "")
        if text:
            value = parameter.read(text)
            if value is None:
                raise Refused(
                    400, "bad_parameter", f"{name} is {text[:80]!r}. {parameter.means} It takes {_rule(parameter)}."
                )
            found[name] = value
    wanted = Filter(**{name: found.pop(name) for name in FILTERS if name in found})
    return Asked(wanted=wanted, **found)


def _check_names(given: QueryDict, known: dict[str, Parameter]) -> None:
    for name, values in given.lists():
        if name not in known:
            raise Refused(400, "unknown_parameter", f"No parameter {name[:80]!r}. Known: {', '.join(known)}.")
        if len(values) > 1:
            raise Refused(400, "bad_parameter", f"{name} is given {len(values)} times; once is enough.")


def _rule(parameter: Parameter) -> str:
    schema = parameter.schema
    if "minimum" in schema:
        return f"a number ({schema['type'][0]}) from {schema['minimum']} to {schema['maximum']}"
    return f"text like {schema['pattern']}" if "pattern" in schema else f"at most {TEXT_MAX} characters"


def as_text(wanted: Filter) -> str:
    """``wanted`` as a query string without its question mark: only what is asked, in a fixed order."""
    query = QueryDict(mutable=True)
    for name in FILTERS:
        value = getattr(wanted, name)
        if value:
            query[name] = f"{value:g}" if isinstance(value, float) else value
    return query.urlencode()
