"""The main job in a real browser: a request appears without a reload, shows its onion, and a switch takes a layer out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sites import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"
WAYS = {
    "WSGI, runserver": (["pipeline_inspector"], "runserver"),
    "ASGI, daphne's runserver": (["daphne", "pipeline_inspector"], "runserver"),
    "ASGI, uvicorn": (["pipeline_inspector"], "uvicorn"),
}
LAYER = "XFrameOptionsMiddleware"


@pytest.mark.parametrize("way", WAYS)
def test_watch_open_and_switch_off(make_site: Callable[..., Site], page: "Page", way: str) -> None:
    apps, name = WAYS[way]
    server = make_site(*apps).serve(name)
    page.goto(f"{server.url}/__inspector__/")
    page.get_by_role("status").get_by_text("live", exact=True).wait_for()
    loads = page.evaluate("performance.timeOrigin")

    assert server.get("/").headers["X-Frame-Options"] == "DENY"
    rows = page.get_by_role("list", name="Requests")
    rows.get_by_role("link", name="GET / 200").first.click()

    onion = page.get_by_role("figure", name="Onion of GET /")
    onion.wait_for()
    assert onion.get_by_role("button").count() == 7
    assert onion.get_by_role("button", name=LAYER, exact=True).count() == 1

    chain = page.get_by_role("list", name="Middleware")
    switch = chain.get_by_role("switch", name=LAYER, exact=True)
    with page.expect_response(re.compile("/actions/layers/")) as told:
        switch.click()
    assert told.value.ok
    chain.get_by_role("switch", name=LAYER, exact=True, checked=False).wait_for()

    assert "X-Frame-Options" not in server.get("/?second").headers
    rows.get_by_role("link", name="GET /?second 200").or_(rows.get_by_role("link", name="GET / 200").nth(1)).wait_for()
    rows.get_by_role("link").first.click()
    ring = onion.get_by_role("button", name=re.compile(LAYER))
    page.locator("figure [role=button][data-outcome=off]").wait_for()
    assert ring.count() == 1
    assert page.evaluate("performance.timeOrigin") == loads
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"main-job-{name}-{'asgi' if len(apps) > 1 else ''}.png")
