"""A record as one HTML page that stands alone: no script, no address it loads from, everything of the request as text."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from pipeline_inspector.readings.onion import CX, CY, HEIGHT, WIDTH, onion
from pipeline_inspector.readings.timeline import timeline
from pipeline_inspector.records import Change, RequestRecord, to_json

STYLE = """
:root{color-scheme:light dark;--ink:light-dark(#1b1d21,#e8e6e1);--quiet:light-dark(#646a73,#9aa0a8);
--line:light-dark(#dfe2e6,#363a40);--paper:light-dark(#fff,#17191c);--in:#2f6fde;--out:#2b8a4b;--error:#d1342f}
body{max-width:70rem;margin:2rem auto;padding:0 1rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{margin-top:2rem;font-size:1.05rem}
table{width:100%;border-collapse:collapse;font-size:.87rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{color:var(--quiet);font-weight:500;white-space:nowrap}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
pre{padding:.75rem;border:1px solid var(--line);border-radius:8px;white-space:pre-wrap;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}svg text{fill:currentColor;font-size:12px;text-anchor:middle}
svg .row{text-anchor:start}.edge{fill:none;stroke:var(--line)}.h0{fill:light-dark(#f2efe9,#26282c)}
.h1{fill:light-dark(#f6e6c8,#4a3f27)}.h2{fill:light-dark(#f5d49a,#66501f)}.h3{fill:light-dark(#f0b064,#855a1c)}
.h4{fill:light-dark(#e58543,#a5591f)}.h5{fill:light-dark(#d5552b,#c04a22)}.cold{fill:none}
.off{stroke-dasharray:6 5}.way{fill:none;stroke-width:3}.way.in{stroke:var(--in)}.way.out{stroke:var(--out)}
.way.error{stroke:var(--error);stroke-dasharray:7 5}.raised{fill:var(--error)}.rescued{fill:var(--out)}
.cross{fill:none;stroke:var(--paper);stroke-width:1.8;stroke-linecap:round}.pill{fill:var(--paper);stroke:var(--line)}.bar{fill:var(--in)}
""".strip()
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'"
_ROW = 18


def report(record: RequestRecord) -> bytes:
    """UTF-8 HTML. Its own content policy forbids scripts and any loading."""
    status = record.response.status if record.response else record.state
    title = escape(f"{record.request.method} {record.request.path} {status}")
    parts = [_facts(record), _exception(record), _onion(record), _layers(record), _timeline(record), *_lists(record)]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        f"{''.join(part for part in parts if part)}</body></html>\n"
    )
    return page.encode("utf-8", "replace")


def _facts(record: RequestRecord) -> str:
    facts = [
        ("Query", record.request.query),
        ("Started", record.started_at),
        ("Duration", f"{_ms(record.duration_ns)} ms, of which the inspector's own {_ms(record.own_cost_ns)} ms"),
        ("View", record.view.name if record.view else ""),
        ("Route", record.route.pattern if record.route else ""),
        ("Patterns tried", ", ".join(record.tried)),
        ("Server", f"{record.server.software} ({record.server.interface}, process {record.server.pid})"),
        ("Switched off", ", ".join(record.toggles)),
        ("Id", record.id),
    ]
    return _table((), [fact for fact in facts if fact[1]])


def _exception(record: RequestRecord) -> str:
    found = record.exception
    if found is None:
        return ""
    lines = [f'File "{frame.file}", line {frame.line}, in {frame.function}' for frame in found.frames]
    told = [
        f"{found.type}: {found.message}",
        f"raised in {found.raised_in}, a response from {found.rescued_by or 'nobody'}",
    ]
    return _section("Exception", f"<pre>{escape(chr(10).join([*lines, *told]))}</pre>")


def _onion(record: RequestRecord) -> str:
    picture = onion(record)
    drawn = []
    for ring in picture.rings:
        for half in (ring.way_in, ring.way_out):
            heat = f"h{half.heat}" if half.reached else "cold"
            drawn.append(f'<path class="{heat}" d="{half.path}"/>')
        edge = "edge off" if ring.layer.outcome == "off" else "edge"
        drawn.append(f'<circle class="{edge}" cx="{CX}" cy="{CY}" r="{ring.outer:.2f}"/>')
        if picture.named:
            drawn.append(f'<text x="{CX}" y="{CY - ring.middle + 4:.2f}">{escape(ring.short)}</text>')
    drawn.append(f'<circle class="edge" cx="{CX}" cy="{CY}" r="{picture.core.radius:.2f}"/>')
    drawn += [f'<path class="way {stretch.kind}" d="{stretch.path}"/>' for stretch in picture.way]
    for mark in picture.marks:
        drawn.append(f'<circle class="{mark.kind}" cx="{mark.x:.2f}" cy="{mark.y:.2f}" r="{mark.radius:.2f}"/>')
        if mark.kind == "raised":
            drawn.append(f'<path class="cross" d="{mark.cross}"/>')
    for at in (at for at in picture.crossings if not at.spare):
        drawn.append(
            f'<rect class="pill" x="{at.left}" y="{at.top}" width="{at.width:.2f}" height="{at.height}" rx="8"/>'
        )
        drawn.append(f'<text x="{at.x:.2f}" y="{at.baseline}">{at.text}</text>')
    core = picture.core
    ms = "" if core.ns is None else f"{_ms(core.ns)} ms"
    for line, text in enumerate(text for text in (core.title, core.figure or ms, core.note) if text):
        drawn.append(f'<text x="{CX}" y="{CY - 22 + 16 * line}">{escape(text)}</text>')
    label = escape(f"Onion of {record.request.method} {record.request.path}", quote=True)
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}">{"".join(drawn)}</svg>\n'


def _layers(record: RequestRecord) -> str:
    rows = [
        (layer.path, layer.runs, layer.outcome, _Number(layer.in_ns), _Number(layer.out_ns), _Number(layer.hop_ns),
         _changes(layer.changes))
        for layer in record.layers
    ]  # fmt: skip
    return _section("Middleware", _table(("layer", "runs", "outcome", "in ms", "out ms", "hops ms", "changed"), rows))


def _changes(changes: Iterable[Change]) -> str:
    return "; ".join(
        f"{change.on} {change.what} {change.name} {change.kind}" + (f": {change.after}" if change.after else "")
        for change in changes
    )


def _timeline(record: RequestRecord) -> str:
    picture = timeline(record)
    drawn = []
    for number, row in enumerate(picture.rows):
        top = number * _ROW
        for segment in row.segments:
            left, width = 300 + segment.left * 600, max(1.0, segment.width * 600)
            drawn.append(f'<rect class="bar" x="{left:.2f}" y="{top + 4}" width="{width:.2f}" height="10" rx="2"/>')
        text = escape(f"{row.name[:32]}{f' ({row.count})' if row.count > 1 else ''} · {_ms(row.busy_ns)}")
        drawn.append(f'<text class="row" x="{min(row.depth, 8) * 8}" y="{top + 13}">{text}</text>')
    height = len(picture.rows) * _ROW
    left_out = f"<p>{picture.hidden} more rows are left out.</p>" if picture.hidden else ""
    return _section("Timeline, in ms", f'<svg viewBox="0 0 900 {height}">{"".join(drawn)}</svg>{left_out}')


def _lists(record: RequestRecord) -> Iterable[str]:
    ns = {span.id: span.duration_ns for span in record.spans}
    queries = [
        (_Number(ns.get(q.span, 0)), q.sql, f"{q.file}:{q.line}", q.rows, q.duplicate_group) for q in record.queries
    ]
    templates = [(_Number(ns.get(t.span, 0)), t.name, t.relation, t.engine) for t in record.templates]
    calls = [(_Number(ns.get(c.span, 0)), c.operation, c.key, c.alias, _hit(c.hit)) for c in record.cache_calls]
    logs = [(_Number(line.at_ns), line.level, line.logger, line.message) for line in record.logs]
    sent = record.response.headers if record.response else []
    yield _listed("Queries", ("ms", "SQL", "from", "rows", "like each other"), queries)
    yield _listed("Templates", ("ms", "template", "by", "engine"), templates)
    yield _listed("Cache", ("ms", "operation", "key", "alias", "found"), calls)
    yield _listed("Log", ("at ms", "level", "logger", "message"), logs)
    yield _listed("Request headers", ("name", "value"), record.request.headers)
    yield _listed("Response headers", ("name", "value"), sent)
    dropped = to_json(record.dropped).decode()
    yield _section("Cut", f"<p>What was cut to keep the record bounded: {escape(dropped)}</p>")


class _Number(int):
    """Nanoseconds, to be shown as milliseconds in a column of numbers."""


def _hit(hit: bool | None) -> str:
    return "" if hit is None else "hit" if hit else "miss"


def _listed(title: str, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    found = list(rows)
    return _section(f"{title} ({len(found)})", _table(head, found)) if found else ""


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if top else ''}<tbody>{lines}</tbody></table>\n"


def _cell(value: object) -> str:
    if isinstance(value, _Number):
        return f'<td class="n">{_ms(value)}</td>'
    return f"<td>{'' if value is None else escape(str(value))}</td>"


def _ms(ns: int) -> str:
    return f"{ns / 1_000_000:.3g}" if abs(ns) < 999_500_000 else f"{ns / 1_000_000:.0f}"
