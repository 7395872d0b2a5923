"""Every page, tab and state in every size, theme and zoom: nothing runs over, is cut, covered or too small to be read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pipeline_inspector.records import Plan, RequestRecord
from tests.browser.conftest import Show
from tests.browser.looking import enlarge_text, faults_of
from tests.browser.pages import Pages, one_of_each
from tests.sample_extremes import crowded, plan_of

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"
TABS = ("onion", "timeline", "changes", "queries", "templates", "resolver", "headers", "server", "cache", "logs",
        "exception")  # fmt: skip
LAYERS = (1, 3, 8, 28, 40)
WHOLE = ("usual", "narrow")
"""Pictures of these screens show what one must scroll to as well. That takes twice as long."""


class Crowded(Pages):
    """The pages of a site where everything is too long and too much."""

    def plan(self, record: RequestRecord | None) -> Plan:
        return plan_of(record or next(iter(self.records.values())))

    def chain_of_page(self) -> Plan:
        return self.plan(None)


@pytest.fixture
def tolerated() -> tuple[str, ...]:
    """Pages that are not there, and those that are not for everybody, are among those looked at."""
    return ("status of 40",)


@pytest.fixture(scope="module")
def usual() -> Iterator[Pages]:
    """One request of every kind."""
    pages = one_of_each()
    pages.start()
    yield pages
    pages.stop()


@pytest.fixture(scope="module")
def full() -> Iterator[Pages]:
    """Requests through 1 to 40 layers with everything too long."""
    busy = crowded(LAYERS[0])
    others = [crowded(layers, seq=seq, queries=70) for seq, layers in enumerate(LAYERS[1:], 2)]
    pages = Crowded([busy, *others], 8)
    pages.start()
    yield pages
    pages.stop()


@pytest.fixture(scope="module")
def bare() -> Iterator[Pages]:
    """A site where nothing has happened yet."""
    pages = Pages([], 8)
    pages.empty = True
    pages.start()
    yield pages
    pages.stop()


def _addresses(site: Pages, kind: str) -> dict[str, str]:
    """Every page (``pages``), every tab of one request (``tabs``) or every request (``onions``), by a short name."""
    names = list(site.records)
    if kind == "onions":
        return {f"onion-{name}": f"requests/{name}/" for name in names}
    if kind == "tabs":
        rich = next((name for name in names if name.startswith("raised-rescued")), names[0])
        return {f"tab-{tab}": f"requests/{rich}/?tab={tab}" for tab in TABS}
    found = {
        "requests": "",
        "no-match": "?path=no-such-path",
        "gone": "requests/gone-0001/",
        "pipeline": "pipeline/",
        "compare": "compare/",
        "startup": "startup/",
        "denied": "denied/",
    }
    if names:
        found["compared"] = f"compare/?a={names[0]}&b={names[-1]}"
        found["compared-one"] = f"compare/?a={names[0]}"
    return found


def _look(page: Page, name: str, smallest: float = 6.9) -> list[str]:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"look-{name}.png", full_page=name.endswith(WHOLE))
    return [f"{name}: {fault}" for fault in faults_of(page, smallest)]


SCREENS = {
    "wide": (2200, 1200, 1.0),
    "usual": (1440, 900, 1.0),
    "low": (1280, 720, 1.0),
    "zoomed": (640, 400, 2.0),
    "narrow": (390, 844, 1.0),
}


KINDS = ("pages", "tabs", "onions")
LOOKS = [
    *(("usual", screen, kind) for screen in SCREENS for kind in KINDS),
    *(("full", screen, kind) for screen in ("usual", "zoomed", "narrow") for kind in KINDS),
    *(("bare", screen, "pages") for screen in ("usual", "zoomed", "narrow")),
]


@pytest.mark.parametrize(("which", "screen", "kind"), LOOKS)
def test_nothing_is_cut_or_covered_on_any_page(
    request: pytest.FixtureRequest, show: Show, which: str, screen: str, kind: str
) -> None:
    site: Pages = request.getfixturevalue(which)
    width, height, scale = SCREENS[screen]
    page = show(site.url, width, height, scale=scale)
    found = []
    for name, address in _addresses(site, kind).items():
        page.goto(site.url + address)
        found += _look(page, f"{which}-{name}-{screen}")
    assert found == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["usual", "full"])
def test_letters_twice_as_large_are_neither_cut_nor_covered(
    request: pytest.FixtureRequest, show: Show, which: str, kind: str
) -> None:
    site: Pages = request.getfixturevalue(which)
    page = show(site.url, 1280, 800)
    found = []
    for name, address in _addresses(site, kind).items():
        page.goto(site.url + address)
        enlarge_text(page)
        found += _look(page, f"{which}-{name}-enlarged", smallest=5)
    assert found == []


@pytest.mark.parametrize(
    ("system", "chosen", "kind"),
    [
        *((system, "", kind) for system in ("light", "dark") for kind in ("pages", "tabs")),
        *(("light", "dark", "pages"), ("dark", "light", "pages")),
    ],
)
def test_every_page_is_without_a_violation_in_every_theme_when_zoomed(
    usual: Pages, show: Show, system: str, chosen: str, kind: str
) -> None:
    page = show(usual.url, 640, 400, system, scale=2)
    for _ in range({"": 0, "light": 1, "dark": 2}[chosen]):
        page.keyboard.press("t")
    found = []
    for name, address in _addresses(usual, kind).items():
        page.goto(usual.url + address)
        report = Axe().run(page)
        found += [f"{name}: {violation['id']}" for violation in report.response["violations"]]
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 26)"
        assert dark == ((chosen or system) == "dark") or name == "denied"
    assert found == []


def test_the_help_is_whole_on_a_zoomed_page(usual: Pages, show: Show) -> None:
    page = show(usual.url, 640, 400, scale=2)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    expect(page.get_by_role("heading", name="Keyboard")).to_be_in_viewport()
    assert _look(page, "help-zoomed") == []
