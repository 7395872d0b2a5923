"""The same thing with and without us: what comparisons need."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.test import override_settings
from django.urls import clear_url_caches, path

import pipeline_inspector
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import urls as site_urls

HERE = "tests.scenarios.layers."
OURS = str(Path(pipeline_inspector.__file__).parent) + "/"
OFF: dict[str, Any] = {"PIPELINE_INSPECTOR": {"ENABLED": False}}
HOOKS = frozenset({"process_view", "process_template_response", "process_exception"})

Frames = list[tuple[str, str, int]]


def frames(error: BaseException) -> Frames:
    """File, function and line of each frame of the error, the tests' own driving left out."""
    return [
        (frame.f_code.co_filename, frame.f_code.co_name, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.endswith(
            ("driving.py", "comparing.py", "test_undisturbed.py", "test_layers.py", "test_scenarios.py")
        )
    ]


def both_ways(act: Callable[[], Any]) -> tuple[Any, Any]:
    """What ``act`` gives without us and with us."""
    with override_settings(**OFF):
        without = act()
    with record_pipeline():
        return without, act()


@contextmanager
def urls(view: Any) -> Iterator[None]:
    """``view`` at ``/failing/`` and ``/breaking/``."""
    kept = site_urls.urlpatterns[:]
    site_urls.urlpatterns[:] = [path("failing/", view), path("breaking/", view), *kept]
    clear_url_caches()
    try:
        yield
    finally:
        site_urls.urlpatterns[:] = kept
        clear_url_caches()
