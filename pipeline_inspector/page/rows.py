"""A row of the list as HTML, put together by hand: hundreds are drawn for a page, and hundreds a second while one is open;
a template takes ten times as long. Every text of a request goes through ``escape()``."""

from html import escape

from pipeline_inspector.page.formats import class_name, ms, short_name, short_path
from pipeline_inspector.records import Summary


def row(summary: Summary, base: str, selected: bool = False) -> str:
    """One ``<li>`` of the list."""
    address = f"{base}requests/{escape(summary.id)}/"
    running = summary.state == "running"
    name = "running" if running else str(summary.status or summary.state)
    method, path, query, told = (
        escape(text) for text in (summary.method, summary.path, summary.query, told_of(summary))
    )
    asked = f"?{query}" if query else ""
    parts = (
        f'<li id="r-{escape(summary.id)}" data-seq="{summary.seq}" data-state="{summary.state}" '
        f'data-process="{escape(summary.process)}"><a href="{address}" hx-get="{address}" hx-target="#stage" '
        f'hx-push-url="true" aria-label="{method} {path} {name}"',
        ' aria-current="true">' if selected else ">",
        f'<b class="method" data-method="{method}" title="{method}">{method}</b>',
        f'<span class="path" title="{path}{asked}">{path}',
        f"<i>{asked}</i></span>" if asked else "</span>",
        f'<em class="state {_kind(summary)}">{name}</em></a><div class="more">',
        f'<span class="told{" bad" if _is_bad(summary) else ""}" title="{told}">',
        '<span aria-hidden="true">↩ </span>' if summary.answered_by else "",
        f"{told}</span>",
        _off_mark(len(summary.toggles)),
        f'<span class="count">{f"{summary.query_count} q" if summary.query_count else ""}</span><span class="took"',
        f' data-since="{escape(summary.started_at)}">' if running else ">",
        f"{ms(summary.duration_ns)} ms</span></div>{_bar(summary)}{_began(summary)}</li>",
    )
    return "".join(parts)


def told_of(summary: Summary) -> str:
    """What is most worth saying about a request in one line."""
    if summary.state == "running":
        return _place_of(summary)
    if summary.answered_by:
        return f"{short_name(summary.answered_by.partition('#')[0])} answered"
    if summary.exception == "Resolver404":
        return "no view matched"
    told = class_name(summary.exception or "") or summary.note or summary.view or summary.route
    return told or ("no view matched" if summary.status == 404 else "")


def _place_of(summary: Summary) -> str:
    """Where a request in hand is: its layer or view, and the source line once it stands there."""
    inside = short_name(summary.layer_now.partition("#")[0]) if summary.layer_now else summary.view
    file, _, line = (summary.where or "").rpartition(":")
    places = f"in {inside}" if inside else "", f"at {short_path(file)}:{line}" if file else ""
    return " ".join(place for place in places if place)


def _kind(summary: Summary) -> str:
    if summary.state == "running":
        return "running"
    return f"s{str(summary.status)[0]}" if summary.status else "aborted"


def _is_bad(summary: Summary) -> bool:
    return bool(summary.exception) and summary.exception != "Resolver404"


def _off_mark(count: int) -> str:
    if not count:
        return ""
    layers = "layer" if count == 1 else "layers"
    return f'<span class="off-mark" title="{count} {layers} switched off">{count} off</span>'


def _bar(summary: Summary) -> str:
    """The parts of the row's bar in percent; what the known parts leave over stays empty."""
    parts = summary.segments
    values = {"layers": parts.layers, "resolver": parts.resolver, "view": parts.view, "templates": parts.templates}
    total = max(summary.duration_ns, sum(values.values()), 1)
    found, start = [], 0.0
    for kind, ns in values.items():
        width = 100 * max(ns, 0) / total
        if width:
            found.append(f'<rect class="part-{kind}" x="{round(start, 2)}" width="{round(width, 2)}" height="4"/>')
        start += width
    return (
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rest" width="100" height="4"/>{"".join(found)}</svg>'
    )


def _began(summary: Summary) -> str:
    """The mark of the first row of a process, with the sources that had changed."""
    changed = summary.began
    if changed is None:
        return ""
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    sources = f": {escape(short_path(changed[0]))}{more} changed" if changed else ""
    return f'<p class="began" title="{escape(", ".join(changed))}">process {summary.pid} began here{sources}</p>'
