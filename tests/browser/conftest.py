"""Fixtures of the tests that look at the page in a browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.served import WAYS, Served, start
from tests.sites import Site, free_port

Show = Callable[..., Page]
"""``show(address, width=1440, height=900, theme="light", motion="reduce", scale=1)``: that page in a fresh profile."""


@pytest.fixture(scope="module")
def serve(site: Site) -> Iterator[Callable[[str], Served]]:
    """``serve(way)``: the module's ``site`` behind one of ``WAYS``, each started once."""
    started: dict[str, Served] = {}

    def one(way: str) -> Served:
        if way not in started:
            name, extra, told = WAYS[way]
            started[way] = Served(start(site, name, extra, free_port()), site, told)
        return started[way]

    yield one
    for served in started.values():
        served.server.stop()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains of: scripts that fail, policies that are breached, answers that are errors."""
    return []


@pytest.fixture
def tolerated() -> tuple[str, ...]:
    """Parts of complaints that do not count."""
    return ()


@pytest.fixture
def show(browser: Browser, complaints: list[str], tolerated: tuple[str, ...]) -> Iterator[Show]:
    """Opens pages. At the end: no complaint was heard."""
    contexts = []

    def open_page(
        address: str,
        width: int = 1440,
        height: int = 900,
        theme: str = "light",
        motion: str = "reduce",
        scale: float = 1,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            reduced_motion=motion,  # type: ignore[arg-type]
            device_scale_factor=scale,
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [complaint for complaint in complaints if not any(part in complaint for part in tolerated)] == []
