"""The main page's face in a real browser: names, keys, hovering, themes, small screens, axe. Each saves a screenshot."""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pipeline_inspector import conf
from pipeline_inspector.records import RequestRecord
from tests import samples
from tests.browser.conftest import Show
from tests.browser.face import Face

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"
KINDS = ("n_plus_one", "streaming", "not_found", "running", "asgi_hops", "off", "layer_raised", "raised_rescued",
         "raised", "answered", "passed")  # fmt: skip


def face(layers: int, kinds: tuple[str, ...] = KINDS) -> Face:
    return Face([samples.record(kind, layers, seq=seq) for seq, kind in enumerate(kinds, 1)], layers).start()


@pytest.fixture(scope="module")
def eleven() -> Iterator[Face]:
    """A site of eleven layers, one request of every kind; nothing in it is switched."""
    site = face(11)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def forty() -> Iterator[Face]:
    """A site of forty layers."""
    site = face(40, ("answered", "passed"))
    yield site
    site.stop()


@pytest.fixture
def serve() -> Iterator[Callable[[list[RequestRecord]], Face]]:
    """``serve(records)``: a site of the test's own. It answers until the pages are closed: ask for this before ``show``."""
    sites: list[Face] = []

    def start(records: list[RequestRecord]) -> Face:
        sites.append(Face(records, 8).start())
        return sites[-1]

    yield start
    for site in sites:
        site.stop()


@pytest.fixture
def switchable(serve: Callable[[list[RequestRecord]], Face]) -> Face:
    """A site of its own for a test that switches."""
    return serve([samples.record("passed", 8)])


def address(site: Face, kind: str) -> str:
    found = next(name for name in site.records if name.startswith(kind.replace("_", "-") + "-0"))
    return f"{site.url}requests/{found}/"


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"face-{name}.png", full_page=True)


def check_axe(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def check_nothing_runs_over(page: Page) -> None:
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], f"the page is {width[0]} wide on a screen of {width[1]}"


# -- what stands there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_request_is_shown_without_a_violation(eleven: Face, show: Show, kind: str, theme: str) -> None:
    page = show(address(eleven, kind), theme=theme)
    record = next(record for record in eleven.records.values() if record.id in page.url)
    named = f"Onion of {record.request.method} {record.request.path}"
    figure = page.get_by_role("figure", name=named, exact=True)
    expect(figure.get_by_role("button")).to_have_count(11)
    expect(page.get_by_role("list", name="Requests", exact=True).get_by_role("listitem")).to_have_count(len(KINDS))
    expect(page.get_by_role("list", name="Middleware", exact=True).get_by_role("switch")).to_have_count(11)
    expect(page.get_by_role("navigation", name="Request", exact=True)).to_be_visible()
    picture(page, f"{kind}-{theme}")
    check_axe(page)
    check_nothing_runs_over(page)


