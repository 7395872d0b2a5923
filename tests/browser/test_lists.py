"""Long lists under the hand: found by a word, put in another order, led to from above, copied from."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from pipeline_inspector import conf
from pipeline_inspector.records import Frame, Query, RequestRecord, Span
from tests import samples
from tests.browser.conftest import Show
from tests.browser.pages import Pages, one_of_each
from tests.sample_chain import SITE

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"


def _asking() -> RequestRecord:
    """A request that asks five tables, the third one four times and the fifth for longest."""
    record = samples.record("passed", 8, seq=50)
    record.id = "asking-0050"
    view = next(span for span in record.spans if span.kind == "view")
    record.queries.clear()
    for table, times in enumerate((1, 1, 4, 1, 1)):
        for run in range(times):
            number = 900 + 10 * table + run
            took = 3_000_000 if table == 4 else 100_000
            record.spans.append(Span(number, view.id, "query", "SELECT", None, view.start_ns + 1000 * number, took))
            group = table if times > 1 else None
            record.queries.append(Query(number, f'SELECT {run} FROM "table_{table}"', duplicate_group=group))
    return record


def _lost() -> RequestRecord:
    """A path that no pattern fitted, after many were tried."""
    record = samples.record("not_found", 8, seq=51)
    record.id = "lost-0051"
    record.tried = ["", "admin/", *(f"blog/ section-{number}/<slug:name>/" for number in range(40)), "shop/"]
    return record


def _caused() -> RequestRecord:
    """An exception of an exception of an exception."""
    record = samples.record("raised", 8, seq=52)
    record.id = "caused-0052"
    assert record.exception
    record.exception.chain = ["ValueError: not a price: 'three'", "InvalidOperation: ConversionSyntax"]
    record.exception.chain_frames = [
        [Frame("save", f"{SITE}/shop/views.py", 12), Frame("price", f"{SITE}/shop/money.py", 40)],
        [Frame("price", f"{SITE}/shop/money.py", 38), Frame("_parse", "<frozen decimal>", 9)],
    ]
    return record


@pytest.fixture(scope="module")
def site() -> Iterator[Pages]:
    """One request of every kind, and three with long lists."""
    pages = one_of_each()
    pages.records |= {record.id: record for record in (_asking(), _lost(), _caused())}
    pages.start()
    yield pages
    pages.stop()


def _check(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"lists-{name}.png", full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def _tables(page: Page) -> list[str]:
    texts = page.get_by_role("list", name="Queries").locator("pre").all_text_contents()
    return [re.sub(r".*(table_\d).*", r"\1", text, flags=re.DOTALL) for text in texts]


def test_statements_are_put_in_the_order_of_their_time_and_of_how_often_they_ran(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/asking-0050/?tab=queries")
    as_they_ran = ["table_0", "table_1", "table_2", "table_3", "table_4"]
    assert _tables(page) == as_they_ran
    page.get_by_label("slowest first").check()
    assert _tables(page)[:2] == ["table_4", "table_2"]
    page.get_by_label("most often").check()
    assert _tables(page)[0] == "table_2"
    _check(page, "queries-most-often")
    page.get_by_label("as they ran").check()
    assert _tables(page) == as_they_ran


@pytest.mark.parametrize(
    ("address", "label", "word", "shown", "hidden"),
    [
        ("requests/asking-0050/?tab=queries", "statements", "TABLE_3", "table_3", "table_1"),
        ("requests/lost-0051/?tab=resolver", "patterns", "section-17", "section-17/", "section-18/"),
        ("requests/passed-0001/?tab=changes", "changes", "cookie", "sessionid", "request.user"),
        ("requests/passed-0001/?tab=headers", "headers", "frame", "DENY", "HttpOnly"),
    ],
)
def test_a_word_leaves_of_a_list_what_holds_it(
    site: Pages, show: Show, address: str, label: str, word: str, shown: str, hidden: str
) -> None:
    page = show(site.url + address)
    pane = page.locator(".pane")
    field = page.get_by_label(f"Find among the {label}")
    field.fill(word)
    expect(pane.locator("[data-item]").filter(has_text=shown).first).to_be_visible()
    expect(pane.locator("[data-item]").filter(has_text=hidden).first).to_be_hidden()
    expect(page.locator("output.found")).to_have_text(re.compile(r"^\d+ of \d+$"))
    _check(page, f"found-{label}")
    field.fill("nothing holds this")
    expect(page.locator("output.found")).to_have_text("none")
    field.press("Escape")
    expect(field).to_have_value("")
    expect(pane.locator("[data-item]").filter(has_text=hidden).first).to_be_visible()
    expect(page.locator("output.found")).to_be_empty()


def test_the_costliest_row_of_the_timeline_is_named_above_it_and_led_to(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/passed-0001/?tab=timeline", height=400)
    first = page.locator(".costly-spans a").first
    name = (first.text_content() or "").rpartition(" ms")[0].rpartition(" ")[0].strip().split(" ×")[0]
    first.click()
    row = page.locator(".waterfall-rows a:focus")
    expect(row).to_contain_text(name)
    expect(row).to_be_in_viewport()
    expect(page.locator(".tell")).to_contain_text("ms")


def test_what_a_row_tells_stays_in_sight_however_far_down_the_row_is(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/passed-0001/?tab=timeline", height=500)
    last = page.get_by_role("list", name="Timeline").get_by_role("link").last
    last.scroll_into_view_if_needed()
    last.hover()
    expect(page.locator(".tell")).to_be_in_viewport()
    expect(page.locator(".tell")).to_contain_text((last.get_attribute("data-name") or "?")[:10])
    expect(page.locator(".waterfall-scale .ticks")).to_be_in_viewport()


def _layers(page: Page) -> list[str]:
    return page.locator(".chain-table tbody th[scope=row] > b").all_text_contents()


def _numbers(page: Page, name: str) -> list[float]:
    rows = page.locator(".chain-table tbody tr[data-count]")
    return [float(value or 0) for value in rows.evaluate_all(f"rows => rows.map((row) => row.dataset.{name})")]


def test_the_layers_are_sorted_by_the_head_of_a_column_and_back_by_that_of_their_place(site: Pages, show: Show) -> None:
    page = show(f"{site.url}pipeline/")
    in_order = _layers(page)
    head = page.get_by_role("button", name="of the time")
    head.click()
    assert _numbers(page, "share") == sorted(_numbers(page, "share"), reverse=True)
    expect(page.get_by_role("columnheader", name="of the time")).to_have_attribute("aria-sort", "descending")
    expect(page.locator(".hop-row").first).to_be_hidden()
    _check(page, "layers-by-share")
    head.click()
    assert _numbers(page, "share") == sorted(_numbers(page, "share"))
    page.get_by_role("button", name="p95 on the way out").focus()
    page.keyboard.press("Enter")
    assert _numbers(page, "outp95") == sorted(_numbers(page, "outp95"), reverse=True)
    page.get_by_role("button", name="#", exact=True).click()
    assert _layers(page) == in_order
    expect(page.locator(".hop-row").first).to_be_visible()


def test_a_copy_button_says_that_it_copied(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/passed-0001/?tab=headers")
    button = page.get_by_role("button", name="Copy all response headers")
    button.click()
    expect(button).to_have_class(re.compile("copied"))
    expect(page.get_by_role("status", name="Message")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("Content-Type: text/html; charset=utf-8\n")
    expect(button).not_to_have_class(re.compile("copied"))


def _place(page: Page) -> Locator:
    return page.locator(".frames .source").filter(has_text="money.py:40")


def test_file_and_line_are_copied_by_a_click_while_no_editor_is_set(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/caused-0052/?tab=exception")
    _place(page).click()
    expect(page.get_by_role("status", name="Message")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{SITE}/shop/money.py:40"


def test_file_and_line_open_in_the_editor_that_is_set(site: Pages, show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    with_editor = msgspec.structs.replace(conf.current(), editor="pycharm")
    monkeypatch.setattr(conf, "current", lambda: with_editor)
    page = show(f"{site.url}requests/caused-0052/?tab=exception")
    expect(_place(page)).to_have_attribute("href", re.compile(r"^pycharm://.*shop/money\.py.*40"))


def test_the_causes_of_an_exception_are_told_with_their_frames(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/caused-0052/?tab=exception", theme="dark")
    causes = page.get_by_role("list", name="Causes")
    expect(causes.locator("> li").first).to_contain_text("ValueError: not a price")
    expect(causes.locator("> li").first.get_by_role("listitem")).to_have_count(2)
    expect(causes).to_contain_text("shop/money.py:38")
    expect(causes.get_by_role("link", name=re.compile("frozen"))).to_have_count(0)
    _check(page, "causes-dark")


def test_each_tab_has_its_own_address_and_the_way_back_leads_through_them(site: Pages, show: Show) -> None:
    page = show(f"{site.url}requests/passed-0001/")
    tabs = page.get_by_role("navigation", name="Request")
    for slug in ("timeline", "changes", "queries"):
        tabs.get_by_role("link", name=re.compile(slug, re.I)).click()
        expect(page).to_have_url(re.compile(rf"/requests/passed-0001/\?tab={slug}$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"tab=changes$"))
    expect(tabs.get_by_role("link", name="Changes")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("region", name="Changes")).to_be_visible()


def test_the_comparison_says_first_what_made_the_difference(site: Pages, show: Show) -> None:
    page = show(f"{site.url}compare/?a=passed-0001&b=answered-0002")
    verdict = page.locator(".verdict")
    expect(verdict).to_contain_text("longer, most of all in")
    expect(verdict).to_be_in_viewport()
    session = page.get_by_role("row").filter(has_text="SessionMiddleware")
    expect(session.get_by_role("cell").nth(4)).to_have_text(re.compile(r"^([+−][\d.]+|0)$"))
