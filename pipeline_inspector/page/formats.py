"""How numbers, names, paths and moments are written on the pages: filters and tags known to all our templates."""

from pathlib import Path
from urllib.parse import quote

from django import template

from pipeline_inspector import conf

register = template.Library()

_WORKING = str(Path.cwd())
_LIBRARIES = ("site-packages/", "dist-packages/")


@register.filter
def ms(ns: int | None) -> str:
    """Milliseconds of so many nanoseconds with at most three significant digits and no unit; a dash for None."""
    if ns is None:
        return "–"
    value = ns / 1_000_000
    size = abs(value)
    if size < 0.0005:
        return "0"
    if size < 0.00995:
        return f"{value:.3f}"
    if size < 9.995:
        return f"{value:.2f}"
    if size < 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}" if size < 999.5 else f"{float(f'{value:.3g}'):.0f}"


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
