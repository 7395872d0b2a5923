"""Advice on a chain: what stands in the wrong place, what misses what it leans on, what could be cheaper, and why."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from pipeline_inspector.control import hops
from pipeline_inspector.control.rules import ENDS, NEEDS, ORDER, Before, End, Needs
from pipeline_inspector.readings.statistics import Statistics
from pipeline_inspector.records import Plan, PlanLayer

Severity = Literal["error", "warning", "info"]

WRITING = "https://docs.djangoproject.com/en/stable/topics/http/middleware/"
ASYNC = WRITING + "#asynchronous-support"
NOT_USED = WRITING + "#marking-middleware-as-unused"
ACTIVATING = WRITING + "#activating-middleware"
MEASURING = "https://docs.djangoproject.com/en/stable/topics/performance/#performance-benchmarking"

ENOUGH = 50
"""Fewer requests than this say nothing about a layer."""

COSTLY = 0.25
"""A layer that takes more than this part of all time is named."""

_RANK = {"error": 0, "warning": 1, "info": 2}


class Finding(msgspec.Struct, frozen=True):
    """One thing to know about the chain: ``message`` says what, ``reason`` why, ``link`` where it is documented."""

    code: str
    severity: Severity
    layer_ids: list[str]
    message: str
    reason: str
    link: str


@dataclass(frozen=True)
class _Case:
    plan: Plan
    off: frozenset[str]
    statistics: Statistics | None
    session_csrf: bool

    @property
    def on(self) -> list[PlanLayer]:
        return [layer for layer in self.plan.layers if layer.id not in self.off]


def advise(
    plan: Plan,
    off: Collection[str] = (),
    statistics: Statistics | None = None,
    *,
    csrf_use_sessions: bool = False,
) -> list[Finding]:
    """All findings about ``plan`` with the layers ``off`` switched off, the gravest first, then outermost first.

    ``statistics`` adds what many requests say about the layers; ``csrf_use_sessions`` is the setting of that name.
    """
    case = _Case(plan, frozenset(off), statistics, csrf_use_sessions)
    found = [finding for look in _LOOKS for finding in look(case)]
    place = {layer.id: layer.index for layer in plan.layers}
    return sorted(
        found, key=lambda one: (_RANK[one.severity], min((place.get(i, 0) for i in one.layer_ids), default=0))
    )


def leaning_on(
    plan: Plan, layer_id: str, off: Collection[str] = (), *, csrf_use_sessions: bool = False
) -> list[Finding]:
    """What would go wrong if that layer were switched off as well: to be said before the switch is thrown."""
    before = set(map(_key, _unmet(_Case(plan, frozenset(off), None, csrf_use_sessions))))
    after = _unmet(_Case(plan, frozenset({*off, layer_id}), None, csrf_use_sessions))
    return [finding for finding in after if _key(finding) not in before]


def _key(finding: Finding) -> tuple[str, ...]:
    return (finding.code, *finding.layer_ids)


def _misplaced(case: _Case) -> Iterator[Finding]:
    for rule in ORDER:
        for outer, inner in _wrong_way_round(rule, case.plan.layers, session_csrf=case.session_csrf):
            yield Finding(
                "order",
                _severity(rule.severity),
                [outer.id, inner.id],
                f"{outer.name} belongs before {inner.name}, but is listed after it.",
                rule.reason,
                rule.link,
            )


def _wrong_way_round(
    rule: Before, layers: Sequence[PlanLayer], *, session_csrf: bool
) -> Iterator[tuple[PlanLayer, PlanLayer]]:
    if rule.session_csrf and not session_csrf:
        return
    outer = next((layer for layer in layers if layer.path == rule.outer), None)
    inner = next((layer for layer in layers if layer.path == rule.inner), None)
    if outer and inner and _position(layers, outer) > _position(layers, inner):
        yield outer, inner


def _position(layers: Sequence[PlanLayer], layer: PlanLayer) -> int:
    return next(position for position, one in enumerate(layers) if one is layer)


def _not_at_the_end(case: _Case) -> Iterator[Finding]:
    for rule in ENDS:
        found = _displaced(rule, case.plan.layers)
        if found:
            layer, beyond = found
            where = "before" if rule.end == "first" else "after"
            yield Finding(
                rule.end,
                _severity(rule.severity),
                [layer.id],
                f"{layer.name} belongs {rule.end}, but {_names(beyond)} {_stand(beyond)} {where} it.",
                rule.reason,
                rule.link,
            )


def _displaced(rule: End, layers: Sequence[PlanLayer]) -> tuple[PlanLayer, list[PlanLayer]] | None:
    """The layer of ``rule`` and those beyond it that should not be there."""
    layer = next((one for one in layers if one.path == rule.path), None)
    if layer is None:
        return None
    position = _position(layers, layer)
    beyond = layers[:position] if rule.end == "first" else layers[position + 1 :]
    wrong = [one for one in beyond if one.path not in rule.beside and one.path != rule.path]
    return (layer, wrong) if wrong else None


def _lonely(case: _Case) -> Iterator[Finding]:
    yield from _unmet(case)


def _unmet(case: _Case) -> list[Finding]:
    return [finding for rule in NEEDS for finding in _missing(rule, case)]


def _missing(rule: Needs, case: _Case) -> Iterator[Finding]:
    if rule.session_csrf and not case.session_csrf:
        return
    needed = rule.needed.rpartition(".")[2]
    for layer in case.on:
        if layer.path != rule.path or any(_stands_in(one, rule.needed) for one in case.on):
            continue
        switched = [one.id for one in case.plan.layers if one.path == rule.needed and one.id in case.off]
        state = "is switched off" if switched else "is not in the chain"
        yield Finding(
            "needs",
            _lonely_severity(rule, switched),
            [layer.id, *switched],
            f"{layer.name} leans on {needed}, which {state}.",
            f"Without it, {rule.effect}.",
            rule.link,
        )


def _stands_in(layer: PlanLayer, needed: str) -> bool:
    """Is ``layer`` the needed one, or one of the site's own that goes by its name (``CachedSessionMiddleware``)?"""
    return layer.path == needed or layer.name.endswith(needed.rpartition(".")[2])


