"""Every filter, in the box, in the address and for what comes, on a real site."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.served import Served, rows, start
from tests.sites import Site, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

URLS = """
import time

from django.http import HttpResponse
from django.urls import path, re_path

def special(request):
    return HttpResponse("special")

def late(request):
    time.sleep(0.3)
    return HttpResponse("late")

def missing(request):
    return HttpResponse("missing", status=404)

def broken(request):
    return HttpResponse(1 / 0)

def turner(get_response):
    return lambda request: HttpResponse("no") if request.path == "/turned-away/" else get_response(request)

class Inner:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

named = [path(f"{view.__name__}/", view) for view in (special, late, missing, broken)]
urlpatterns = [*named, re_path("^", lambda request: HttpResponse(request.path))]
"""
FILTERS = {
    "method:post": ("POST", "/kind/", "GET", "/kind/"),
    "/kind/a": ("GET", "/kind/a/", "GET", "/kind/b/"),
    "status:404": ("GET", "/missing/", "GET", "/kind/"),
    "status:5xx": ("GET", "/broken/", "GET", "/missing/"),
    "view:special": ("GET", "/special/", "GET", "/kind/"),
    "layer:Inner": ("GET", "/kind/", "GET", "/turned-away/"),
    "slower:300ms": ("GET", "/late/", "GET", "/kind/"),
    "error:ZeroDiv": ("GET", "/broken/", "GET", "/kind/"),
}
"""What is typed, a request that it wants, and one that it does not."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """A site whose requests differ in everything that a filter can ask for."""
    site = Site(tmp_path_factory.mktemp("filters") / "site")
    site.install("pipeline_inspector")
    site.write("mysite/urls.py", URLS)
    site.configure('MIDDLEWARE += ["mysite.urls.turner", "mysite.urls.Inner"]')
    served = Served(start(site, "uvicorn", [], free_port()), site, "WebSocket")
    yield served
    served.server.stop()


@pytest.mark.parametrize("typed", FILTERS)
def test_every_filter_chooses_from_what_is_kept_and_from_what_comes(served: Served, page: "Page", typed: str) -> None:
    method, path, other_method, other = FILTERS[typed]

    def ask(when: str) -> None:
        for one_method, one_path in ((method, path), (other_method, other)):
            served.server.client.request(one_method, f"{one_path}?{when}={typed}")

    ask("before")
    served.open(page)
    page.locator("#filter-text").fill(typed)
    page.wait_for_url("**/?*=*")
    ask("after")
    shown = rows(page).filter(has_text=f"after={typed}")
    shown.first.wait_for()
    assert shown.count() == rows(page).filter(has_text=f"before={typed}").count() == 1
    tagged = rows(page).filter(has_text=f"={typed}")
    names = [link.get_attribute("aria-label") or "" for link in tagged.locator("a[aria-label]").all()]
    assert len(names) == 2
    assert all(name.startswith(f"{method} {path}") for name in names), names
    page.reload()
    shown.first.wait_for()
    assert page.locator("#filter-text").input_value().lower() == typed.lower()
    assert tagged.count() == 2
