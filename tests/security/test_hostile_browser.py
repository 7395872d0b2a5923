"""Hostile requests in a real browser: nothing of them runs, loads or breaks the strict policy, while live or opened."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.sites import Server, Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

MARKUP = "\"'><img src=/stolen onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)></title></textarea>"
URLS = f"""
import logging

from django.db import connection
from django.http import HttpResponse
from django.template import engines
from django.urls import re_path

MARKUP = {MARKUP!r}


def view(request):
    logging.getLogger(MARKUP).warning("%s javascript:alert(4)", MARKUP)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s AS markup", [MARKUP])
    template = engines["django"].from_string("")
    template.template.name = MARKUP
    template.render({{MARKUP: 1}})
    request.markup = MARKUP
    if "fail" in request.GET:
        raise ValueError(MARKUP)
    response = HttpResponse(request.path, headers={{"X-Markup": MARKUP}})
    response.set_cookie("markup", MARKUP)
    return response


view.__name__ = view.__qualname__ = MARKUP
urlpatterns = [re_path("^.*$", view, name=MARKUP)]
"""
TABS = ("onion", "timeline", "changes", "queries", "templates", "resolver", "headers", "server", "logs", "exception")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site whose view is full of markup, behind uvicorn."""
    site = Site(tmp_path_factory.mktemp("hostile") / "site")
    site.install("pipeline_inspector")
    site.configure('PIPELINE_INSPECTOR = {"EDITOR": "vscode"}')
    site.write("mysite/urls.py", URLS)
    yield site.serve("uvicorn")
    site.close()


@pytest.fixture
def watched(page: "Page", server: Server) -> Iterator[list[str]]:
    """What goes wrong in the page: dialogs, errors, violations of the policy, anything loaded from elsewhere."""
    wrong: list[str] = []
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(f"error {error}"))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    ours = f"{server.url}/__inspector__/"
    page.on("request", lambda asked: None if asked.url.startswith((ours, "data:")) else wrong.append(asked.url))
    yield wrong
    assert wrong == []


@pytest.fixture
def attack(server: Server) -> Callable[..., str]:
    """Send a request full of markup; its path."""

    def send(name: str = "", query: str = "") -> str:
        path = f"/{name}{MARKUP}"
        headers = {"User-Agent": MARKUP, "X-Markup": MARKUP, "Referer": "javascript:alert(5)", "Cookie": f"a={MARKUP}"}
        with contextlib.suppress(ValueError):
            server.get(f"{quote(path)}?{query}&q={quote(MARKUP)}", headers=headers)
        return path

    return send


def test_no_tab_and_no_page_runs_what_a_request_brought(
    page: "Page", server: Server, watched: list[str], attack: Callable[..., str]
) -> None:
    fine, failed = attack("fine"), attack("failed", "fail")
    for path in (fine, failed):
        (row,) = server.recorded(path)
        page.goto(f"{server.url}/__inspector__/requests/{row['id']}/")
        page.get_by_role("status").filter(has_text="live").wait_for()
        for tab in TABS[1:] if path == failed else TABS[1:-1]:
            page.goto(f"{server.url}/__inspector__/requests/{row['id']}/?tab={tab}")
            assert page.locator("img").count() == 0
    for other in ("pipeline/", "startup/", f"compare/?a={row['id']}"):
        page.goto(f"{server.url}/__inspector__/{other}")


def test_a_hostile_request_that_comes_while_one_looks_is_a_line_of_text(
    page: "Page", server: Server, watched: list[str], attack: Callable[..., str]
) -> None:
    page.goto(f"{server.url}/__inspector__/")
    page.get_by_role("status").filter(has_text="live").wait_for()
    path = attack("live")
    page.get_by_role("list", name="Requests").get_by_text(path).first.wait_for()
    page.get_by_role("list", name="Requests").get_by_role("link").first.click()
    page.get_by_role("navigation", name="Request").get_by_role("link").nth(2).click()
    page.get_by_role("table").first.wait_for()
    assert page.locator("img").count() == 0
