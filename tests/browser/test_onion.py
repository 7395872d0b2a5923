"""The onion in a real browser: any number of layers in any size, its marks, its spare numbers, its empty states. Each saves
a screenshot."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pipeline_inspector.records import Dropped, RequestRecord
from tests import samples
from tests.browser.conftest import Show
from tests.browser.face import Face
from tests.browser.looking import faults_of

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"
SCREENS: dict[str, dict[str, float]] = {
    "usual": {},
    "laptop": {"width": 1280, "height": 720},
    "low": {"width": 1280, "height": 600},
    "very-wide": {"width": 2200, "height": 1200},
    "zoomed": {"width": 640, "height": 400, "scale": 2},
    "narrow": {"width": 390, "height": 844, "scale": 2},
}
SHAPES = ("passed", "answered", "raised", "raised_rescued", "layer_raised", "off", "running")

Serve = Callable[[list[RequestRecord], int], Face]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(records, layers)``: a site that kept these requests."""
    sites = []

    def start(records: list[RequestRecord], layers: int = 12) -> Face:
        sites.append(Face(records, layers).start())
        return sites[-1]

    yield start
    for site in sites:
        site.stop()


def address(site: Face, record: RequestRecord) -> str:
    return f"{site.url}requests/{record.id}/"


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"onion-{name}.png", full_page=True)


def watch(page: Page) -> None:
    """The face has no live connection: say that there is one, so that a running request is asked for again."""
    page.evaluate("document.getElementById('connection').dataset.state = 'live'")


