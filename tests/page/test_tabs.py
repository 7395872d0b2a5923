"""The tabs' and pages' HTML: what is in the record is on the page, escaped, and what is not is explained."""

import re

import pytest

from pipeline_inspector.control.advice import Finding, advise
from pipeline_inspector.page import statements, tabs
from pipeline_inspector.page.formats import breakable
from pipeline_inspector.page.panels import compare_page, pipeline_page, startup_page
from pipeline_inspector.page.sql import readable, told
from pipeline_inspector.readings.places import Places
from pipeline_inspector.readings.statistics import statistics
from pipeline_inspector.records import (
    Change,
    Frame,
    LogLine,
    NotUsed,
    Query,
    RequestRecord,
    Span,
    Stage,
    TemplateRender,
)
from tests import samples

BASE = "/__inspector__/"
SLUGS = ["timeline", "changes", "queries", "templates", "resolver", "headers", "server", "cache", "logs", "exception"]


def _bare(**fields: object) -> RequestRecord:
    return RequestRecord("bare", 1, "finished", "2026-03-02T09:00:00.000000Z", 1000, **fields)  # type: ignore[arg-type]


def _text(html: str) -> str:
    """What a reader sees, spaces made single."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html.replace("<wbr>", "")))


def test_tabs_of_a_plain_request_in_their_order() -> None:
    assert [tab.slug for tab in tabs.available(_bare())] == SLUGS[:7]


def test_cache_logs_and_exception_have_a_tab_only_when_there_are_any() -> None:
    assert [tab.slug for tab in tabs.available(samples.record("raised", 13))] == SLUGS


def test_tabs_count_what_is_in_them() -> None:
    amounts = {tab.slug: tab.amount for tab in tabs.available(samples.record("n_plus_one", 8))}
    sample = samples.record("n_plus_one", 8)
    assert amounts["queries"] == len(sample.queries)
    assert amounts["templates"] == len(sample.templates)
    assert amounts["timeline"] is None


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("layers", [1, 13, 40])
@pytest.mark.parametrize("slug", SLUGS)
def test_every_tab_of_every_kind_is_drawn_without_style_or_script(slug: str, kind: str, layers: int) -> None:
    html = tabs.body(slug, samples.record(kind, layers), BASE)
    assert _text(html).strip()
    assert "style=" not in html
    assert "<script" not in html
    assert not re.search(r"\son\w+=", html)


@pytest.mark.parametrize("slug", SLUGS)
def test_every_tab_of_an_empty_record_says_something(slug: str) -> None:
    assert len(_text(tabs.body(slug, _bare(), BASE)).strip()) > 40


def test_an_unknown_tab_is_an_error() -> None:
    with pytest.raises(KeyError):
        tabs.body("nonsense", _bare(), BASE)


def test_what_a_request_brings_is_escaped() -> None:
    sample = _bare()
    sample.request.headers = [("X-Bad", "<img src=x onerror=alert(1)>")]
    sample.logs = [LogLine(None, 5, "INFO", "a", "<b>bold</b>")]
    sample.queries = [Query(1, "SELECT '<i>' FROM \"t\"")]
    for slug in ("headers", "logs", "queries"):
        html = tabs.body(slug, sample, BASE)
        assert not re.search(r"<(img|b>bold|i>)", html)


def test_the_timeline_has_a_row_for_every_layer_and_leads_to_the_detail() -> None:
    sample = samples.record("passed", 8)
    html = tabs.body("timeline", sample, BASE)
    for layer in sample.layers:
        assert f'href="?tab=onion#ring-{layer.index}"' in html
    assert 'href="?tab=queries#query-' in html
    assert "SELECT article" in _text(html)


def test_ticks_have_as_many_digits_as_their_step() -> None:
    sample = _bare()
    sample.duration_ns = 1_200
    assert "0.0002" in tabs.body("timeline", sample, BASE)


def test_changes_stand_in_the_order_in_which_they_happened() -> None:
    text = _text(tabs.body("changes", samples.record("passed", 13), BASE))
    places = [
        text.index(name) for name in ("request.session", "request.user", "Content-Type", "X-Frame-Options", "sessionid")
    ]
    assert places == sorted(places)


def test_a_header_in_the_changes_leads_to_the_ring_that_set_it() -> None:
    sample = samples.record("passed", 13)
    index = next(layer.index for layer in sample.layers if layer.name == "XFrameOptionsMiddleware")
    html = tabs.body("changes", sample, BASE)
    assert re.search(rf'href="\?tab=onion#ring-{index}"[^>]*><code>X-Frame-Options', html)


def test_like_queries_are_called_n_plus_one_with_count_and_total() -> None:
    text = _text(tabs.body("queries", samples.record("n_plus_one", 8), BASE))
    assert re.search(r"N\+1: SELECT author ran 20 times in like form, 7\.98 ms together", text)
    assert "N+1 ×20" in text
    assert "shop/articles/models.py:74" in text


def test_two_like_queries_are_grouped_but_not_called_n_plus_one() -> None:
    sample = _bare(
        queries=[Query(1, "SELECT 1 FROM a", duplicate_group=1), Query(2, "SELECT 2 FROM a", duplicate_group=1)]
    )
    text = _text(tabs.body("queries", sample, BASE))
    assert "×2" in text
    assert "N+1" not in text


def test_what_does_not_fetch_is_grouped_but_not_called_n_plus_one() -> None:
    saves = [Query(1, "INSERT INTO a VALUES (1)", duplicate_group=1, in_transaction=n > 0) for n in range(4)]
    text = _text(tabs.body("queries", _bare(queries=saves), BASE))
    assert "×4" in text
    assert "N+1" not in text
    assert "4 of them write" in text
    assert "3 of 4 in transaction" in text


def test_the_whole_statement_can_be_copied() -> None:
    sql = "SELECT " + ", ".join(f"column_{n}" for n in range(300)) + " FROM wide"
    assert f'data-copy="{sql}"' in tabs.body("queries", _bare(queries=[Query(1, sql)]), BASE)


def test_a_query_says_in_which_layer_it_ran() -> None:
    text = _text(tabs.body("queries", samples.record("passed", 13), BASE))
    assert "Tenant way in" in text
    assert "Audit way out" in text
    assert "ArticleList.get view" in text


def test_more_statements_than_fit_are_counted() -> None:
    many = [Query(number, f"SELECT {number} FROM t") for number in range(statements.QUERIES + 7)]
    html = tabs.body("queries", _bare(queries=many), BASE)
    assert html.count('class="group"') == statements.QUERIES
    assert "7 more statements" in _text(html)


def test_templates_form_a_tree_with_like_leaves_told_once() -> None:
    html = tabs.body("templates", samples.record("passed", 8), BASE).replace("<wbr>", "")
    order = [
        html.index(f'"leaf">{name}<')
        for name in ("articles/list.html", "base.html", "articles/_row.html", "_footer.html")
    ]
    assert order == sorted(order)
    assert html.count('"leaf">articles/_row.html<') == 1
    assert "×3" in html


def test_templates_that_hold_like_templates_are_told_once_with_what_they_hold() -> None:
    spans = [Span(1, None, "template", "list.html", None, 0, 100)]
    renders = [TemplateRender(1, "list.html")]
    for number in range(12):
        spans.append(Span(10 + number, 1, "template", "row.html", None, 8 * number, 6))
        spans.append(Span(50 + number, 10 + number, "template", "price.html", None, 8 * number + 1, 2))
        renders += [
            TemplateRender(10 + number, "row.html", relation="include"),
            TemplateRender(50 + number, "price.html", relation="include"),
        ]
    spans.append(Span(99, 1, "template", "row.html", None, 97, 2))
    renders.append(TemplateRender(99, "row.html", relation="include"))
    html = tabs.body("templates", _bare(spans=spans, templates=renders), BASE)
    names = re.findall(r'<span class="leaf">([^<]+)</span>(?: <span class="badge">(×\d+)</span>)?', html)
    assert names == [("list.html", ""), ("row.html", "×12"), ("price.html", "×12"), ("row.html", "")]


def test_the_template_that_took_most_itself_is_named() -> None:
    spans = [Span(1, None, "template", "outer.html", None, 0, 9_000_000)]
    spans.append(Span(2, 1, "template", "inner.html", None, 0, 7_000_000))
    renders = [TemplateRender(1, "outer.html"), TemplateRender(2, "inner.html", relation="extends")]
    text = _text(tabs.body("templates", _bare(spans=spans, templates=renders), BASE))
    assert re.search(r"Most time itself: inner\.html , 7\.00 ms", text)


def test_the_resolver_marks_the_match_and_names_who_set_the_urlconf() -> None:
    html = tabs.body("resolver", samples.record("passed", 13), BASE)
    assert re.search(r'class="match".*articles/&lt;int:page&gt;/', html, re.DOTALL)
    text = _text(html)
    assert "set by TenantMiddleware" in text
    assert "articles: article-list" in text or "articles:article-list" in text
    assert re.search(r"page 2 int", text)


def test_a_404_lists_all_that_was_tried() -> None:
    sample = samples.record("not_found", 8)
    html = tabs.body("resolver", sample, BASE)
    assert html.count('class="no"') == len(sample.tried)
    assert "No pattern matched" in _text(html)


def test_a_request_that_did_not_reach_the_resolver_says_who_stopped_it() -> None:
    text = _text(tabs.body("resolver", samples.record("answered", 13), BASE))
    assert "TenantMiddleware answered before the request came to the core" in text


def test_a_response_header_names_its_writer() -> None:
    text = _text(tabs.body("headers", samples.record("passed", 13), BASE))
    assert re.search(r"X-Frame-Options DENY XFrameOptions", text)
    assert re.search(r"Set-Cookie sessionid=\S+ .*? Session", text)
    assert "Content-Type text/html; charset=utf-8 ArticleList" in text


def test_every_writer_of_a_header_is_named_the_first_of_them_first() -> None:
    sample = samples.record("passed", 13)
    sample.layers[0].changes.append(Change("response", "header", "x-frame-options", "changed", "DENY", "SAMEORIGIN"))
    text = _text(tabs.body("headers", sample, BASE))
    assert re.search(r"X-Frame-Options DENY XFrameOptions added Security changed", text)


def test_a_header_that_was_taken_away_is_told_with_who_did_it() -> None:
    sample = samples.record("passed", 13)
    sample.core_changes.append(Change("response", "header", "X-Debug", "added", None, "on"))
    sample.layers[0].changes.append(Change("response", "header", "X-Debug", "removed", "on", None))
    text = _text(tabs.body("headers", sample, BASE))
    assert re.search(r"X-Debug taken away on ArticleList added Security removed", text)


def test_all_headers_can_be_copied() -> None:
    sample = samples.record("passed", 13)
    html = tabs.body("headers", sample, BASE)
    assert re.search(r'data-copy="Host: shop\.test:8000\nUser-Agent: ', html)
    assert 'data-copy="Content-Type: text/html; charset=utf-8\nX-Frame-Options: DENY\n' in html


def test_of_many_n_plus_one_groups_the_costliest_are_named_and_the_rest_is_counted() -> None:
    spans, queries = [], []
    for table in range(6):
        for run in range(4):
            number = 10 * table + run + 1
            spans.append(Span(number, None, "query", "SELECT", None, number, 1000 * (table + 1)))
            queries.append(Query(number, f'SELECT {run} FROM "table_{table}"', duplicate_group=table))
    html = tabs.body("queries", _bare(spans=spans, queries=queries), BASE)
    assert re.findall(r"<code>SELECT (table_\d)</code> ran", html) == ["table_5", "table_4", "table_3"]
    assert re.search(r"3 more statements ran three times or more, 12 runs together", _text(html))


def test_statements_asked_again_to_the_letter_are_told_and_hidden_values_are_not_taken_for_the_same() -> None:
    again = [Query(number, "SELECT %s", duplicate_group=1, params=["1" if number < 3 else "2"]) for number in range(4)]
    assert "same ×3" in _text(tabs.body("queries", _bare(queries=again), BASE))
    hidden = [Query(number, "SELECT %s", duplicate_group=1, params=["•••"]) for number in range(4)]
    assert "same ×" not in _text(tabs.body("queries", _bare(queries=hidden), BASE))


def test_the_timeline_names_the_costliest_rows_by_their_own_time_first() -> None:
    html = tabs.body("timeline", samples.record("passed", 13), BASE)
    named = re.findall(r'data-row="row-(\d+)".*?</span>([^<]+?) <b class="number">([\d.]+) ms', html)
    times = [float(ms) for _, _, ms in named]
    assert len(named) == 3
    assert times == sorted(times, reverse=True)
    for row, label, _ in named:
        assert re.search(rf'id="row-{row}"[^>]*>.*?{re.escape(label.split(" ×")[0])}', html)
    assert html.count('class="heat-mark') == 3


def test_a_hop_in_the_timeline_says_which_way_it_goes() -> None:
    text = _text(tabs.body("timeline", samples.record("asgi_hops", 13), BASE))
    assert "loop → thread" in text
    assert "to thread or loop" not in text


def test_a_pattern_whose_beginning_fitted_shows_how_far() -> None:
    sample = _bare(tried=["", "blog/ <int:year>/", "blog/ archive/ <slug:name>/", "shop/"])
    html = tabs.body("resolver", sample, BASE)
    assert re.findall(r'<span class="fits">([^<]+)</span> ([^<]+)', html) == [
        ("blog/", "&lt;int:year&gt;/"),
        ("blog/ archive/", "&lt;slug:name&gt;/"),
    ]
    assert "4 were tried" in _text(html)


def test_a_file_that_is_none_is_no_link() -> None:
    sample = samples.record("passed", 8)
    sample.server.call_path.insert(0, Frame("_run_module_as_main", "<frozen runpy>", 198))
    html = tabs.body("server", sample, BASE)
    assert '<span class="source nowhere">&lt;frozen runpy&gt;:198</span>' in html


def test_the_server_tab_tells_stages_in_order_and_the_call_path() -> None:
    text = _text(tabs.body("server", samples.record("streaming", 8), BASE))
    stages = [
        "connection accepted",
        "set_script_prefix /shop/",
        "request_started",
        "get_response",
        "response made",
        "last byte",
    ]
    places = [text.index(stage) for stage in stages]
    assert places == sorted(places)
    assert "execute_from_command_line" in text
    assert "daphne 4.1.2" in text


def test_the_server_tab_tells_what_was_sent_and_that_the_client_left() -> None:
    sample = samples.record("streaming", 8)
    assert sample.response is not None
    sample.response.body_bytes, sample.response.chunks = 40, 4
    sample.response.first_byte_ns, sample.response.last_byte_ns = 12_000_000, 14_500_000
    assert "Sent 40 B in 4 pieces, from 12.0 ms to 14.5 ms" in _text(tabs.body("server", sample, BASE))
    sample.state = "aborted"
    text = _text(tabs.body("server", sample, BASE))
    assert "Sent 40 B in 4 pieces, from 12.0 ms ; the client went away before the end" in text
    sample.response = None
    assert "Sent nothing: the client went away" in _text(tabs.body("server", sample, BASE))


def test_the_chunks_of_a_long_stream_are_one_row_of_the_server_tab() -> None:
    sample = samples.record("streaming", 8)
    begin = sample.duration_ns
    sample.server.stages = [Stage(f"chunk {number}", begin + number * 100_000) for number in range(2, 51)]
    html = tabs.body("server", sample, BASE)
    assert "chunks 2 to 50 each took 0.10 at the median" in _text(html)
    assert "chunk 7" not in _text(html)
    assert html.count('class="mark"') == 48


def test_a_stage_the_server_told_itself_is_not_told_twice() -> None:
    sample = samples.record("passed", 8)
    sample.server.stages.append(Stage("first byte", sample.duration_ns + 5))
    assert _text(tabs.body("server", sample, BASE)).count("first byte") == 1


def test_the_exception_tab_tells_who_raised_and_who_rescued() -> None:
    html = tabs.body("exception", samples.record("raised_rescued", 13), BASE)
    text = _text(html)
    assert "raised in the view ArticleEdit.post" in text
    assert re.search(r"made a response by TenantMiddleware \.process_exception 409", text)
    assert "decimal.InvalidOperation" in text
    assert html.count('class="own"') == 2
    assert html.count('class="library"') == 3


def test_an_exception_nobody_rescued_is_told_so() -> None:
    sample = samples.record("raised", 8)
    assert sample.exception
    sample.exception.rescued_by = None
    assert "nobody: it went up to the server" in _text(tabs.body("exception", sample, BASE))


def test_log_lines_and_cache_calls_say_where_they_were_written() -> None:
    sample = samples.record("passed", 13)
    assert re.search(r"WARNING Audit took 5.6 ms shop.audit", _text(tabs.body("logs", sample, BASE)))
    text = _text(tabs.body("cache", sample, BASE))
    assert "1 hit, 1 miss" in text
    assert "tenant:shop.test" in text


def test_a_place_is_found_by_parent_else_by_time() -> None:
    sample = samples.record("passed", 13)
    places = Places(sample)
    tenant, audit = sample.queries[0], sample.queries[-2]
    assert (places.of(tenant.span).kind, places.of(tenant.span).name) == ("way in", "TenantMiddleware")
    assert places.of(audit.span).kind == "way out"
    view = next(span for span in sample.spans if span.kind == "view")
    assert places.of(None, view.start_ns + 10).name == view.name
    assert places.of(99_999).kind == ""
    assert places.duration(99_999) == 0


def test_a_query_of_a_template_is_placed_in_the_template_though_its_parent_is_the_rendering() -> None:
    spans = [
        Span(1, None, "render", "render", None, 0, 100, "a"),
        Span(2, None, "template", "list.html", None, 10, 80, "a"),
        Span(3, 1, "query", "SELECT", None, 20, 5, "a"),
    ]
    assert Places(_bare(spans=spans)).of(3).name == "list.html"


def test_sql_is_broken_at_clauses_but_never_inside_a_text() -> None:
    assert readable("SELECT 'a FROM b' FROM t WHERE x = 1 LEFT OUTER JOIN u ON 1") == (
        "SELECT 'a FROM b'\nFROM t\nWHERE x = 1\nLEFT OUTER JOIN u ON 1"
    )


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ('SELECT "a"."id" FROM "a" WHERE 1', "SELECT a"),
        ('insert into "shop_order" ("id") VALUES (1)', "INSERT shop_order"),
        ("UPDATE `x` SET y = 1", "UPDATE x"),
        ('DELETE FROM "app"."things"', "DELETE app.things"),
        ("SAVEPOINT s1", "SAVEPOINT s1"),
    ],
)
def test_a_statement_is_told_in_two_words(sql: str, words: str) -> None:
    assert told(sql) == words


# -- the pages --------------------------------------------------------------------------------------------------------


def _pipeline(off: frozenset[str] = frozenset(), records: int = 3) -> str:
    plan = samples.plan(13, "asgi")
    numbers = statistics([samples.record("asgi_hops", 13)] * records)
    return pipeline_page(plan, off, numbers, advise(plan, off, numbers), BASE, csrf_token="token")


def test_the_pipeline_page_shows_each_layer_with_its_numbers() -> None:
    html = _pipeline()
    for layer in samples.plan(13, "asgi").layers:
        assert f"<b>{breakable(layer.name)}</b>" in html
    text = _text(html)
    assert "13 layers under ASGI, 4 hops" in text
    assert "all 3 requests that are kept" in text
    assert "changed nothing in 3 requests" in text


def test_the_pipeline_page_gives_advice_with_reason_and_link() -> None:
    html = _pipeline()
    assert "CorsMiddleware belongs before WhiteNoiseMiddleware" in html
    assert "https://github.com/adamchainz/django-cors-headers" in html
    assert "BannerMiddleware is listed, but took itself out" in html


def test_what_leans_on_a_layer_that_is_off_is_told_on_the_pipeline_page() -> None:
    off = frozenset({"django.contrib.sessions.middleware.SessionMiddleware"})
    text = _text(_pipeline(off))
    assert "AuthenticationMiddleware leans on SessionMiddleware, which is switched off" in text


def test_findings_with_one_reason_stand_together() -> None:
    html = _pipeline(records=60)
    assert html.count("It may still count, log or") == 1
    assert "HtmxMiddleware changed nothing in 60 requests." in html


def test_a_pipeline_without_advice_or_requests_says_so() -> None:
    plan = samples.plan(3)
    plan.not_used = []
    text = _text(pipeline_page(plan, frozenset(), None, [], BASE))
    assert "Nothing to say against this chain" in text
    assert "Numbers show here with the first requests" in text
    assert "no request went through it yet" in text


def test_a_pipeline_not_loaded_yet_says_what_to_do() -> None:
    assert "No chain yet" in _text(pipeline_page(None, frozenset(), None, [], BASE))


def test_an_entry_that_took_itself_out_is_listed_with_its_word() -> None:
    plan = samples.plan(3)
    plan.not_used = [NotUsed("shop.Silent", "")]
    assert "shop.Silent took itself out without a word" in _text(pipeline_page(plan, frozenset(), None, [], BASE))


def _compare(a: RequestRecord | None, b: RequestRecord | None) -> str:
    rows = [samples.summary(samples.record("passed", 8, seq=number)) for number in range(1, 4)]
    return compare_page(a, b, BASE, rows)


def test_two_requests_are_compared_with_two_onions_whose_ids_do_not_clash() -> None:
    html = _compare(samples.record("passed", 8), samples.record("answered", 8, seq=2))
    assert html.count('aria-label="Onion of ') == 2
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    text = _text(html)
    assert "Location" in text
    assert "not reached" in text
    assert re.search(r"A took [\d.]+ ms longer", text)


def test_the_legend_of_two_onions_tells_of_all_that_either_shows() -> None:
    def told(one: str, other: str) -> list[str]:
        html = _compare(samples.record(one, 8), samples.record(other, 8, seq=2))
        return [word for word in ("exception", "thread hop", "switched off") if f"{word}</span>" in html]

    assert told("passed", "passed") == []
    assert told("passed", "raised") == ["exception"]
    assert told("off", "asgi_hops") == ["thread hop", "switched off"]


def test_a_request_compared_with_itself_has_no_row_that_differs() -> None:
    sample = samples.record("passed", 8)
    html = _compare(sample, sample)
    assert 'class="differs"' not in html
    assert "Both took the same time" in html


def test_a_missing_request_is_asked_for() -> None:
    assert "Choose two requests" in _compare(None, None)
    assert "One is chosen" in _compare(samples.record("passed", 8), None)
    assert "Nothing to compare yet" in compare_page(None, None, BASE, [])


def test_the_start_of_a_process_is_told_with_times_path_apps_and_layers() -> None:
    text = _text(startup_page([samples.process(4121), samples.process(4119, "asgi")], BASE))
    for word in (
        "pid 4121",
        "pid 4119",
        "reloader",
        "apps ready",
        "chain loaded",
        "django.contrib.auth",
        "shop.settings",
    ):
        assert word in text
    assert "core/management/__init__.py:442" in text
    assert "shop/articles/views.py:1" in text


def test_a_process_of_which_little_is_known_is_still_shown() -> None:
    process = samples.process()
    process.moments, process.path, process.apps, process.layers, process.changed_files = [], {}, [], [], []
    assert "pid 4121" in startup_page([process], BASE)
    process.moments = [Stage("process started", 0)]
    assert "process started" in startup_page([process], BASE)


def test_no_process_yet_says_what_to_do() -> None:
    assert "Open your site once" in startup_page([], BASE)


def test_the_comparison_names_what_the_slower_one_spent_its_time_on_whichever_it_is() -> None:
    slow, fast = samples.record("passed", 8), samples.record("passed", 8)
    view = next(span for span in slow.spans if span.kind == "view")
    view.duration_ns += 50_000_000
    slow.duration_ns += 53_000_000
    slow.layers[0].in_ns += 3_000_000
    for pair, name in (((slow, fast), "A"), ((fast, slow), "B")):
        text = _text(compare_page(*pair, BASE, []))
        assert re.search(rf"{name} took 53\.0 ms longer, most of all in the view \(50\.0 ms\) \.", text)


def test_the_difference_is_marked_only_on_the_way_that_differs() -> None:
    one, other = samples.record("passed", 8), samples.record("passed", 8)
    other.layers[0].in_ns += 9_000_000
    html = compare_page(one, other, BASE, [])
    row = re.search(r"<th scope=\"row\">Security<wbr>Middleware</th>(.*?)</tr>", html, re.DOTALL)
    assert row
    assert row[1].count("more-time") == 1
    assert "less-time" not in row[1]
    assert "+9.00" in row[1]


def test_many_findings_for_one_reason_are_folded() -> None:
    chain = samples.plan(13)
    found = [Finding("idle", "info", [], f"Layer{number} changed nothing.", "No header.", "") for number in range(9)]
    html = pipeline_page(chain, frozenset(), None, found, BASE)
    assert "5 more of the same" in _text(html)
    assert html.index("Layer3 changed") < html.index("<summary>5 more") < html.index("Layer4 changed")
