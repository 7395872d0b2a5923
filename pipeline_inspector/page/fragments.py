"""Record, row or chain → a piece of HTML. What the views put together and what the live connection sends is drawn here.

``base`` is the address of our first page as the browser sees it, with a slash at its end: ``/__inspector__/``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from django.utils.safestring import mark_safe

from pipeline_inspector.page import tabs
from pipeline_inspector.page.cards import card, overview, telling_layer, totals
from pipeline_inspector.page.drawing import render
from pipeline_inspector.page.formats import ms
from pipeline_inspector.page.rows import row
from pipeline_inspector.readings.core import Core, Words
from pipeline_inspector.readings.crossings import LARGE, USUAL
from pipeline_inspector.readings.onion import CX, CY, HEIGHT, WIDTH, onion
from pipeline_inspector.readings.onion import running as of_running
from pipeline_inspector.readings.statistics import Statistics
from pipeline_inspector.readings.way import reached_core
from pipeline_inspector.records import Plan, RequestRecord, Summary

_FOLDER = "pipeline_inspector/"
ROWS = 200
"""So many rows stand on the page at most."""

Scope = Literal["everyone", "me"]


# -- the list -------------------------------------------------------------------------------------------------------


def rows(summaries: Iterable[Summary], base: str, selected: str | None = None) -> str:
    """The items of the list, newest on top; ``summaries`` come newest last, as the reader gives them."""
    newest_first = list(summaries)[::-1]
    return mark_safe("".join(row(summary, base, summary.id == selected) for summary in newest_first))  # noqa: S308


def running(summary: Summary, base: str) -> str:
    """The ``<li>`` of a request in hand: where it is now, and for how long."""
    return row(summary, base)


# -- the chosen request ---------------------------------------------------------------------------------------------


def stage(record: RequestRecord, tab: str, base: str, csrf_token: str = "", where: str | None = None) -> str:
    """What fills ``#stage``: the request's line, its tabs with the body of ``tab``, and the layers' cards.

    ``where`` is the source line (``path:line``) at which a running request stands.
    """
    available = [("onion", "Onion", None), *tabs.available(record)]
    known = {slug for slug, _, _ in available}
    tab = tab if tab in known else "onion"
    body = figure(record, legend=True) if tab == "onion" else tabs.body(tab, record, base)
    context = {
        "record": record,
        "base": base,
        "tab": tab,
        "tabs": available,
        "body": mark_safe(body),  # noqa: S308
        "totals": totals(record),
        "cards": [card(record, layer.index) for layer in record.layers],
        "overview": overview(record, base),
        "chosen": telling_layer(record),
        "csrf_token": csrf_token,
        "where": _source_line(where),
        "cut": _cut(record),
    }
    return render(_FOLDER + "_stage.html", context)


def stage_running(summary: Summary, plan: Plan | None, base: str) -> str:
    """``stage()`` of a request in hand, as far as it has come."""
    return stage(of_running(summary, plan), "onion", base, where=summary.where)


def figure(record: RequestRecord, *, legend: bool = False, scope: str = "") -> str:
    """The onion of ``record``. ``scope`` keeps the ids apart where a page shows several."""
    picture = onion(record)
    context = {
        "record": record,
        "onion": picture,
        "scope": scope,
        "legend": legend,
        "marks": picture.marks,
        "hops": picture.hops,
        "off": record.toggles,
        "usual": USUAL,
        "large": LARGE,
        "width": WIDTH,
        "height": HEIGHT,
        "last": picture.way[-1],
        "cx": CX,
        "cy": CY,
        "lines": _core_lines(picture.core),
        "band_size": round(10.5 * min(1.4, picture.core.scale), 1),
        "above": CY - 10,
        "method": _method(record.request.method),
        "below": CY + 20,
        "here": _standing_in(record),
        "right": WIDTH - 14,
    }
    return render(_FOLDER + "_onion.html", context)


def _standing_in(record: RequestRecord) -> int | None:
    """The layer in which a running request is now, None in the core and when it is over."""
    if record.state != "running" or reached_core(record):
        return None
    return max((layer.index for layer in record.layers if layer.outcome not in ("not_reached", "off")), default=None)


_NOTE = 10.5
"""Size of the small print in the core."""


@dataclass(frozen=True)
class _Line:
    kind: str
    words: Words
    y: float


def _method(name: str) -> tuple[int, float, float]:
    """Place and size of the method's name, left of the outermost number or, where it is too long for that, above it."""
    if len(name) <= 4:
        return 14, CY - 10, 11.5
    return 4, CY - (10 if len(name) <= 7 else 42), 10.5


