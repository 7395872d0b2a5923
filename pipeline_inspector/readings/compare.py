"""Two requests side by side: what differs, layer by layer, in headers, in queries and in the facts of the request."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import msgspec

from pipeline_inspector.records import Change, Layer, RequestRecord

_Item = TypeVar("_Item", bound=Hashable)

REMARKABLE_NS = 100_000
"""A layer whose time differs by more than this, and by half, is marked."""


_LITERALS = re.compile(r"'(?:[^']|'')*'|(?<![\w\"$])\d+(?:\.\d+)?\b|%s|%\(\w+\)s")
_LISTS = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")


class Difference(msgspec.Struct, frozen=True):
    """One named value in both requests; None where a request has none."""

    name: str
    a: str | None
    b: str | None

    @property
    def differs(self) -> bool:
        """Are the two unlike?"""
        return self.a != self.b


class LayerPair(msgspec.Struct):
    """One layer in both requests; None where its chain does not have it. Times ``b`` minus ``a``, nanoseconds."""

    id: str
    name: str
    a: Layer | None
    b: Layer | None
    in_diff_ns: int = 0
    out_diff_ns: int = 0
    outcome_differs: bool = False
    in_differs: bool = False
    out_differs: bool = False
    only_a: list[Change] = []
    only_b: list[Change] = []

    @property
    def a_ran(self) -> bool:
        """Did request ``a`` go through it?"""
        return self.a is not None and _ran(self.a)

    @property
    def b_ran(self) -> bool:
        """Did request ``b`` go through it?"""
        return self.b is not None and _ran(self.b)

    @property
    def differs(self) -> bool:
        """Is anything about this layer worth a look?"""
        return self.outcome_differs or self.in_differs or self.out_differs or bool(self.only_a or self.only_b)


class QueryDifference(msgspec.Struct):
    """One statement, numbers and texts in it replaced by ``?``: how often and how long together it ran in each request."""

    sql: str
    count_a: int = 0
    count_b: int = 0
    ns_a: int = 0
    ns_b: int = 0

    @property
    def differs(self) -> bool:
        """Did one request run it more often?"""
        return self.count_a != self.count_b


class Comparison(msgspec.Struct):
    """All that two requests have and do not have in common."""

    facts: list[Difference]
    layers: list[LayerPair]
    request_headers: list[Difference]
    response_headers: list[Difference]
    queries: list[QueryDifference]


def compare(a: RequestRecord, b: RequestRecord) -> Comparison:
    """The comparison of ``a`` and ``b``; every list is whole, like entries included."""
    return Comparison(
        facts=_facts(a, b),
        layers=_layers(a, b),
        request_headers=headers(a.request.headers, b.request.headers),
        response_headers=headers(
            a.response.headers if a.response else [],
            b.response.headers if b.response else [],
        ),
        queries=_queries(a, b),
    )


def headers(a: Iterable[tuple[str, str]], b: Iterable[tuple[str, str]]) -> list[Difference]:
    """Headers of both by name, without regard to case; several of one name are joined by a line break."""
    left, right = _by_name(a), _by_name(b)
    shown = {name.lower(): name for name in [*right, *left]}
    lower_a = {name.lower(): value for name, value in left.items()}
    lower_b = {name.lower(): value for name, value in right.items()}
    return [Difference(shown[key], lower_a.get(key), lower_b.get(key)) for key in merged(list(lower_a), list(lower_b))]


def merged(a: Sequence[_Item], b: Sequence[_Item]) -> list[_Item]:
    """All items of both once: in the order of ``a``, those only in ``b`` behind what stands before them there."""
    order = list(dict.fromkeys(a))
    known = set(order)
    place = 0
    for item in dict.fromkeys(b):
        if item in known:
            place = order.index(item) + 1
        else:
            order.insert(place, item)
            place += 1
    return order


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = defaultdict(list)
    shown: dict[str, str] = {}
    for name, value in pairs:
        found[shown.setdefault(name.lower(), name)].append(value)
    return {name: "\n".join(values) for name, values in found.items()}


def _facts(a: RequestRecord, b: RequestRecord) -> list[Difference]:
    left, right = _told(a), _told(b)
    return [Difference(name, left[name], right[name]) for name in left]


def _told(record: RequestRecord) -> dict[str, str | None]:
    return {
        "Request": f"{record.request.method} {record.request.path}",
        "Query string": record.request.query or None,
        "Status": str(record.response.status) if record.response else None,
        "Route": (record.route.name or record.route.pattern) if record.route else None,
        "URLconf": record.route.urlconf if record.route else None,
        "View": record.view.name if record.view else None,
        "Exception": record.exception.type if record.exception else None,
        "Queries": str(len(record.queries)),
        "Templates": str(len(record.templates)),
        "Interface": record.server.interface,
        "Process": str(record.server.pid),
        "Switched off": ", ".join(record.toggles) or None,
    }


def _layers(a: RequestRecord, b: RequestRecord) -> list[LayerPair]:
    left = {layer.id: layer for layer in a.layers}
    right = {layer.id: layer for layer in b.layers}
    return [_pair(key, left.get(key), right.get(key)) for key in merged(list(left), list(right))]


def _pair(layer_id: str, a: Layer | None, b: Layer | None) -> LayerPair:
    name = next((layer.name for layer in (b, a) if layer and layer.name), layer_id.rpartition(".")[2])
    if a is None or b is None:
        return LayerPair(layer_id, name, a, b, outcome_differs=True)
    both_ran = _ran(a) and _ran(b)
    return LayerPair(
        layer_id,
        name,
        a,
        b,
        in_diff_ns=b.in_ns - a.in_ns,
        out_diff_ns=b.out_ns - a.out_ns,
        outcome_differs=a.outcome != b.outcome,
        in_differs=both_ran and _remarkable(a.in_ns, b.in_ns),
        out_differs=both_ran and _remarkable(a.out_ns, b.out_ns),
        only_a=[change for change in a.changes if change not in b.changes],
        only_b=[change for change in b.changes if change not in a.changes],
    )


def _ran(layer: Layer) -> bool:
    """Did the request go through it?"""
    return layer.outcome not in ("off", "not_reached")


def _remarkable(a: int, b: int) -> bool:
    return abs(b - a) > max(REMARKABLE_NS, max(a, b) // 2)


def shape(sql: str) -> str:
    """``sql`` with every number and text in it, and every list of them, replaced by ``?``."""
    return _LISTS.sub("(?)", _LITERALS.sub("?", sql))


def _queries(a: RequestRecord, b: RequestRecord) -> list[QueryDifference]:
    found: dict[str, QueryDifference] = {}
    for record, is_a in ((a, True), (b, False)):
        times = {span.id: span.duration_ns for span in record.spans}
        for query in record.queries:
            sql = shape(query.sql)
            entry = found.setdefault(sql, QueryDifference(sql))
            if is_a:
                entry.count_a += 1
                entry.ns_a += times.get(query.span, 0)
            else:
                entry.count_b += 1
                entry.ns_b += times.get(query.span, 0)
    return list(found.values())
