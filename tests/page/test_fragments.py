"""The pieces of HTML: names for assistive technology, what is shown, and that nothing of a request can become markup."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import override_settings
from django.utils import translation

from pipeline_inspector.page import formats, fragments, rows
from pipeline_inspector.readings.statistics import statistics
from pipeline_inspector.records import Dropped
from tests import samples

BASE = "/site/__inspector__/"


class Tree(HTMLParser):
    """All elements of a piece of HTML as ``(tag, attributes)``, and whether each one was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if all(a.get(key.replace("_", "-")) == value for key, value in wanted.items())]


def whole_page(kind: str = "passed", layers: int = 8) -> str:
    record = samples.record(kind, layers)
    stage = fragments.stage(record, "onion", BASE, "token")
    chain = fragments.chain(samples.plan(layers), frozenset(), BASE, record=record)
    row = samples.summary(record)
    return fragments.requests_page(
        base=BASE, csrf_token="token", summaries=[row], stage=stage, chain=chain, selected=record.id, live="ws"
    )


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_page_is_well_formed_and_free_of_inline_style_and_script(kind: str) -> None:
    tree = Tree(whole_page(kind))
    assert tree.open == []
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id is given twice"
    for tag, attributes in tree.elements:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "style"
        assert tag != "script" or attributes.get("src")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("passed", "GET /articles/ 200"),
        ("raised", "POST /articles/17/edit/ 500"),
        ("running", "GET /reports/yearly/ running"),
    ],
)
def test_a_row_is_a_link_named_by_method_path_and_status(kind: str, name: str) -> None:
    record = samples.record(kind)
    tree = Tree(rows.row(samples.summary(record), BASE))
    [link] = tree.all("a")
    assert link["aria-label"] == name
    assert link["href"] == f"{BASE}requests/{record.id}/"
    [item] = tree.all("li")
    assert (item["id"], item["data-seq"], item["data-state"]) == (f"r-{record.id}", "1", record.state)


def test_rows_stand_newest_on_top_and_only_the_selected_one_is_current() -> None:
    three = [samples.summary(samples.record("passed", seq=seq)) for seq in (1, 2, 3)]
    tree = Tree(fragments.rows(three, BASE, selected="passed-0002"))
    assert [item["data-seq"] for item in tree.all("li")] == ["3", "2", "1"]
    assert [link.get("aria-current") for link in tree.all("a")] == [None, "true", None]


def test_a_row_of_a_request_in_hand_says_where_it_stands() -> None:
    summary = samples.summary(samples.record("running"))
    summary.layer_now, summary.view, summary.where = "site.layers.SlowMiddleware#2", "page", "/a/b/site/layers.py:31"
    assert rows.told_of(summary) == "in Slow at b/site/layers.py:31"
    summary.layer_now = None
    assert rows.told_of(summary) == "in page at b/site/layers.py:31"
    summary.view, summary.where = "", None
    assert rows.told_of(summary) == ""


def test_a_row_says_who_answered_or_what_was_raised_or_where_it_stands() -> None:
    told = {kind: rows.row(samples.summary(samples.record(kind)), BASE) for kind in samples.KINDS}
    assert "Tenant answered" in told["answered"]
    assert ">ValueError<" in told["raised"]
    assert "in Tenant" in told["running"]
    assert "no view matched" in told["not_found"]
    assert "1 off" in told["off"]


def test_the_bar_of_a_row_never_runs_over() -> None:
    for kind in samples.KINDS:
        tree = Tree(rows.row(samples.summary(samples.record(kind, 40)), BASE))
        parts = [rect for rect in tree.all("rect") if rect["class"] != "rest"]
        assert sum(float(rect["width"] or 0) for rect in parts) <= 100.1


def test_the_onion_is_a_figure_with_one_button_per_layer_named_by_its_class() -> None:
    record = samples.record("passed", 11)
    tree = Tree(fragments.figure(record))
    [figure] = tree.all("figure")
    assert figure["aria-label"] == "Onion of GET /articles/"
    rings = tree.all("g", role="button")
    assert [ring["aria-label"] for ring in rings] == [layer.name for layer in record.layers]
    assert [ring["tabindex"] for ring in rings] == ["0", *["-1"] * 10]