def _core_lines(core: Core) -> list[_Line]:
    """The core's lines of text: title, something large, note; what is empty is left out."""
    large = core.figure if core.ns is None else f"{ms(core.ns)} ms"
    heights = (-21, 5, 25, 39) if large else (-3 if core.note else 4, 0, 16, 30)
    notes, _, more = core.note, "", ""
    if core.words(core.note, _NOTE, heights[2] + 5).text != core.note:
        notes, _, more = core.note.partition(" · " if " · " in core.note else " ")
    lift = 5 if more else 0
    texts = (core.title, large, notes, more)
    lines = zip(("title", "figure", "note", "note"), texts, (12.5, 20.0, _NOTE, _NOTE), heights, strict=True)
    return [_Line(kind, core.words(text, size, abs(y) + 5), CY + y - lift) for kind, text, size, y in lines if text]


def _cut(record: RequestRecord) -> str:
    lost = record.dropped
    counts = [(lost.events, "events"), (lost.changes, "changes"), (lost.queries, "queries")]
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _source_line(where: str | None) -> tuple[str, str] | None:
    file, _, line = (where or "").rpartition(":")
    return (file, line) if file else None


# -- the chain ------------------------------------------------------------------------------------------------------


def chain(
    plan: Plan | None,
    control_off: frozenset[str],
    base: str,
    record: RequestRecord | None = None,
    statistics: Statistics | None = None,
    scope: Scope = "everyone",
    mine: frozenset[str] = frozenset(),
    oob: bool = False,
) -> str:
    """The chain with its switches. ``control_off``: ids off for the browser that looks, ``mine``: those of them off for
    it alone. Beside each layer stands its time in ``record``, else its median over ``statistics``. ``oob``: to be sent
    along with another fragment."""
    times = _times(record, statistics)
    layers = plan.layers if plan else []
    entries = [(layer, layer.id not in control_off, layer.id in mine, times.get(layer.id)) for layer in layers]
    context = {
        "plan": plan,
        "entries": entries,
        "base": base,
        "scope": scope,
        "record": record,
        "any_off": any(not on for _, on, _, _ in entries),
        "times_of": "request" if record else "median" if times else "",
        "oob": oob,
    }
    return render(_FOLDER + "_chain.html", context)


def _times(record: RequestRecord | None, statistics: Statistics | None) -> Mapping[str, int]:
    if record is not None:
        return {
            layer.id: layer.in_ns + layer.out_ns + layer.hop_ns
            for layer in record.layers
            if layer.outcome not in ("off", "not_reached")
        }
    if statistics is not None:
        return {layer.id: layer.in_ns.p50 + layer.out_ns.p50 for layer in statistics.layers if layer.count}
    return {}


# -- pages ----------------------------------------------------------------------------------------------------------

NoticeKind = Literal["nothing", "no_match", "choose", "gone", "denied", "no_chain"]


def notice(kind: NoticeKind, base: str, *, limit: int = 0, message: str = "") -> str:
    """What stands where there is nothing to show, and what to do about it. ``limit``: how many requests are kept."""
    return render(_FOLDER + "_notice.html", {"kind": kind, "base": base, "limit": limit, "message": message})


def requests_page(
    *,
    base: str,
    csrf_token: str,
    summaries: Iterable[Summary] = (),
    in_hand: Iterable[Summary] = (),
    stage: str = "",
    chain: str = "",
    selected: str | None = None,
    live: Literal["ws", "sse", ""] = "",
    last_seq: int = 0,
    filtered: bool = False,
    query: str = "",
    server: str = "",
    title: str = "Requests",
    problems: Iterable[str] = (),
    more: bool = False,
) -> str:
    """The main page. ``summaries`` come newest last; ``stage`` and ``chain`` are ready fragments.

    ``live`` says by what the page stays up to date, ``query`` is the filter as a query string, ``server`` one line on who
    serves, ``problems`` what is wrong with the inspector itself, ``more`` whether older rows may be kept.
    """
    kept = list(summaries)
    empty = notice("no_match" if filtered else "nothing", base)
    context = {
        "base": base,
        "csrf_token": csrf_token,
        "page": "requests",
        "title": title,
        "rows": rows(kept, base, selected),
        "in_hand": mark_safe("".join(running(item, base) for item in list(in_hand)[::-1])),  # noqa: S308
        "empty": empty,
        "stage": mark_safe(stage or notice("choose", base)),  # noqa: S308
        "chosen": bool(stage),
        "chain": mark_safe(chain),  # noqa: S308
        "live": live,
        "last_seq": last_seq,
        "query": query,
        "server": server,
        "problems": list(problems),
        "more": more,
    }
    return render(_FOLDER + "requests.html", context)


def problems(found: Iterable[str], *, oob: bool = False) -> str:
    """What is wrong with the inspector itself. ``oob``: to be sent along with another fragment."""
    return render(_FOLDER + "_problems.html", {"problems": list(found), "oob": oob})


def notice_page(kind: NoticeKind, base: str, *, title: str, message: str = "") -> str:
    """A page that holds nothing but a notice: not allowed, not there."""
    context = {"base": base, "title": title, "page": "", "notice": notice(kind, base, message=message)}
    return render(_FOLDER + "empty.html", context)
