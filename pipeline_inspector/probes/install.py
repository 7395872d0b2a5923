"""The probes, in the order in which they go in."""

from django.http import HttpRequest

from pipeline_inspector.probes import cache, database, jinja, layers, logs, resolver, templates, view


def install() -> None:
    """Put all probes in that need nothing from above. Twice is harmless."""
    if not hasattr(HttpRequest, "_pipeline_tape"):
        HttpRequest._pipeline_tape = None  # type: ignore[attr-defined]
    layers.clean_tracebacks()
    resolver.install()
    view.install()
    database.install()
    templates.install()
    jinja.install()
    cache.install()
    logs.install()
