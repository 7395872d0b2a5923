"""The pages beside the list: the pipeline, two requests compared, and the start of the processes."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from django.utils.safestring import mark_safe

from pipeline_inspector.control.advice import Finding
from pipeline_inspector.page import fragments
from pipeline_inspector.page.cards import totals
from pipeline_inspector.page.drawing import render
from pipeline_inspector.page.formats import short_name
from pipeline_inspector.page.sql import readable
from pipeline_inspector.page.tabs import Bar, Step, drawn, steps
from pipeline_inspector.readings.compare import Comparison, compare
from pipeline_inspector.readings.onion import onion
from pipeline_inspector.readings.statistics import LayerStatistics, Statistics
from pipeline_inspector.readings.stretches import Stretch, stretches
from pipeline_inspector.records import Layer, Plan, PlanLayer, Process, RequestRecord, Stage, Summary

_FOLDER = "pipeline_inspector/"
MUCH = 0.25
"""A share of the time from which on a layer's bar is marked."""

WORTH_NAMING = 10
"""What makes up a tenth of the difference between two requests, or more, is named."""

SLOWEST = 30
"""So many apps are listed for a process, the slowest first."""


# -- the pipeline ---------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """One line of the chain's table."""

    layer: PlanLayer
    enabled: bool
    mine: bool
    numbers: LayerStatistics | None
    share: str
    much: bool
    hop: str
    idle: bool


def pipeline_page(
    plan: Plan | None,
    control_off: Collection[str],
    statistics: Statistics | None,
    findings: Iterable[Finding],
    base: str,
    *,
    csrf_token: str = "",
    mine: Collection[str] = (),
    scope: fragments.Scope = "everyone",
    problems: Iterable[str] = (),
    kept_in: str = "",
) -> str:
    """The chain of the site as a page: switches, numbers over many requests, advice.

    ``control_off`` holds the ids that are off for the browser that looks, ``mine`` those of them off for it alone.
    ``kept_in`` tells where the records are.
    """
    context = {
        "base": base,
        "csrf_token": csrf_token,
        "page": "pipeline",
        "title": "Pipeline",
        "plan": plan,
        "entries": _entries(plan, frozenset(control_off), frozenset(mine), statistics) if plan else [],
        "statistics": statistics,
        "ways": ("in", "out"),
        "ranks": ("p50", "p95", "p99"),
        "findings": _together(findings),
        "hops": _hops(plan) if plan else 0,
        "top_hop": _top_hop(plan) if plan else "",
        "hook_order": _hook_order(plan) if plan else [],
        "chain": fragments.chain(
            plan, frozenset(control_off), base, statistics=statistics, scope=scope, mine=frozenset(mine)
        ),
        "notice": fragments.notice("no_chain", base),
        "problems": list(problems),
        "kept_in": kept_in,
    }
    return render(_FOLDER + "pipeline.html", context)


def _together(findings: Iterable[Finding]) -> list[tuple[Finding, list[str]]]:
    """Findings with one reason as one, with the messages of all, where the first of them stands."""
    found: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    for finding in findings:
        key = (finding.severity, finding.code, finding.reason)
        found.setdefault(key, (finding, []))[1].append(finding.message)
    return list(found.values())


def _hops(plan: Plan) -> int:
    """Thread switches of a request that passes, as Django adapted this chain."""
    inside = sum(layer.hop_before + layer.inner_hops for layer in plan.layers)
    return inside + plan.core_hop + bool(_top_hop(plan))


def _top_hop(plan: Plan) -> str:
    """What the hop between the handler and the outermost layer is, where that layer does not tell it itself."""
    if not plan.top_hop or not plan.layers or plan.layers[0].hop_before:
        return ""
    return "event loop → thread" if plan.interface == "asgi" else "thread → event loop"


def _entries(plan: Plan, off: frozenset[str], mine: frozenset[str], statistics: Statistics | None) -> list[_Entry]:
    return [_entry(layer, off, mine, statistics.of(layer.id) if statistics else None) for layer in plan.layers]


def _entry(layer: PlanLayer, off: frozenset[str], mine: frozenset[str], numbers: LayerStatistics | None) -> _Entry:
    share = numbers.share if numbers else 0.0
    return _Entry(
        layer=layer,
        enabled=layer.id not in off,
        mine=layer.id in mine,
        numbers=numbers if numbers and numbers.count else None,
        share=f"{100 * share:.1f}",
        much=share > MUCH,
        hop=_hop(layer),
        idle=numbers.idle if numbers else False,
    )


def _hop(layer: PlanLayer) -> str:
    """What the hop before ``layer`` is, empty when there is none."""
    if not layer.hop_before:
        return ""
    return "event loop → thread" if layer.runs == "sync" else "thread → event loop"


