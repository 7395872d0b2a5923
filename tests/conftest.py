"""Fixtures that all tests share: a real site with servers, and a browser."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import pipeline_inspector
from pipeline_inspector.recording import recorder
from tests.sites import Site, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHECKOUT = Path(__file__).parent.parent
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
SWITCHED_OFF_BY_PLAYWRIGHT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "TcpPortRandomizationWin,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch"
)
"""Of the browser's features. The browser heeds only the last ``--disable-features``, which is ours."""
ADDRESS_BAR = "WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup"
"""What a whole Chromium draws below its address bar: two more processes for each profile, though nobody sees them."""
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={SWITCHED_OFF_BY_PLAYWRIGHT},{ADDRESS_BAR}",
]


def pytest_configure() -> None:
    """``PIPELINE_INSPECTOR_UNDER_TEST=wheel`` promises that the installed wheel is tested: fail when it is not."""
    inside = Path(pipeline_inspector.__file__).parent.parent == CHECKOUT
    if os.environ.get("PIPELINE_INSPECTOR_UNDER_TEST") == "wheel" and inside:
        raise pytest.UsageError(
            f"The wheel was to be tested, but pipeline_inspector comes from {CHECKOUT}. "
            "Install the wheel and start with 'pytest', not 'python -m pytest'."
        )


def pytest_report_header() -> str:
    """Which copy of the package is tested."""
    return f"pipeline_inspector {pipeline_inspector.__version__} from {Path(pipeline_inspector.__file__).parent}"


def pytest_collection_finish() -> None:
    """What there is before the first test is no garbage, and no handler: the collector need not look at it every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _unhurried() -> Iterator[None]:
    """Tests that ask a site in their own process keep it as busy as it can be: their requests are recorded all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SHARE", 1.0)
        patch.setattr(recorder, "SHARE_WATCHED", 1.0)
        yield


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    return free_port()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """``make_site(*apps, first=False)``: a site fresh from ``startproject`` with ``apps`` added to ``INSTALLED_APPS``
    (``"pipeline_inspector"`` when none are named); with ``"daphne"`` among them ``ASGI_APPLICATION`` is set too.
    Its servers are stopped at the end of the test."""
    sites: list[Site] = []

    def make(*apps: str, first: bool = False) -> Site:
        site = Site(tmp_path / f"site{len(sites)}")
        sites.append(site)
        for app in apps or ("pipeline_inspector",):
            site.install(app, first=first or app == "daphne")
        if "daphne" in apps:
            site.configure('ASGI_APPLICATION = "mysite.asgi.application"')
        return site

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site fresh from ``startproject`` with the one line ``"pipeline_inspector"`` added."""
    return make_site()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium: the one named by ``PLAYWRIGHT_CHROMIUM``, else Playwright's own, else the system's.

    One per module, and only started when asked for: while it runs, the thread of the tests counts as inside an event
    loop, so tests of coroutines and of the database do not belong in the same module.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=_chromium(playwright.chromium.executable_path), args=CHROMIUM_ARGUMENTS
        )
        yield chromium
        chromium.close()


def _chromium(own: str) -> str:
    candidates = [os.environ.get("PLAYWRIGHT_CHROMIUM", ""), own, "/usr/bin/chromium"]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    raise AssertionError(f"No Chromium at any of {candidates}. Run 'playwright install chromium' or 'make test'.")


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A page in a browser profile of its own, 1440 by 900."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()
