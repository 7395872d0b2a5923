"""How numbers, names, paths and moments are written on the pages: filters and tags known to all our templates."""

import re
from pathlib import Path
from urllib.parse import quote

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from pipeline_inspector import conf
from pipeline_inspector.readings.onion import heat as heat_of

register = template.Library()

_WORKING = str(Path.cwd())
_LIBRARIES = ("site-packages/", "dist-packages/")
_MAY_BREAK = mark_safe("<wbr>")


@register.filter
def ms(ns: int | None) -> str:
    """Milliseconds of so many nanoseconds with at most three significant digits and no unit; a dash for None."""
    if ns is None:
        return "–"
    value = ns / 1_000_000
    size = abs(value)
    if size < 0.0005:
        return "0"
    sign = "−" if value < 0 else ""
    if size < 0.0095:
        return f"{sign}{size:.3f}"
    if size < 9.995:
        return f"{sign}{size:.2f}"
    return f"{sign}{size:.1f}" if size < 99.95 else f"{sign}{float(f'{size:.3g}'):.0f}"


@register.filter
def difference(ns: int) -> str:
    """``ms()`` of a difference, with its sign."""
    told = ms(ns)
    return f"+{told}" if ns > 0 and told != "0" else told


@register.filter
def heat(ns: int | None) -> int:
    """The step, 0 to 5, of the colour scale of self times."""
    return heat_of(ns or 0)


def percent(fraction: float) -> str:
    """A part of a whole as a place or length in a picture, in percent, without the sign."""
    return f"{100 * fraction:.3f}"


@register.filter
def size(count: int | None) -> str:
    """So many bytes as one reads them: ``812 B``, ``14.2 kB``, ``3.1 MB``; a dash for None."""
    if count is None:
        return "–"
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= step:
            value = count / step
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return f"{count} B"


@register.filter
def short_name(path: str) -> str:
    """The last part of a dotted path, without the word Middleware: ``Session``."""
    name = path.rpartition(".")[2]
    return name.removesuffix("Middleware") or name


@register.filter
def class_name(path: str) -> str:
    """The last part of a dotted path: ``SessionMiddleware``."""
    return path.rpartition(".")[2]


@register.filter
def short_path(file: str) -> str:
    """A source file as one recognises it: within its library, within the project, or its last three parts."""
    for marker in _LIBRARIES:
        if marker in file:
            return file.rpartition(marker)[2]
    if file.startswith(_WORKING + "/"):
        return file.removeprefix(_WORKING + "/")
    return "/".join(file.split("/")[-3:]).lstrip("/")


@register.filter
def breakable(path: str) -> SafeString:
    """A path or a name as HTML: it may be broken after each slash and underscore, and before the word Middleware."""
    return format_html_join(
        _MAY_BREAK, "{}", ((part,) for part in re.split(r"(?<=/)|(?<=[^_]_)(?=[^_])|(?<=.)(?=Middleware$)", path))
    )


@register.filter
def time_of_day(moment: str) -> str:
    """The time of an ISO 8601 moment, to the millisecond: ``09:00:01.250``; UTC, as it is recorded."""
    return moment.partition("T")[2].rstrip("Z")[:12]


@register.filter
def path_part(text: str) -> str:
    """``text`` as one part of an address: everything but letters, digits and ``-._~`` is escaped."""
    return quote(text, safe="")


@register.simple_tag
def editor_link(file: str, line: int) -> str:
    """The address that opens ``file`` at ``line`` in the editor of the setting ``EDITOR``; empty when none is set."""
    editor = conf.current().editor
    if not editor or not file:
        return ""
    pattern = conf.EDITORS.get(editor, editor)
    return pattern.replace("{file}", quote(file)).replace("{line}", str(line or 1))


@register.filter
def units(value: float) -> str:
    """A length or place in a picture, to a hundredth, with a point whatever the site's language."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