def _hook_order(plan: Plan) -> list[tuple[str, list[PlanLayer]]]:
    """For each kind of hook the layers in the order in which Django calls them."""
    by_index = {layer.index: layer for layer in plan.layers}
    return [
        (hook, [by_index[index] for index in order if index in by_index])
        for hook, order in plan.hook_order.items()
        if order
    ]


# -- two requests ---------------------------------------------------------------------------------------------------


def compare_page(
    a: RequestRecord | None,
    b: RequestRecord | None,
    base: str,
    candidates: Sequence[Summary],
    *,
    csrf_token: str = "",
) -> str:
    """Two requests side by side, or the choice of them while one is missing. ``candidates`` come newest last."""
    both = _compared(a, b) if a is not None and b is not None else {}
    context: dict[str, Any] = {
        "base": base,
        "csrf_token": csrf_token,
        "page": "compare",
        "title": "Compare",
        "a": a,
        "b": b,
        "candidates": list(candidates)[::-1],
        **both,
    }
    return render(_FOLDER + "compare.html", context)


class _Query(NamedTuple):
    """One statement of the comparison."""

    sql: str
    count_a: int
    count_b: int
    ns_a: int
    ns_b: int
    diff_ns: int
    differs: bool


def _compared(a: RequestRecord, b: RequestRecord) -> dict[str, Any]:
    found = compare(a, b)
    pictures = onion(a), onion(b)
    return {
        "found": found,
        "marks": [mark for picture in pictures for mark in picture.marks],
        "hops": [hop for picture in pictures for hop in picture.hops],
        "off": {*a.toggles, *b.toggles},
        "figures": [
            ("A", a, mark_safe(fragments.figure(a, scope="a-"))),  # noqa: S308
            ("B", b, mark_safe(fragments.figure(b, scope="b-"))),  # noqa: S308
        ],
        "queries": _queries(found),
        "costliest": _costliest(a, b, found),
        "longer_ns": abs(b.duration_ns - a.duration_ns),
        "slower": "B" if b.duration_ns > a.duration_ns else "A",
        "layers_differ": sum(pair.differs for pair in found.layers),
        "headers_differ": sum(one.differs for one in (*found.request_headers, *found.response_headers)),
        "queries_differ": sum(query.differs for query in found.queries),
    }


def _costliest(a: RequestRecord, b: RequestRecord, found: Comparison) -> list[tuple[str, int]]:
    """What the slower request spent most of its more time on, at most two: layers, resolver, view, rendering."""
    slower = 1 if b.duration_ns > a.duration_ns else -1
    left, right = totals(a), totals(b)
    parts = [(short_name(pair.name), _own(pair.b) - _own(pair.a)) for pair in found.layers]
    parts += [
        ("the resolver and hooks", right.resolver - left.resolver),
        ("the view", right.view - left.view),
        ("rendering", right.render - left.render),
    ]
    more = [
        (name, slower * ns) for name, ns in parts if slower * ns * WORTH_NAMING > abs(b.duration_ns - a.duration_ns)
    ]
    return sorted(more, key=lambda part: -part[1])[:2]


def _own(layer: Layer | None) -> int:
    return layer.in_ns + layer.out_ns + layer.hop_ns if layer else 0


def _queries(found: Comparison) -> list[_Query]:
    """The statements, those that differ first."""
    ordered = sorted(found.queries, key=lambda query: not query.differs)
    return [
        _Query(readable(one.sql), one.count_a, one.count_b, one.ns_a, one.ns_b, one.ns_b - one.ns_a, one.differs)
        for one in ordered[:200]
    ]


# -- the start ------------------------------------------------------------------------------------------------------


class _Started(NamedTuple):
    """One process as the template needs it."""

    process: Process
    last: Stretch | None
    stretches: list[Bar]
    paths: list[tuple[str, list[Step]]]
    apps: list[tuple[str, int, int]]
    more_apps: int
    layers: list[tuple[str, int, int]]


def startup_page(processes: Iterable[Process], base: str, *, csrf_token: str = "") -> str:
    """How each process that serves or served the site came up; ``processes`` newest first."""
    context = {
        "base": base,
        "csrf_token": csrf_token,
        "page": "startup",
        "title": "Start-up",
        "started": [_started(process) for process in processes],
    }
    return render(_FOLDER + "startup.html", context)


def _started(process: Process) -> _Started:
    moments = list(process.moments)
    if moments and min(moment.at_ns for moment in moments) > 0:
        moments.append(Stage("process started", 0))
    found = stretches(moments)
    apps = sorted(process.apps, key=lambda app: -(app[1] + app[2]))
    return _Started(
        process=process,
        last=found[-1] if found else None,
        stretches=drawn(found),
        paths=[(name, steps(frames)) for name, frames in process.path.items() if frames],
        apps=apps[:SLOWEST],
        more_apps=max(0, len(apps) - SLOWEST),
        layers=sorted(process.layers, key=lambda layer: -(layer[1] + layer[2])),
    )
