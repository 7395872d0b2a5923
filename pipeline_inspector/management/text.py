"""The chain, rows and records as lines of text for a terminal: aligned, and coloured by the command's style."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline_inspector.control.advice import Finding
from pipeline_inspector.records import Layer, Plan, PlanLayer, RequestRecord, Summary
from pipeline_inspector.store.base import Control

Style = Any
"""Django's ``color_style()``: an attribute for each role, each a function of text."""

_SEVERITY_ROLE = {"error": "ERROR", "warning": "WARNING", "info": "NOTICE"}


def chain(plan: Plan, state: Control, findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """The layers outermost first with switch, modes and hooks, those not used, and the advice."""
    yield style.MIGRATE_HEADING(f"Chain of the {plan.interface.upper()} handler, loaded {plan.loaded_at or 'earlier'}")
    width = max((len(layer.id) for layer in plan.layers), default=0)
    yield f"  {'':2}  {'layer':{width}}  {'switch':8}  {'can':5}  {'runs':5}  {'hop':3}  hooks"
    for layer in plan.layers:
        yield _chain_row(layer, state, width, style)
    for entry in plan.not_used:
        yield f"   -  {entry.path}  not used{f': {entry.message}' if entry.message else ''}"
    if findings:
        yield ""
        yield style.MIGRATE_HEADING("Advice")
    for finding in findings:
        yield from advice(finding, style)


def _chain_row(layer: PlanLayer, state: Control, width: int, style: Style) -> str:
    browsers = sum(layer.id in off for off in state.off_for.values())
    switch = "off" if layer.id in state.off else f"off for {browsers}" if browsers else "on"
    role = style.SUCCESS if switch == "on" else style.ERROR
    hop = "hop" if layer.hop_before else ""
    hooks = ", ".join(layer.hooks)
    row = f"{layer.id:{width}}  {role(f'{switch:8}')}  {layer.mode:5}  {layer.runs:5}  {hop:3}  {hooks}"
    return f"  {layer.index:2}  {row}".rstrip()


def advice(finding: Finding, style: Style) -> Iterator[str]:
    """One finding: what, why, and where it is documented."""
    role = getattr(style, _SEVERITY_ROLE[finding.severity])
    yield f"  {role(f'{finding.severity:7}')}  {finding.message}"
    yield f"           {finding.reason}"
    if finding.link:
        yield f"           {finding.link}"


def row(summary: Summary, style: Style) -> str:
    """One request on one line: time, method, status, milliseconds, queries, path, and what is special."""
    status = str(summary.status) if summary.status is not None else summary.state
    clock_time = summary.started_at[11:19]
    address = f"{summary.path}{f'?{summary.query}' if summary.query else ''}"
    note = f"  {summary.exception or summary.note}" if summary.exception or summary.note else ""
    timing = f"{ms(summary.duration_ns):>7} ms  {summary.query_count:3} q"
    return (
        f"{clock_time}  {summary.method:6} {_by_status(summary.status, style)(f'{status:8}')} {timing}  {address}{note}"
    )


def record(found: RequestRecord, style: Style) -> Iterator[str]:
    """One request with its layers, changes, queries and exception."""
    status = str(found.response.status) if found.response else found.state
    yield style.MIGRATE_HEADING(f"{found.request.method} {found.request.path} {status}  {ms(found.duration_ns)} ms")
    yield f"  id {found.id}, started {found.started_at}, {found.server.software or found.server.interface}"
    if found.view:
        yield f"  view {found.view.name} ({found.view.file}:{found.view.line})"
    width = max((len(_name(layer)) for layer in found.layers), default=0)
    yield f"  {'':2}  {'layer':{width}}  {'outcome':11}  {'in ms':>7}  {'out ms':>7}  {'hops ms':>7}  queries"
    for layer in found.layers:
        yield from _record_row(layer, width, style)
    yield from _queries(found, style)
    if found.exception:
        yield style.ERROR(f"  {found.exception.type}: {found.exception.message}")
        yield f"  raised in {found.exception.raised_in}, a response from {found.exception.rescued_by or 'nobody'}"


def _record_row(layer: Layer, width: int, style: Style) -> Iterator[str]:
    role = style.SUCCESS if layer.outcome == "passed" else style.WARNING
    times = "  ".join(f"{ms(ns):>7}" for ns in (layer.in_ns, layer.out_ns, layer.hop_ns))
    yield f"  {layer.index:2}  {_name(layer):{width}}  {role(f'{layer.outcome:11}')}  {times}  {layer.query_count:7}"
    for change in layer.changes:
        after = f": {change.after}" if change.after is not None else ""
        yield f"        {change.on} {change.what} {change.name} {change.kind}{after}"


def _queries(found: RequestRecord, style: Style) -> Iterator[str]:
    spent = {span.id: span.duration_ns for span in found.spans}
    for query in found.queries:
        like = style.WARNING(f"  like others ({query.duplicate_group})") if query.duplicate_group is not None else ""
        yield f"  {ms(spent.get(query.span, 0)):>7} ms  {' '.join(query.sql.split())[:160]}{like}"


def _name(layer: Layer) -> str:
    return layer.name or layer.path


def _by_status(status: int | None, style: Style) -> Any:
    roles = {2: style.HTTP_SUCCESS, 3: style.HTTP_NOT_MODIFIED, 4: style.HTTP_BAD_REQUEST, 5: style.HTTP_SERVER_ERROR}
    return roles.get((status or 0) // 100, style.HTTP_INFO)


def ms(ns: int) -> str:
    """Milliseconds with at most three significant digits: ``0.062``, ``3.8``, ``1240``."""
    value = ns / 1_000_000
    if abs(value) >= 999.5:
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"


def lines(parts: Iterable[str]) -> str:
    """The parts as one text."""
    return "\n".join(parts)