def test_two_onions_on_one_page_share_no_id() -> None:
    record = samples.record("passed", 8)
    tree = Tree(fragments.figure(record, scope="a-") + fragments.figure(record, scope="b-"))
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_stage_has_its_tabs_in_a_navigation_and_says_which_is_open() -> None:
    tree = Tree(fragments.stage(samples.record("raised"), "queries", BASE))
    assert tree.all("nav", aria_label="Request")
    [current] = tree.all("a", aria_current="page")
    assert (current["href"] or "").endswith("?tab=queries")


@pytest.mark.parametrize("tab", ["", "nonsense", "../../etc", "onion"])
def test_an_unknown_tab_is_the_onion(tab: str) -> None:
    assert "<figure" in fragments.stage(samples.record(), tab, BASE)


def test_the_card_of_the_layer_that_answered_stands_open_and_says_who_was_not_reached() -> None:
    record = samples.record("answered", 11)
    tree = Tree(fragments.stage(record, "onion", BASE))
    visible = [card for card in tree.all("article") if "hidden" not in card]
    tenant = next(layer for layer in record.layers if layer.outcome == "answered")
    assert [card["id"] for card in visible] == [f"card-{tenant.index}"]
    card = fragments.card(record, tenant.index)
    assert "Answered the request itself with 302." in card
    assert "XFrameOptions, Htmx, Audit, and the view were not reached." in card


def test_a_card_tells_times_hooks_changes_and_what_ran_inside() -> None:
    record = samples.record("passed", 11)
    session = next(layer for layer in record.layers if layer.name == "SessionMiddleware")
    card = fragments.card(record, session.index)
    for told in ("0.06 ms", "1.35 ms", "process_request, process_response", "request.session", "cookie sessionid",
                 "origin → origin, Cookie", "UPDATE &quot;django_session&quot;"):  # fmt: skip
        assert told in card
    assert "article" not in re.sub(r"</?article[^>]*>", "", card), "what the view ran is not the layer's"


def test_a_layer_that_did_nothing_says_so() -> None:
    record = samples.record("passed", 40)
    quiet = next(layer for layer in record.layers if not layer.changes)
    assert "It changed nothing." in fragments.card(record, quiet.index)


def test_the_chain_is_a_list_of_switches_named_by_class_for_the_layers_that_are_on_and_off() -> None:
    plan = samples.plan(8)
    off = plan.layers[2].id
    tree = Tree(fragments.chain(plan, frozenset({off}), BASE))
    assert tree.all("ol", aria_label="Middleware")
    switches = tree.all("button", role="switch")
    assert [switch["aria-label"] for switch in switches] == [layer.name for layer in plan.layers]
    assert [switch["aria-checked"] for switch in switches] == [str(layer.id != off).lower() for layer in plan.layers]
    assert switches[2]["hx-vals"] == '{"enabled": "true"}'
    assert switches[0]["hx-post"] == f"{BASE}actions/layers/{plan.layers[0].id}/"


def test_a_layer_listed_twice_has_an_address_that_keeps_its_number() -> None:
    plan = samples.plan(2)
    plan.layers[1].id += "#2"
    tree = Tree(fragments.chain(plan, frozenset(), BASE))
    assert (tree.all("button", role="switch")[1]["hx-post"] or "").endswith("Middleware%232/")


def test_the_chain_shows_times_of_the_request_else_the_median_of_many_else_none() -> None:
    record, plan = samples.record("passed", 8), samples.plan(8)
    told = statistics([record])
    assert "ms in this request" in fragments.chain(plan, frozenset(), BASE, record=record, statistics=told)
    assert "ms, median" in fragments.chain(plan, frozenset(), BASE, statistics=told)
    assert "ms" not in re.sub(r"<[^>]*>", "", fragments.chain(plan, frozenset(), BASE))


def test_without_a_chain_it_says_when_there_will_be_one() -> None:
    assert "with the first request" in fragments.chain(None, frozenset(), BASE)


def test_the_chain_sent_along_with_a_request_replaces_the_one_on_the_page() -> None:
    [section] = Tree(fragments.chain(samples.plan(3), frozenset(), BASE, oob=True)).all("section")
    assert section["hx-swap-oob"] == "outerHTML"


def test_what_was_cut_off_is_said() -> None:
    record = samples.record()
    record.dropped = Dropped(events=12, queries=3)
    assert "12 events, 3 queries are missing here" in fragments.stage(record, "onion", BASE)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nothing", "Open your site in another tab"),
        ("no_match", "Show all requests"),
        ("choose", "Choose a request"),
        ("gone", "The newest 2000 requests are kept"),
        ("denied", "PIPELINE_INSPECTOR"),
        ("no_chain", "No chain yet"),
    ],
)
def test_empty_states_teach(kind: Any, words: str) -> None:
    assert words in fragments.notice(kind, BASE, limit=2000)


