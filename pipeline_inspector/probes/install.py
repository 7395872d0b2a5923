"""The probes, in the order in which they go in."""

import importlib
import importlib.util

from pipeline_inspector.probes import layers, resolver, view


def install() -> None:
    """Put all probes in that need nothing from above. Twice is harmless."""
    layers.clean_tracebacks()
    resolver.install()
    view.install()
    for name in ("database", "templates", "cache", "logs"):
        if importlib.util.find_spec(f"pipeline_inspector.probes.{name}"):
            importlib.import_module(f"pipeline_inspector.probes.{name}").install()