def _lonely_severity(rule: Needs, switched: Sequence[str]) -> Severity:
    if rule.optional:
        return "info"
    return "error" if switched else "warning"


def _doubled(case: _Case) -> Iterator[Finding]:
    paths = [layer.path for layer in case.plan.layers]
    for path in dict.fromkeys(path for path in paths if paths.count(path) > 1):
        same = [layer for layer in case.plan.layers if layer.path == path]
        yield Finding(
            "duplicate",
            "warning",
            [layer.id for layer in same],
            f"{same[0].name} is listed {len(same)} times.",
            "It does its work once for each entry, on every request, and may undo what it did.",
            ACTIVATING,
        )


def _took_itself_out(case: _Case) -> Iterator[Finding]:
    for entry in case.plan.not_used:
        said = f" It said: {entry.message}." if entry.message else ""
        yield Finding(
            "not_used",
            "info",
            [],
            f"{entry.path.rpartition('.')[2]} is listed, but took itself out of the chain.{said}",
            "Its factory raised MiddlewareNotUsed, so no request passes it.",
            NOT_USED,
        )


def _hops_to_save(case: _Case) -> Iterator[Finding]:
    plan = case.plan
    if not hops.known(plan):
        return
    now = hops.hops(plan.layers, plan.interface)
    for layer in plan.layers:
        if layer.mode == ("sync" if plan.interface == "asgi" else "async"):
            yield from _move(layer, plan, now, session_csrf=case.session_csrf)