@pytest.mark.parametrize(
    ("width", "height", "name"), [(390, 844, "narrow"), (720, 450, "zoomed"), (1100, 800, "middle")]
)
@pytest.mark.parametrize("kind", ["passed", "answered", "running"])
def test_small_screens_show_all_of_it(eleven: Face, show: Show, kind: str, width: int, height: int, name: str) -> None:
    page = show(address(eleven, kind), width=width, height=height)
    expect(page.get_by_role("figure")).to_be_visible()
    expect(page.get_by_role("list", name="Middleware")).to_be_visible()
    picture(page, f"{kind}-{name}")
    check_nothing_runs_over(page)
    check_axe(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_forty_layers_stay_readable_and_the_ring_under_the_pointer_is_named(
    forty: Face, show: Show, theme: str
) -> None:
    page = show(address(forty, "passed"), theme=theme)
    rings = page.get_by_role("figure").get_by_role("button")
    expect(rings).to_have_count(40)
    rings.nth(20).dispatch_event("pointerover")
    expect(page.locator(".readout")).to_contain_text(rings.nth(20).get_attribute("aria-label") or "?")
    picture(page, f"forty-{theme}")
    check_axe(page)


def test_no_number_in_the_onion_covers_another(eleven: Face, forty: Face, show: Show) -> None:
    for site in (eleven, forty):
        page = show(address(site, "passed"))
        boxes = page.evaluate(
            "[...document.querySelectorAll('.crossings.usual .crossing:not(.spare) rect')]"
            ".map(r => r.getBoundingClientRect().toJSON())"
        )
        assert boxes
        for index, one in enumerate(boxes):
            for other in boxes[index + 1 :]:
                assert (
                    one["left"] >= other["right"] or one["right"] <= other["left"]
                    or one["top"] >= other["bottom"] or one["bottom"] <= other["top"]
                )  # fmt: skip


def test_every_number_fits_its_pill(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    widths = page.evaluate(
        "[...document.querySelectorAll('.crossings.usual .crossing:not(.spare)')].map(c =>"
        " [c.querySelector('text').getBBox().width, c.querySelector('rect').getBBox().width])"
    )
    assert all(text < pill for text, pill in widths)


@pytest.mark.parametrize("view", ["ArticleList", "feed", "ArticleCommentModerationCreateOrUpdateView"])
@pytest.mark.parametrize("error", ["", "ZeroDivisionError", "SynchronousOnlyOperationNotAllowedHere"])
def test_the_words_in_the_core_fit_the_core(
    serve: Callable[[list[RequestRecord]], Face], show: Show, view: str, error: str
) -> None:
    record = samples.record("raised" if error else "passed", 11)
    assert record.view
    record.view.name = f"shop.views.{view}"
    if record.exception:
        record.exception.type = error
    site = serve([record])
    page = show(f"{site.url}requests/{record.id}/")
    boxes = "(s) => [...document.querySelectorAll(s)].map(e => e.getBBox()).map(b => [b.x, b.y, b.width, b.height])"
    [[left, top, width, height]] = page.evaluate(boxes, ".core .view")
    middle, radius = (left + width / 2, top + height / 2), width / 2
    for x, y, w, h in page.evaluate(boxes, ".core-text text"):
        for corner in ((x, y + h / 4), (x + w, y + h / 4), (x, y + h * 3 / 4), (x + w, y + h * 3 / 4)):
            assert math.dist(corner, middle) <= radius


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_empty_states_teach(eleven: Face, serve: Callable[[list[RequestRecord]], Face], show: Show, theme: str) -> None:
    page = show(eleven.url, theme=theme)
    expect(page.get_by_role("heading", name="Choose a request")).to_be_visible()
    picture(page, f"choose-{theme}")
    check_axe(page)
    page.goto(eleven.url + "?path=no-such-path")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    check_axe(page)
    page.goto(serve([]).url)
    expect(page.get_by_role("heading", name="Nothing recorded yet")).to_be_visible()
    picture(page, f"nothing-{theme}")
    check_axe(page)


# -- rings and cards ------------------------------------------------------------------------------------------------


def test_hovering_a_ring_shows_its_card_and_leaving_brings_back_the_one_before(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    cards = page.get_by_role("region", name="Chosen layer")
    expect(cards.get_by_role("heading", name="Where the time went")).to_be_visible()
    page.locator("#switch-3").locator("..").hover()
    expect(cards.get_by_role("heading", name="CommonMiddleware")).to_be_visible()
    page.get_by_role("heading", name="Middleware", exact=True).hover()
    expect(cards.get_by_role("heading", name="Where the time went")).to_be_visible()


def test_a_click_on_a_ring_keeps_its_card_until_escape(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    cards = page.get_by_role("region", name="Chosen layer")
    outermost = page.get_by_role("figure").get_by_role("button", name="SecurityMiddleware", exact=True)
    box = page.locator(".onion svg .ring .half").first.bounding_box()
    assert box
    page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2 - 30)
    expect(outermost).to_have_attribute("aria-pressed", "true")
    page.get_by_role("heading", name="Middleware", exact=True).hover()
    expect(cards.get_by_role("heading", name="SecurityMiddleware")).to_be_visible()
    page.keyboard.press("Escape")
    expect(cards.get_by_role("heading", name="Where the time went")).to_be_visible()


def test_arrows_walk_the_rings_and_one_of_them_is_in_the_tab_order(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    rings = page.get_by_role("figure").get_by_role("button")
    rings.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(rings.nth(2)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(rings.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(rings.nth(10)).to_be_focused()
    expect(
        page.get_by_role("region", name="Chosen layer").get_by_role("heading", name="AuditMiddleware")
    ).to_be_visible()
    expect(page.locator('.ring[tabindex="0"]')).to_have_count(1)


# -- the list -------------------------------------------------------------------------------------------------------


def test_arrows_walk_the_requests_and_the_tab_stays(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed") + "?tab=headers")
    links = page.get_by_role("list", name="Requests").get_by_role("link")
    links.first.focus()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    expect(links.nth(1)).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile(r"/requests/answered-\d+/\?tab=headers$"))
    expect(page.locator("#tab-headers")).to_have_attribute("aria-current", "page")
    page.keyboard.press("k")
    expect(links.first).to_have_attribute("aria-current", "true")


def test_a_click_shows_the_request_without_loading_the_page_and_back_goes_back(eleven: Face, show: Show) -> None:
    page = show(eleven.url)
    page.evaluate("window.still = true")
    page.get_by_role("link", name="GET /admin/ 302", exact=True).click()
    expect(page.get_by_role("figure", name="Onion of GET /admin/")).to_be_visible()
    assert page.evaluate("window.still")
    page.go_back()
    expect(page.get_by_role("heading", name="Choose a request")).to_be_visible()


def test_a_row_that_leaves_the_list_while_its_request_is_fetched_changes_stage_and_chain(
    eleven: Face, show: Show
) -> None:
    page = show(eleven.url)
    page.evaluate("document.addEventListener('htmx:beforeSend', (event) => event.target.closest('li').remove())")
    row = page.get_by_role("list", name="Requests").get_by_role("link", name=re.compile("^POST .* 500"))
    count = page.locator("#requests > li").count()
    name = row.first.get_attribute("aria-label")
    expect(page.locator("#chain")).to_contain_text("median")
    row.first.click()
    expect(page.get_by_role("figure")).to_have_accessible_name(f"Onion of {name.removesuffix(' 500') if name else ''}")
    expect(page.locator("#chain")).not_to_contain_text("median")
    expect(page.locator("#requests > li")).to_have_count(count - 1)
    expect(page.locator("[id^=r-]")).to_have_count(count - 1)


def test_a_running_request_that_is_drawn_again_does_not_scroll_a_small_screen(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "running"), 390, 844)
    assert page.evaluate("document.querySelector('#stage .stage').getBoundingClientRect().top") > 0
    page.evaluate("document.querySelector('#stage .stage').dataset.old = 'yes'")
    page.evaluate(
        "new Promise((done) => { document.addEventListener('htmx:afterSettle', done, { once: true });"
        " htmx.ajax('GET', location.pathname, { target: '#stage', source: '#stage' }); })"
    )
    expect(page.locator("#stage .stage[data-old]")).to_have_count(0)
    assert page.evaluate("scrollY") == 0


def test_new_rows_take_neither_focus_nor_choice(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    chosen = page.get_by_role("link", name="GET /articles/ 200", exact=True).first
    chosen.focus()
    page.evaluate(
        "document.querySelector('#requests').insertAdjacentHTML('afterbegin',"
        ' \'<li id="r-new"><a href="#" aria-label="GET /new/ 200">new</a></li>\')'
    )
    expect(page.get_by_role("list", name="Requests").get_by_role("link").first).to_have_text("new")
    expect(chosen).to_be_focused()
    expect(chosen).to_have_attribute("aria-current", "true")


def test_the_filter_language_becomes_query_parameters(eleven: Face, show: Show) -> None:
    page = show(eleven.url)
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Filter requests")
    expect(box).to_be_focused()
    box.fill("edit status:500 slower:2ms")
    rows = page.get_by_role("list", name="Requests").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?status=500&min_ms=2&path=edit$"))
    page.reload()
    expect(box).to_have_value("edit status:500 slower:2ms")
    box.fill("slower:soon")
    expect(page.get_by_role("status", name="Filter")).to_have_text("Cannot read slower:soon")
    box.press("Escape")
    expect(rows).to_have_count(len(KINDS))


# -- keys, switches, theme ------------------------------------------------------------------------------------------


def test_brackets_and_digits_go_through_the_tabs(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    page.keyboard.press("]")
    expect(page.locator("#tab-timeline")).to_have_attribute("aria-current", "page")
    page.keyboard.press("[")
    expect(page.locator("#tab-onion")).to_have_attribute("aria-current", "page")
    page.keyboard.press("4")
    expect(page.locator("#tab-queries")).to_have_attribute("aria-current", "page")


def test_the_question_mark_opens_the_help_and_escape_closes_it(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    picture(page, "help")
    check_axe(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_space_pauses_unless_a_button_has_the_focus(eleven: Face, show: Show) -> None:
    page = show(eleven.url)
    page.evaluate(
        "window.pauses = 0; document.getElementById('pause').addEventListener('click', () => window.pauses++)"
    )
    page.keyboard.press("Space")
    assert page.evaluate("window.pauses") == 1
    page.get_by_role("button", name=re.compile("Theme")).focus()
    page.keyboard.press("Space")
    assert page.evaluate("window.pauses") == 1


def test_a_switch_posts_its_layer_with_the_scope_and_the_token_and_shows_the_new_state(
    switchable: Face, show: Show
) -> None:
    page = show(address(switchable, "passed"))
    chosen = next(record for record in switchable.records.values() if record.id in page.url)
    switch = page.get_by_role("switch", name="TenantMiddleware", exact=True)
    page.get_by_role("radio", name="this browser").check()
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    assert switchable.switched == [
        {"path": "actions/layers/shop.tenants.TenantMiddleware/", "enabled": "false", "scope": "me",
         "record": chosen.id, "token": "token-of-the-page"}
    ]  # fmt: skip
    expect(page.locator("#chain")).to_contain_text("ms in this request")
    page.get_by_role("button", name="All on again").click()
    expect(switch).to_have_attribute("aria-checked", "true")


def test_the_theme_is_the_systems_until_one_is_chosen_and_then_stays(eleven: Face, show: Show) -> None:
    page = show(eleven.url, theme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Theme: system").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) == dark


def test_a_source_line_is_copied_by_a_click(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "passed"))
    page.get_by_role("region", name="Chosen layer").get_by_role("button", name=re.compile("views.py:24")).click()
    expect(page.get_by_role("status", name="Message")).to_contain_text("Copied")


def test_source_lines_of_the_main_page_open_in_the_editor_that_is_set(
    serve: Callable[[list[RequestRecord]], Face], show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_editor = msgspec.structs.replace(conf.current(), editor="vscode")
    monkeypatch.setattr(conf, "current", lambda: with_editor)
    site = serve([samples.record("raised", 8, seq=1), samples.record("passed", 8, seq=2)])
    page = show(address(site, "passed"))
    cards = page.get_by_role("region", name="Chosen layer")
    expect(cards.get_by_role("link", name="views.py:24")).to_have_attribute(
        "href", re.compile(r"^vscode://file/.*/articles/views\.py:24$")
    )
    ring = page.get_by_role("figure").get_by_role("button", name="TenantMiddleware", exact=True)
    ring.dispatch_event("pointerover")
    card = cards.get_by_role("article").and_(cards.get_by_label("TenantMiddleware"))
    expect(card.locator("a.source").first).to_have_attribute("href", re.compile(r"^vscode://file/.*\.py:\d+$"))
    picture(page, "editor-links")
    expect(page.locator("button.source")).to_have_count(0)
    page.get_by_role("link", name=re.compile(" 500$")).click()
    expect(cards.locator(".source").first).to_have_attribute("href", re.compile(r"^vscode://file/.*\.py:\d+$"))
    check_axe(page)


@pytest.mark.parametrize("width", [1280, 1440])
def test_the_bar_on_top_stays_on_one_line_whatever_it_tells(eleven: Face, show: Show, width: int) -> None:
    page = show(eleven.url, width=width)
    height = "() => document.querySelector('.top').getBoundingClientRect().height"
    before = page.evaluate(height)
    for place, words in (
        ("#connection", "reconnecting"), ("#pause", "Resume · 4999 new"), ("#rate", "event stream 1234 req/s")
    ):  # fmt: skip
        page.locator(place).evaluate("(place, words) => { place.textContent = words; }", words)
    assert page.evaluate(height) == before
    expect(page.locator("#connection")).to_be_visible()
    picture(page, f"bar-{width}")
    check_nothing_runs_over(page)


def test_nothing_moves_for_who_wants_no_motion(eleven: Face, show: Show) -> None:
    moving = (
        "document.getAnimations().length"
        " + (getComputedStyle(document.querySelector('.half')).transitionDuration !== '0s')"
    )
    assert show(address(eleven, "running"), motion="reduce").evaluate(moving) == 0
    assert show(address(eleven, "running"), motion="no-preference").evaluate(moving) > 0


def test_a_request_drawn_again_while_it_runs_keeps_the_ring_that_has_the_focus(eleven: Face, show: Show) -> None:
    page = show(address(eleven, "running"))
    ring = page.get_by_role("figure").get_by_role("button").nth(3)
    ring.focus()
    page.evaluate("document.querySelector('#stage .stage').dataset.old = 'yes'")
    page.evaluate("htmx.ajax('GET', location.pathname, { target: '#stage', source: '#stage' })")
    expect(page.locator("#stage .stage[data-old]")).to_have_count(0)
    expect(ring).to_be_focused()
    expect(ring).to_have_attribute("aria-pressed", "true")
