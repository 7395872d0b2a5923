"""Choosing a request in a list that is not at rest: the one that was meant is shown."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.browser.served import Served, row
from tests.sites import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

URLS = """
import time
from pathlib import Path

from django.http import HttpResponse
from django.urls import path, re_path

GATE = Path(__file__).parent / "gate"

def hanging(request):
    while not GATE.exists():
        time.sleep(0.01)
    return HttpResponse("done")

urlpatterns = [path("hanging/", hanging), re_path("^", lambda request: HttpResponse(request.path))]
"""
STAGE = "#stage .stage[aria-label='GET {}']"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose every address answers, and one of them when it is let."""
    site = Site(tmp_path_factory.mktemp("choosing") / "site")
    site.install("pipeline_inspector")
    site.write("mysite/urls.py", URLS)
    return site


@pytest.fixture
def hanging(serve: Callable[[str], Served]) -> Iterator[Served]:
    """A site that works on ``/hanging/`` until the test is over."""
    served = serve("uvicorn")
    gate = served.site.folder / "mysite" / "gate"
    gate.unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.server.get, "/hanging/")
        yield served
        gate.touch()
        waiting.result()


@pytest.mark.parametrize("way", ["uvicorn", "runserver", "gunicorn with one worker"])
def test_no_row_moves_while_one_is_pressed(serve: Callable[[str], Served], page: "Page", way: str) -> None:
    served = serve(way)
    served.server.get("/meant/")
    served.open(page)
    other = page.context.new_page()
    served.open(other)
    row(page, "GET /meant/ 200").first.hover()
    page.mouse.down()
    served.server.get("/late/")
    row(other, "GET /late/ 200").first.wait_for()
    page.mouse.up()
    page.locator(STAGE.format("/meant/")).wait_for()
    row(page, "GET /late/ 200").first.wait_for()


def test_a_button_that_is_never_released_does_not_stop_the_list(serve: Callable[[str], Served], page: "Page") -> None:
    served = serve("uvicorn")
    served.server.get("/held/")
    served.open(page)
    row(page, "GET /held/ 200").first.hover()
    page.mouse.down()
    served.server.get("/all-the-same/")
    row(page, "GET /all-the-same/ 200").wait_for()
    page.mouse.up()


@pytest.mark.parametrize("times", [1, 13])
def test_a_request_in_hand_that_is_not_found_for_a_while_is_asked_for_again(
    hanging: Served, page: "Page", times: int
) -> None:
    left = [times]

    def lost(route: "Route") -> None:
        left[0] -= 1
        if left[0] >= 0:
            route.fulfill(status=404, body="<p>gone</p>")
        else:
            route.continue_()

    page.route("**/requests/*/", lost)
    hanging.open(page)
    row(page, "GET /hanging/ running").click()
    page.locator(STAGE.format("/hanging/")).wait_for()
    assert "/requests/" in page.url
    assert left[0] < 0


def test_a_request_that_ends_when_it_is_clicked_is_shown_as_soon_as_it_is_kept(hanging: Served, page: "Page") -> None:
    gate = hanging.site.folder / "mysite" / "gate"

    def between(route: "Route") -> None:
        if gate.exists():
            route.continue_()
        else:
            route.fulfill(status=404, body="<p>gone</p>")
            gate.touch()

    page.route("**/requests/*/", between)
    hanging.open(page)
    row(page, "GET /hanging/ running").click()
    page.locator(STAGE.format("/hanging/") + "[data-state=finished]").wait_for()


def test_the_request_that_was_clicked_last_is_shown_whichever_answer_comes_last(
    serve: Callable[[str], Served], page: "Page"
) -> None:
    served = serve("uvicorn")
    for path in ("/first/", "/second/"):
        served.server.get(path)
    served.open(page)
    kept: list[Route] = []
    address = row(page, "GET /first/ 200").first.get_attribute("href")
    page.route(f"**{address}", lambda route: kept.append(route))
    row(page, "GET /first/ 200").first.click()
    row(page, "GET /second/ 200").first.click()
    page.locator(STAGE.format("/second/")).wait_for()
    for route in kept:
        route.continue_()
    page.unroute(f"**{address}")
    served.server.get("/third/")
    row(page, "GET /third/ 200").wait_for()
    assert kept
    assert page.locator(STAGE.format("/second/")).count() == 1
    assert row(page, "GET /second/ 200").first.get_attribute("aria-current") == "true"


def test_a_request_in_hand_that_is_drawn_again_does_not_take_the_place_of_the_one_clicked(
    hanging: Served, page: "Page"
) -> None:
    hanging.server.get("/meant/")
    hanging.open(page)
    running = row(page, "GET /hanging/ running")
    running.click()
    page.locator(STAGE.format("/hanging/")).wait_for()
    kept: list[Route] = []
    address = running.get_attribute("href")
    with page.expect_request(f"**{address}"):
        page.route(f"**{address}", lambda route: kept.append(route))
    row(page, "GET /meant/ 200").first.click()
    page.locator(STAGE.format("/meant/")).wait_for()
    for route in kept:
        route.continue_()
    hanging.server.get("/after/")
    row(page, "GET /after/ 200").wait_for()
    assert page.locator(STAGE.format("/meant/")).count() == 1
