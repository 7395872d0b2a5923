"""A page that was away: the line was cut or died without a word, the machine slept, the code was reloaded. It says so,
comes back by itself, and misses nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import TimeoutError as TooLate

from tests.browser.line import Line
from tests.browser.served import WAYS, row, start, state
from tests.sites import Server, Site, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

URLS = """
from django.http import HttpResponse
from django.urls import re_path

urlpatterns = [re_path("^", lambda request: HttpResponse(request.path))]
"""
AWAY = ["uvicorn", "runserver", "gunicorn with one worker"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose every address answers."""
    site = Site(tmp_path_factory.mktemp("away") / "site")
    site.install("pipeline_inspector")
    site.write("mysite/urls.py", URLS)
    return site


@pytest.fixture(params=AWAY)
def server(site: Site, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The site behind a server for each of the three ways."""
    name, extra, _ = WAYS[request.param]
    server = start(site, name, extra, free_port())
    yield server
    server.stop()


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    """The line to that server."""
    line = Line(server.port)
    yield line
    line.close()


def says(page: "Page", what: str) -> None:
    """Wait until the status of the connection says ``what``."""
    state(page).and_(page.get_by_text(what, exact=True)).wait_for()


def test_a_page_whose_line_was_cut_misses_nothing(server: Server, line: Line, page: "Page") -> None:
    page.goto(f"{line.url}/__inspector__/")
    says(page, "live")
    line.cut()
    says(page, "reconnecting")
    for number in range(3):
        server.get(f"/meanwhile/{server.port}/{number}/")
    line.mend()
    says(page, "live")
    for number in range(3):
        row(page, f"GET /meanwhile/{server.port}/{number}/ 200").wait_for()
    server.get(f"/afterwards/{server.port}/")
    row(page, f"GET /afterwards/{server.port}/ 200").wait_for()


def test_a_page_of_a_machine_that_slept_misses_nothing(server: Server, line: Line, page: "Page") -> None:
    page.clock.install()
    page.goto(f"{line.url}/__inspector__/")
    says(page, "live")
    line.freeze()
    for number in range(3):
        server.get(f"/asleep/{server.port}/{number}/")
    page.clock.fast_forward("01:00:00")
    says(page, "reconnecting")
    line.mend()
    page.clock.fast_forward("00:10")
    for number in range(3):
        row(page, f"GET /asleep/{server.port}/{number}/ 200").wait_for()
    says(page, "live")


@pytest.mark.parametrize("apps", [("pipeline_inspector",), ("daphne", "pipeline_inspector")], ids=["wsgi", "asgi"])
def test_a_page_goes_on_when_the_code_was_reloaded(
    make_site: Callable[..., Site], page: "Page", apps: tuple[str, ...]
) -> None:
    site = make_site(*apps)
    site.write("mysite/urls.py", URLS)
    server = site.serve("runserver-reloading")
    page.goto(f"{server.url}/__inspector__/")
    says(page, "live")
    server.get("/before/")
    row(page, "GET /before/ 200").wait_for()
    away = state(page).and_(page.get_by_text("reconnecting", exact=True))
    while not away.is_visible():  # the reloader misses what comes before its first look at a file
        site.write("mysite/urls.py", URLS.replace("request.path", "'reloaded'"))
        with suppress(TooLate):
            away.wait_for(timeout=4000)
    server.wait()
    assert server.get("/after/").text == "reloaded"
    row(page, "GET /after/ 200").wait_for()
    says(page, "live")
    server.get("/later/")
    row(page, "GET /later/ 200").wait_for()
    began = page.locator("#requests > li:has(.began)")
    assert began.locator("a").evaluate_all("links => links.map((link) => link.getAttribute('aria-label'))") == [
        "GET /after/ 200",
        "GET /before/ 200",
    ]
    assert "urls.py changed" in began.first.locator(".began").inner_text()