def check_axe(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(("layers", "screen"), [
    *((layers, screen) for layers in (1, 3, 8, 12, 20, 28, 40) for screen in ("usual", "narrow")),
    *((layers, screen) for layers in (12, 40) for screen in ("laptop", "low", "very-wide", "zoomed")),
])  # fmt: skip
def test_any_number_of_layers_is_drawn_clean_in_any_size(serve: Serve, show: Show, layers: int, screen: str) -> None:
    records = [samples.record(kind, layers, seq=seq) for seq, kind in enumerate(("asgi_hops", "layer_raised"), 1)]
    site = serve(records, layers)
    for record, theme in zip(records, ("light", "dark"), strict=True):
        page = show(address(site, record), theme=theme, **SCREENS[screen])
        expect(page.get_by_role("figure").get_by_role("button")).to_have_count(layers)
        picture(page, f"{layers}-{record.id}-{screen}-{theme}")
        assert faults_of(page, smallest=6.5) == []


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("screen", ["laptop", "narrow"])
def test_every_shape_of_the_way_is_without_a_violation_in_both_themes(
    serve: Serve, show: Show, kind: str, screen: str
) -> None:
    record = samples.record(kind, 12)
    site = serve([record], 12)
    for theme in ("light", "dark"):
        page = show(address(site, record), theme=theme, **SCREENS[screen])
        picture(page, f"{kind}-{screen}-{theme}")
        check_axe(page)


@pytest.mark.parametrize(("kind", "marks"), [("passed", []), ("answered", []), ("raised", ["raised", "rescued"]),
                                             ("raised_rescued", ["raised", "rescued"]),
                                             ("layer_raised", ["raised", "rescued"])])  # fmt: skip
def test_an_exception_is_marked_where_it_was_raised_and_where_it_became_a_response(
    serve: Serve, show: Show, kind: str, marks: list[str]
) -> None:
    record = samples.record(kind, 12)
    page = show(address(serve([record]), record))
    drawn = page.eval_on_selector_all(".moment", "all => all.map(one => one.classList[1])")
    assert drawn == marks
    expect(page.locator(".legend")).to_contain_text("exception" if marks else "way out")
    colours = page.eval_on_selector_all(".moment circle", "all => all.map(one => getComputedStyle(one).fill)")
    assert len(set(colours)) == len(marks)


def test_a_number_without_room_shows_with_its_ring_on_hover_and_on_focus(serve: Serve, show: Show) -> None:
    record = samples.record("passed", 40)
    page = show(address(serve([record], 40), record))
    spare = page.locator(".crossings.usual .crossing.spare").first
    expect(spare).to_be_hidden()
    ring = page.locator(f"#ring-{spare.get_attribute('data-layer')}")
    ring.dispatch_event("pointerover")
    expect(spare).to_be_visible()
    page.get_by_role("heading", name="Middleware", exact=True).hover()
    expect(spare).to_be_hidden()
    ring.focus()
    expect(spare).to_be_visible()
    picture(page, "spare-number")


@pytest.mark.parametrize("screen", ["narrow", "low"])
def test_a_small_picture_has_few_numbers_and_large_ones(serve: Serve, show: Show, screen: str) -> None:
    record = samples.record("passed", 12)
    page = show(address(serve([record]), record), **SCREENS[screen])
    expect(page.locator(".crossings.usual")).to_be_hidden()
    heights = page.eval_on_selector_all(
        ".crossings.large .crossing:not(.spare) rect", "all => all.map(one => one.getBoundingClientRect().height)"
    )
    assert heights
    assert min(heights) > 11


def test_the_ring_with_the_focus_is_seen_in_both_themes(serve: Serve, show: Show) -> None:
    record = samples.record("passed", 12)
    site = serve([record])
    for theme in ("light", "dark"):
        page = show(address(site, record), theme=theme)
        page.keyboard.press("o")
        page.keyboard.press("ArrowRight")
        ring = page.get_by_role("figure").get_by_role("button").nth(1)
        expect(ring).to_be_focused()
        edge = ring.locator(".edge").first
        looks = "edge => [getComputedStyle(edge).stroke, parseFloat(getComputedStyle(edge).strokeWidth)]"
        stroke, width = edge.evaluate(looks)
        assert stroke != "none"
        assert width == 3
        expect(page.locator(".readout")).to_contain_text(ring.get_attribute("aria-label") or "?")
        picture(page, f"focus-{theme}")


def test_a_request_that_stands_still_is_not_drawn_again_and_its_ring_stays_under_the_pointer(
    serve: Serve, show: Show
) -> None:
    record = samples.record("running", 12)
    site = serve([record])
    page = show(address(site, record))
    page.evaluate(
        "window.drawn = 0;"
        "document.addEventListener('htmx:afterSwap', (event) => { window.drawn += event.target.id === 'stage'; })"
    )
    watch(page)
    ring = page.get_by_role("figure").get_by_role("button").nth(2)
    ring.dispatch_event("pointerover")
    named = page.get_by_role("heading", name=ring.get_attribute("aria-label") or "?")
    expect(named).to_be_visible()
    for _ in range(4):
        with page.expect_response(address(site, record)):
            pass
    expect(named).to_be_visible()
    assert page.evaluate("window.drawn") <= 1
    picture(page, "running-hovered")


def test_a_ring_under_the_pointer_keeps_its_card_when_the_request_goes_on(serve: Serve, show: Show) -> None:
    record = samples.record("running", 12)
    site = serve([record])
    page = show(address(site, record))
    ring = page.get_by_role("figure").get_by_role("button").nth(2)
    ring.dispatch_event("pointerover")
    watch(page)
    site.records[record.id] = over = samples.record("passed", 12)
    over.id = record.id
    expect(page.locator("#stage .stage")).to_have_attribute("data-state", "finished")
    expect(page.get_by_role("heading", name=ring.get_attribute("aria-label") or "?")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_was_cut_off_is_said(serve: Serve, show: Show, theme: str) -> None:
    record = samples.record("passed", 12)
    record.dropped = Dropped(events=12, changes=1, queries=3000)
    page = show(address(serve([record]), record), theme=theme)
    expect(page.get_by_role("note")).to_have_text(
        "Cut off. This request did more than is kept of one: 12 events, 1 changes, 3000 queries are missing here."
    )
    picture(page, f"cut-{theme}")
    check_axe(page)


@pytest.mark.parametrize("screen", ["usual", "narrow"])
def test_where_nothing_was_recorded_the_onion_is_explained_and_nothing_is_to_be_chosen(
    serve: Serve, show: Show, screen: str
) -> None:
    page = show(serve([]).url, **SCREENS[screen])
    expect(page.get_by_role("heading", name="Nothing recorded yet")).to_be_visible()
    expect(page.get_by_text("Each middleware is a ring")).to_be_visible()
    expect(page.get_by_role("heading", name="Choose a request")).to_be_hidden()
    picture(page, f"nothing-{screen}")
    check_axe(page)
    assert faults_of(page) == []


def test_times_are_told_in_three_digits_and_one_unit_also_while_they_run(serve: Serve, show: Show) -> None:
    slow, running = samples.record("passed", 12, seq=1), samples.record("running", 12, seq=2)
    slow.duration_ns = 61_234_567_890
    page = show(serve([slow, running]).url)
    expect(page.locator(".took").nth(1)).to_have_text("61200 ms")
    page.evaluate("document.querySelector('[data-since]').dataset.since = new Date(Date.now() - 12345).toISOString()")
    expect(page.locator(".took").first).to_have_text(re.compile(r"^1\d\d00 ms$"))