def _move(layer: PlanLayer, plan: Plan, now: int, *, session_csrf: bool) -> Iterator[Finding]:
    better = [
        (count, abs(position - layer.index), position, order)
        for position, order in _orders(layer, plan.layers)
        if (count := hops.hops(order, plan.interface)) < now
    ]
    nearest_first = sorted(better, key=lambda place: place[:3])
    best = next((place for place in nearest_first if _no_worse(place[3], plan.layers, session_csrf=session_csrf)), None)
    if best is not None:
        fewest, _, position, order = best
        neighbour = f"right after {order[position - 1].name}" if position else "first"
        yield Finding(
            "hop",
            "info",
            [layer.id],
            f"{layer.name} only runs {layer.mode}. Listed {neighbour}, it would save {_hops(now - fewest)} "
            f"of {_hops(now)} per request.",
            "Each hop between event loop and thread costs a request about 0.2 ms. Django adapts the chain from the "
            "innermost layer outward, so the place of such a layer decides how many there are. Check that nothing "
            "between the two places leans on it.",
            ASYNC,
        )
    else:
        able = [msgspec.structs.replace(one, mode="both") if one is layer else one for one in plan.layers]
        saved = now - hops.hops(able, plan.interface)
        if saved > 0:
            yield Finding(
                "hop",
                "info",
                [layer.id],
                f"{layer.name} only runs {layer.mode}. If it could do both, {_hops(saved)} of {_hops(now)} per request "
                "would go.",
                "Each hop between event loop and thread costs a request about 0.2 ms.",
                ASYNC,
            )


def _orders(layer: PlanLayer, layers: Sequence[PlanLayer]) -> Iterator[tuple[int, list[PlanLayer]]]:
    """Every other place for ``layer``, with the whole order then."""
    rest = [one for one in layers if one is not layer]
    for position in range(len(layers)):
        if position != layer.index:
            yield position, [*rest[:position], layer, *rest[position:]]


def _no_worse(order: Sequence[PlanLayer], layers: Sequence[PlanLayer], *, session_csrf: bool) -> bool:
    """Does ``order`` break no rule that ``layers`` keeps?"""

    def broken(those: Sequence[PlanLayer]) -> set[Before | End]:
        swapped = {rule for rule in ORDER if any(_wrong_way_round(rule, those, session_csrf=session_csrf))}
        return swapped | {rule for rule in ENDS if _displaced(rule, those)}

    return broken(order) <= broken(layers)


def _seen_in_requests(case: _Case) -> Iterator[Finding]:
    if case.statistics is None:
        return
    for numbers in case.statistics.layers:
        if numbers.count < ENOUGH or numbers.id not in {layer.id for layer in case.plan.layers}:
            continue
        if numbers.idle:
            yield Finding(
                "idle",
                "info",
                [numbers.id],
                f"{numbers.name} changed nothing in {numbers.count} requests.",
                "No header, cookie, status or request attribute, no answer, no exception. It may still count, log or "
                "protect; if it does not, the chain is shorter without it.",
                ACTIVATING,
            )
        if numbers.share > COSTLY:
            yield Finding(
                "costly",
                "info",
                [numbers.id],
                f"{numbers.name} took {numbers.share:.0%} of the time of {numbers.count} requests.",
                "This is its own time, without that of the layers further in. Its queries are on the Queries tab.",
                MEASURING,
            )


def _severity(text: str) -> Severity:
    return "error" if text == "error" else "warning" if text == "warning" else "info"


def _hops(count: int) -> str:
    return f"{count} hop" if count == 1 else f"{count} hops"


def _names(layers: Sequence[PlanLayer]) -> str:
    shown = [layer.name for layer in layers[:3]]
    return ", ".join(shown) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")


def _stand(layers: Sequence[PlanLayer]) -> str:
    return "stands" if len(layers) == 1 else "stand"


_LOOKS: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _misplaced,
    _not_at_the_end,
    _lonely,
    _doubled,
    _took_itself_out,
    _hops_to_save,
    _seen_in_requests,
)
