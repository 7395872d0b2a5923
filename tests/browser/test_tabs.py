"""The tabs and the pages Pipeline, Compare and Start-up in a real browser: keys, zoom, axe, small screens, strict policy."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests import samples
from tests.browser.conftest import Show
from tests.browser.face import Face
from tests.browser.pages import Pages, one_of_each

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"
SLUGS = ("timeline", "changes", "queries", "templates", "resolver", "headers", "server", "cache", "logs", "exception")


@pytest.fixture(scope="module")
def site() -> Iterator[Pages]:
    """One request of every kind; nothing in it is switched."""
    pages = one_of_each()
    pages.start()
    yield pages
    pages.stop()


@pytest.fixture
def switchable() -> Iterator[Pages]:
    """A site of its own for a test that switches."""
    pages = one_of_each()
    pages.start()
    yield pages
    pages.stop()


@pytest.fixture(scope="module")
def bare() -> Iterator[Pages]:
    """A site where nothing has happened yet."""
    pages = Pages([samples.record("not_found", 8)], 8)
    pages.empty = True
    pages.start()
    yield pages
    pages.stop()


def _address(site: Face, kind: str, tab: str) -> str:
    found = next(name for name in site.records if name.startswith(kind.replace("_", "-") + "-0"))
    return f"{site.url}requests/{found}/?tab={tab}"


def _check(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"tabs-{name}.png", full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= screen, f"the page is {wide} wide on a screen of {screen}"


PLACES = (("light", 1440), ("dark", 390))


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize(("theme", "width"), PLACES)
def test_every_tab_is_shown_without_a_violation(site: Pages, show: Show, theme: str, width: int, slug: str) -> None:
    page = show(_address(site, "raised_rescued", slug), width, theme=theme)
    expect(
        page.get_by_role("navigation", name="Request").get_by_role("link", name=re.compile(slug, re.I))
    ).to_have_attribute("aria-current", "page")
    _check(page, f"{slug}-{theme}-{width}")


@pytest.mark.parametrize(
    ("kind", "tab"),
    [("n_plus_one", "queries"), ("not_found", "resolver"), ("answered", "resolver"), ("not_found", "templates")],
)
def test_the_telling_states_of_tabs_are_shown_without_a_violation(site: Pages, show: Show, kind: str, tab: str) -> None:
    _check(show(_address(site, kind, tab)), f"{kind}-{tab}")


@pytest.mark.parametrize(("theme", "width"), PLACES)
def test_every_other_page_is_shown_without_a_violation(site: Pages, show: Show, theme: str, width: int) -> None:
    page = show(f"{site.url}pipeline/", width, theme=theme)
    _check(page, f"pipeline-{theme}-{width}")
    names = list(site.records)
    page.goto(f"{site.url}compare/?a={names[0]}&b={names[1]}")
    _check(page, f"compare-{theme}-{width}")
    page.goto(f"{site.url}startup/")
    _check(page, f"startup-{theme}-{width}")


@pytest.mark.parametrize("address", ["pipeline/", "compare/", "startup/"])
def test_pages_with_nothing_to_show_explain_themselves(bare: Pages, show: Show, address: str) -> None:
    page = show(bare.url + address)
    expect(page.get_by_text(re.compile("Open your site once")).first).to_be_visible()
    _check(page, f"empty-{address.strip('/')}")


def test_all_tabs_stand_on_one_line_beside_the_list_and_the_chain(site: Pages, show: Show) -> None:
    page = show(_address(site, "raised_rescued", "onion"), 1280)
    tops = page.locator(".tabs a").evaluate_all("links => links.map((link) => link.getBoundingClientRect().top)")
    assert len(tops) == len(SLUGS) + 1
    assert len(set(tops)) == 1


_PLACES = """() => {
  const tabs = document.querySelector(".tabs");
  const edge = tabs.getBoundingClientRect();
  const whole = (link) => link.left >= edge.left && link.right <= edge.right;
  const boxes = [...tabs.querySelectorAll("a")].map((link) => link.getBoundingClientRect());
  const told = (side) => getComputedStyle(tabs.querySelector(side)).visibility === "visible";
  return {
    lines: new Set(boxes.map((box) => box.top)).size,
    chosen: whole(tabs.querySelector("[aria-current]").getBoundingClientRect()),
    before: !whole(boxes[0]), after: !whole(boxes.at(-1)), says: [told(".before"), told(".after")],
  };
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_tabs_that_do_not_fit_stand_on_one_line_that_shows_the_chosen_one(site: Pages, show: Show, theme: str) -> None:
    page = show(_address(site, "raised_rescued", "onion"), 390, theme=theme)
    tabs = page.get_by_role("navigation", name="Request")
    for name in ("Timeline", "Headers", "Exception", "Resolver"):
        tabs.get_by_role("link", name=name).click()
        expect(tabs.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
        page.wait_for_function(f"() => ({_PLACES})().chosen")
        seen = page.evaluate(_PLACES)
        assert seen["lines"] == 1
        assert seen["says"] == [seen["before"], seen["after"]]
        _check(page, f"narrow-{name.lower()}-{theme}")
    assert seen["says"] == [True, True]


def test_tabs_out_of_sight_are_reached_by_key_and_by_the_arrow_that_tells_of_them(site: Pages, show: Show) -> None:
    page = show(_address(site, "raised_rescued", "onion"), 390)
    links = page.get_by_role("navigation", name="Request").get_by_role("link")
    expect(links.last).not_to_be_in_viewport()
    expect(page.locator(".tabs-more.before")).to_be_hidden()
    page.locator(".tabs-more.after").click()
    expect(page.locator(".tabs-more.before")).to_be_visible()
    expect(links.first).not_to_be_in_viewport()
    links.first.focus()
    expect(links.first).to_be_in_viewport(ratio=1)
    for _ in range(links.count() - 1):
        page.keyboard.press("Tab")
    expect(links.last).to_be_focused()
    expect(links.last).to_be_in_viewport(ratio=1)


# -- the timeline under the hand ----------------------------------------------------------------------------------------


def _rows(page: Page) -> Locator:
    return page.get_by_role("list", name="Timeline").get_by_role("link")


def _bar(page: Page) -> tuple[float, float]:
    """Place and width of the view's bar in percent."""
    bar = page.locator(".waterfall-rows .kind-view .bar")
    return tuple(float((bar.get_attribute(name) or "").rstrip("%")) for name in ("x", "width"))  # type: ignore[return-value]


def test_hovering_a_row_tells_its_times(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    _rows(page).filter(has_text="Session").first.hover()
    expect(page.locator(".tell")).to_contain_text("SessionMiddleware layer")
    expect(page.locator(".tell")).to_contain_text("1.41 ms itself")


def test_arrows_walk_the_rows_and_tell_each(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    _rows(page).first.focus()
    page.keyboard.press("ArrowDown")
    expect(_rows(page).nth(1)).to_be_focused()
    expect(page.locator(".tell")).to_contain_text("SecurityMiddleware")
    page.keyboard.press("ArrowUp")
    expect(_rows(page).first).to_be_focused()


def test_dragging_over_the_bars_zooms_in_and_does_not_follow_the_link(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    before = _bar(page)
    address = page.url
    box = page.locator(".kind-view .track").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    expect(page.locator(".zoom-band")).to_be_visible()
    page.mouse.up()
    assert _bar(page)[1] == pytest.approx(before[1] * 4, rel=0.3)
    assert page.url == address
    expect(page.get_by_role("button", name="Whole")).to_be_enabled()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "tabs-timeline-zoomed.png")
    page.get_by_role("button", name="Whole").click()
    assert _bar(page) == pytest.approx(before, abs=0.01)


def test_keys_zoom_around_the_row_and_move_along(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    before = _bar(page)
    _rows(page).filter(has_text="ArticleList.get").focus()
    page.keyboard.press("+")
    zoomed = _bar(page)
    assert zoomed[1] == pytest.approx(before[1] * 2, rel=0.01)
    assert zoomed[0] + zoomed[1] / 2 == pytest.approx(50, abs=3)
    page.keyboard.press("Shift+ArrowRight")
    assert _bar(page)[0] == pytest.approx(zoomed[0] - 25, abs=0.1)
    page.keyboard.press("0")
    assert _bar(page) == pytest.approx(before, abs=0.01)


def test_ticks_follow_the_zoom(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    marks = page.locator(".tick text")
    coarse = marks.all_text_contents()
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    fine = marks.all_text_contents()
    assert fine != coarse
    assert float(fine[1]) - float(fine[0]) < float(coarse[1]) - float(coarse[0])


def test_a_row_leads_to_its_ring_and_the_ring_is_chosen(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    _rows(page).filter(has_text="Session").first.click()
    expect(page.get_by_role("button", name="SessionMiddleware", exact=True)).to_be_focused()
    expect(page.get_by_role("heading", name="SessionMiddleware")).to_be_visible()


def test_a_query_row_leads_to_its_statement(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    _rows(page).filter(has_text="INSERT audit").click()
    statement = page.locator(".group:target")
    expect(statement).to_contain_text('INSERT INTO "audit"')
    expect(statement).to_be_in_viewport()


def test_the_timeline_works_after_the_tab_was_changed_without_a_new_page(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "onion"))
    page.get_by_role("navigation", name="Request").get_by_role("link", name="Timeline").click()
    before = _bar(page)
    page.get_by_role("button", name="Zoom in").click()
    assert _bar(page)[1] == pytest.approx(before[1] * 2, rel=0.01)


# -- the others ---------------------------------------------------------------------------------------------------------


def test_a_header_in_the_changes_shows_its_ring(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "changes"))
    page.get_by_role("link", name="X-Frame-Options").click()
    expect(page.get_by_role("button", name="XFrameOptionsMiddleware", exact=True)).to_be_focused()


def test_copy_sql_puts_the_statement_on_the_clipboard(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "queries"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy SQL").first.click()
    expect(page.get_by_role("status", name="Message")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith('SELECT "tenant"."id"')


def test_only_what_differs_hides_the_rest(site: Pages, show: Show) -> None:
    names = {name.rpartition("-")[0]: name for name in site.records}
    page = show(f"{site.url}compare/?a={names['passed']}&b={names['answered']}")
    alike = page.get_by_role("row").filter(has_text="SessionMiddleware")
    expect(alike).to_be_visible()
    page.get_by_label("only what differs").check()
    expect(alike).to_be_hidden()
    expect(page.get_by_role("row").filter(has_text="TenantMiddleware").first).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "tabs-compare-differences.png", full_page=True)


def test_two_requests_are_chosen_and_swapped(site: Pages, show: Show) -> None:
    names = list(site.records)
    page = show(f"{site.url}compare/")
    page.get_by_label("Request A").select_option(names[0])
    page.get_by_label("Request B").select_option(names[1])
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("figure")).to_have_count(2)
    page.get_by_role("link", name="Swap").click()
    expect(page).to_have_url(re.compile(f"a={names[1]}&b={names[0]}$"))


def test_a_switch_on_the_pipeline_page_brings_its_advice(switchable: Pages, show: Show) -> None:
    page = show(f"{switchable.url}pipeline/")
    warning = page.get_by_text("AuthenticationMiddleware leans on SessionMiddleware, which is switched off.")
    expect(warning).to_have_count(0)
    page.get_by_role("switch", name="SessionMiddleware").click()
    expect(page.get_by_role("switch", name="SessionMiddleware")).not_to_be_checked()
    expect(warning).to_be_visible()


def test_a_switch_leaves_the_layers_in_the_order_that_was_chosen(switchable: Pages, show: Show) -> None:
    page = show(f"{switchable.url}pipeline/")
    rows = page.locator(".chain-table tbody tr[data-count]")
    shares = "rows => rows.map((row) => Number(row.dataset.share))"
    head = page.get_by_role("columnheader", name="of the time")
    for order, upward in (("descending", False), ("ascending", True)):
        page.get_by_role("button", name="of the time").click()
        rows.evaluate_all("rows => rows.forEach((row) => row.dataset.old = 'yes')")
        page.get_by_role("switch", name="SessionMiddleware").click()
        expect(page.locator(".chain-table [data-old]")).to_have_count(0)
        expect(head).to_have_attribute("aria-sort", order)
        drawn = rows.evaluate_all(shares)
        assert drawn == sorted(drawn, reverse=not upward)
        expect(page.locator(".hop-row").first).to_be_hidden()


def test_an_older_process_opens_by_key(site: Pages, show: Show) -> None:
    page = show(f"{site.url}startup/")
    older = page.locator("details.process").nth(1)
    expect(older.get_by_text("What runs")).to_be_hidden()
    older.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(older.get_by_text("What runs")).to_be_visible()


def _middle_of_the_track(page: Page, part: float) -> tuple[float, float]:
    box = page.locator(".kind-view .track").bounding_box()
    assert box
    return box["x"] + box["width"] * part, box["y"] + box["height"] / 2


def test_a_wheel_with_ctrl_zooms_where_the_pointer_is(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    left, width = _bar(page)
    page.mouse.move(*_middle_of_the_track(page, left / 100))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    expect(page.get_by_role("button", name="Whole")).to_be_enabled()
    zoomed = _bar(page)
    assert zoomed[1] == pytest.approx(width * math.exp(0.8), rel=0.01)
    assert zoomed[0] == pytest.approx(left, abs=0.5)
    page.mouse.wheel(200, 0)
    page.wait_for_function(
        f"parseFloat(document.querySelector('.waterfall-rows .kind-view .bar').getAttribute('x')) < {zoomed[0] - 5}"
    )
    assert _bar(page)[1] == pytest.approx(zoomed[1], abs=0.1)


def test_two_fingers_spread_on_the_bars_zoom(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    width = _bar(page)[1]
    (one, y), (other, _) = _middle_of_the_track(page, 0.4), _middle_of_the_track(page, 0.6)
    for kind, finger, x in [("down", 1, one), ("down", 2, other), ("move", 1, one - 40), ("move", 2, other + 40)]:
        page.locator(".kind-view .track").dispatch_event(
            f"pointer{kind}", {"pointerId": finger, "pointerType": "touch", "clientX": x, "clientY": y}
        )
    assert _bar(page)[1] == pytest.approx(width * (other - one + 80) / (other - one), rel=0.02)


def test_the_help_names_the_keys_of_the_timeline(site: Pages, show: Show) -> None:
    page = show(_address(site, "passed", "timeline"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard").get_by_role("heading", name="Timeline")).to_be_visible()