def test_an_empty_list_says_whether_nothing_was_recorded_or_nothing_matches() -> None:
    assert "Nothing recorded yet" in fragments.requests_page(base=BASE, csrf_token="")
    assert "Nothing matches" in fragments.requests_page(base=BASE, csrf_token="", filtered=True)


def test_nothing_of_a_request_becomes_markup() -> None:
    evil = '"><script>alert(1)</script><b x=\'{{ 7|add:"1" }}'
    record = samples.record("raised", 3, path="/" + evil)
    record.request.query = record.request.method = evil
    record.layers[0].name = record.layers[0].note = evil
    record.layers[0].changes[0].name = record.layers[0].changes[0].after = evil
    record.queries[0].sql = evil
    record.view.name = evil if record.view else ""  # type: ignore[union-attr]
    assert record.exception is not None
    record.exception.message = record.exception.type = evil
    page = fragments.stage(record, "onion", evil) + rows.row(samples.summary(record), BASE)
    assert "<script" not in page
    assert not Tree(page).all("script")
    assert all("x" not in attributes for attributes in Tree(page).all("b"))


def test_numbers_in_pictures_keep_their_point_in_every_language() -> None:
    record = samples.record("passed", 11)
    plain = fragments.stage(record, "onion", BASE)
    with translation.override("de"), override_settings(USE_THOUSAND_SEPARATOR=True):
        assert fragments.stage(record, "onion", BASE) == plain


def test_the_sites_templates_do_not_matter() -> None:
    with override_settings(TEMPLATES=[]):
        assert "<figure" in whole_page()


def test_a_source_line_is_copied_or_opens_in_the_editor_of_the_setting() -> None:
    record = samples.record("passed", 3)
    card = fragments.card(record, 0)
    assert f'data-copy="{record.layers[0].file}:{record.layers[0].line}"' in card
    with override_settings(PIPELINE_INSPECTOR={"EDITOR": "vscode"}):
        assert f'href="vscode://file/{record.layers[0].file}:{record.layers[0].line}"' in fragments.card(record, 0)


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0"), (400, "0"), (4_000, "0.004"), (9_490, "0.009"), (9_510, "0.01"),
     (62_000, "0.06"), (994_000, "0.99"), (8_214_000, "8.21"),
     (9_996_000, "10.0"), (22_140_000, "22.1"), (104_400_000, "104"), (12_300_000_000, "12300"), (2_232_000_000, "2230"),
     (-60_000, "−0.06")],
)  # fmt: skip
def test_milliseconds_have_at_most_three_significant_digits(ns: int, text: str) -> None:
    assert formats.ms(ns) == text


@pytest.mark.parametrize(
    ("count", "text"), [(812, "812 B"), (14_213, "14.2 kB"), (3_100_000, "3.1 MB"), (140_000, "140 kB")]
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert formats.size(count) == text


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("/venv/lib/python3.12/site-packages/django/core/handlers/base.py", "django/core/handlers/base.py"),
        ("/srv/shop/shop/articles/views.py", "shop/articles/views.py"),
    ],
)
def test_paths_are_shortened_to_what_one_recognises(file: str, text: str) -> None:
    assert formats.short_path(file) == text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("django/middleware/csrf.py", "django/<wbr>middleware/<wbr>csrf.py"),
        ("SessionMiddleware", "Session<wbr>Middleware"),
        ("Middleware", "Middleware"),
        ("a<b>/c", "a&lt;b&gt;/<wbr>c"),
        ("csrf_processing_done", "csrf_<wbr>processing_<wbr>done"),
        ("_cached__user_", "_cached__user_"),
    ],
)
def test_long_names_break_after_slash_and_underscore_and_before_the_word_middleware(text: str, html: str) -> None:
    assert formats.breakable(text) == html


@pytest.mark.parametrize(("status", "large"), [(404, ["404"]), (200, [])])
def test_the_core_of_a_request_that_matched_nothing_says_404_only_when_that_was_the_answer(
    status: int, large: list[str]
) -> None:
    record = samples.record("not_found")
    assert record.response is not None
    record.response.status = status
    core = fragments.figure(record).partition('<g class="core-text')[2].partition("</g>")[0]
    assert ">no match<" in core
    assert re.findall(r'class="figure"[^>]*>([^<]*)<', core) == large
