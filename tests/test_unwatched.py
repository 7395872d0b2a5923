"""A process that nobody looks at does not load what only a viewer needs; the first who looks finds it all there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sites import Server, Site

URLS = """
import sys

from django.http import JsonResponse
from django.urls import path


def loaded(request):
    from pipeline_inspector.recording import recorder

    return JsonResponse({"kept": recorder.flush(10), "modules": sorted(sys.modules)})


urlpatterns = [path("loaded/", loaded)]
"""
DOOR = {"pipeline_inspector.page", "pipeline_inspector.page.door"}
FOR_VIEWERS = (
    "pipeline_inspector.page.",
    "pipeline_inspector.readings",
    "pipeline_inspector.assembly",
    "pipeline_inspector.reader",
    "pipeline_inspector.management",
    "channels.generic",
    "channels.consumer",
    "django_htmx",
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fresh project with the inspector installed."""
    made = Site(tmp_path / "site")
    made.install("pipeline_inspector")
    made.write("mysite/urls.py", URLS)
    yield made
    made.close()


def _for_viewers(server: Server) -> set[str]:
    """What a viewer needs of the modules that the process has loaded, once all requests before this one are kept."""
    told: dict[str, Any] = server.get("/loaded/").json()
    assert told["kept"]
    return {name for name in told["modules"] if name.startswith(FOR_VIEWERS)} - DOOR


@pytest.mark.parametrize("name", ["runserver", "gunicorn", "uvicorn"])
def test_what_only_a_viewer_needs_is_loaded_when_the_first_one_looks(site: Site, name: str) -> None:
    server = site.serve(name)
    for _ in range(3):
        assert _for_viewers(server) == set()
    assert server.get(server.prefix).status_code == 200
    assert {"pipeline_inspector.page.views", "pipeline_inspector.reader"} <= _for_viewers(server)
    assert len(server.recorded("/loaded/", 4)) == 4


def test_a_setting_that_is_wrong_is_told_at_the_start(site: Site) -> None:
    site.configure("PIPELINE_INSPECTOR = {'ACCESS': 'mysite.nobody.knows', 'PREFIX': 'inspector'}")
    said = site.manage("check", check=False)
    assert said.returncode != 0
    assert "pipeline_inspector.E003" in said.stderr
    assert "pipeline_inspector.E005" in said.stderr
