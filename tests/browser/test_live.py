"""The live list in a real browser, behind real servers: by socket, by event stream and by asking now and then."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.browser.served import WAYS, Served, row, rows, start, state
from tests.sites import Site, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

URLS = """
import asyncio
import time
from pathlib import Path

from django.http import HttpResponse
from django.urls import path, re_path

GATES = Path(__file__).parent
GATE = GATES / "gate"

def held(name):
    # a layer that waits for a gate of its own, on its way in
    def layer(get_response):
        def handle(request):
            while request.path == "/grow/" and not (GATES / name).exists():
                time.sleep(0.01)
            return get_response(request)
        return handle
    return layer

outer, middle, inner = held("outer"), held("middle"), held("inner")

def slow(request):
    while not GATE.exists():
        time.sleep(0.01)
    return HttpResponse("done")

async def waiting(request):
    while not GATE.exists():
        await asyncio.sleep(0.01)
    return HttpResponse("done")

urlpatterns = [path("slow/", slow), path("hanging/", slow), path("waiting/", waiting)]
urlpatterns += [re_path("^", lambda request: HttpResponse(request.path))]
"""
TRIES = """() => {
  window.tries = [];
  const fetched = window.fetch;
  window.fetch = (...given) => (window.tries.push(performance.now()), fetched(...given));
  for (const name of ["createWebSocket", "createEventSource"]) {
    let made = window.htmx[name];
    const noted = (...given) => (window.tries.push(performance.now()), made(...given));
    Object.defineProperty(window.htmx, name, { get: () => noted, set: (other) => { made = other; } });
  }
}"""
"""Notes when a page tries to reach the server. What a browser tries by itself is not seen."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose every address answers, and one of them when it is let."""
    site = Site(tmp_path_factory.mktemp("live") / "site")
    site.install("pipeline_inspector")
    site.write("mysite/urls.py", URLS)
    site.configure('MIDDLEWARE += ["mysite.urls.outer", "mysite.urls.middle", "mysite.urls.inner"]')
    return site


@pytest.fixture
def served(serve: Callable[[str], Served]) -> Served:
    """The site behind a server that speaks ASGI."""
    return serve("uvicorn")


@pytest.mark.parametrize("way", WAYS)
def test_a_request_appears_by_itself_behind_every_server(
    serve: Callable[[str], Served], page: "Page", way: str
) -> None:
    served = serve(way)
    served.open(page)
    assert page.locator("#transport").inner_text() == served.way
    for number in range(3):
        path = f"/{way.replace(' ', '-')}/{number}/"
        served.server.get(path)
        row(page, f"GET {path} 200").wait_for()
    assert state(page).get_attribute("role") == "status"


def test_each_new_request_stands_on_top_and_once(served: Served, page: "Page") -> None:
    served.open(page)
    for number in range(5):
        served.server.get(f"/top/{number}/")
    row(page, "GET /top/4/ 200").wait_for()
    row(page, "GET /top/0/ 200").wait_for()
    names = [link.get_attribute("aria-label") for link in page.locator("#requests > li > a").all()[:5]]
    assert names == [f"GET /top/{number}/ 200" for number in reversed(range(5))]
    ids = page.eval_on_selector_all("#requests > li", "rows => rows.map(row => row.id)")
    assert len(ids) == len(set(ids))


def test_while_paused_new_requests_are_counted_and_come_afterwards(served: Served, page: "Page") -> None:
    served.open(page)
    page.get_by_role("button", name="Pause").click()
    state(page).and_(page.get_by_text("paused", exact=True)).wait_for()
    for number in range(3):
        served.server.get(f"/pause/{number}/")
    button = page.get_by_role("button", name=re.compile("3 new"))
    button.wait_for()
    assert row(page, "GET /pause/0/ 200").count() == 0
    button.click()
    for number in range(3):
        row(page, f"GET /pause/{number}/ 200").wait_for()
    assert state(page).inner_text() == "live"
    assert page.get_by_role("button", name="Pause").get_attribute("aria-pressed") == "false"


def test_the_selection_the_focus_and_the_place_where_one_reads_stay(served: Served, page: "Page") -> None:
    for number in range(60):
        served.server.get(f"/calm/{number}/")
    served.open(page)
    chosen = row(page, "GET /calm/20/ 200")
    chosen.click()
    page.locator("#stage .stage").wait_for()
    chosen.focus()
    chosen.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#list').scrollTop > 0 || scrollY > 0")
    top = "() => document.activeElement.getBoundingClientRect().top"
    before, stage = page.evaluate(top), page.locator("#stage .stage").get_attribute("data-record")
    for number in range(20):  # one by one: what is lost by rounding adds up
        served.server.get(f"/calmer/{number}/")
        row(page, f"GET /calmer/{number}/ 200").wait_for(state="attached")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "GET /calm/20/ 200"
    assert abs(page.evaluate(top) - before) < 1
    assert page.locator("#requests a[aria-current=true]").get_attribute("aria-label") == "GET /calm/20/ 200"
    assert page.locator("#stage .stage").get_attribute("data-record") == stage


def test_who_follows_is_shown_the_newest_until_one_is_chosen(served: Served, page: "Page") -> None:
    served.server.get("/follow/0/")
    served.open(page)
    row(page, "GET /follow/0/ 200").wait_for()
    page.locator("#filter-text").focus()
    follow = page.get_by_role("button", name="Follow")
    follow.evaluate("(button) => button.click()")
    page.get_by_role("figure", name="Onion of GET /follow/0/").wait_for()
    length = page.evaluate("history.length")
    for number in (1, 2):
        served.server.get(f"/follow/{number}/")
        page.get_by_role("figure", name=f"Onion of GET /follow/{number}/").wait_for()
    newest = page.locator("#requests a[aria-current=true]")
    assert newest.get_attribute("aria-label") == "GET /follow/2/ 200"
    assert (newest.get_attribute("href") or "no address") in page.url
    assert page.evaluate("document.activeElement.id") == "filter-text"
    assert page.evaluate("history.length") == length
    row(page, "GET /follow/1/ 200").click()
    page.get_by_role("figure", name="Onion of GET /follow/1/").wait_for()
    assert follow.get_attribute("aria-pressed") == "false"
    served.server.get("/follow/3/")
    row(page, "GET /follow/3/ 200").wait_for()
    page.get_by_role("figure", name="Onion of GET /follow/1/").wait_for()


def test_every_tab_has_its_own_selection(served: Served, page: "Page") -> None:
    other = page.context.new_page()
    for number in range(2):
        served.server.get(f"/chosen/{number}/")
    for number, tab in enumerate((page, other)):
        served.open(tab)
        row(tab, f"GET /chosen/{number}/ 200").click()
        tab.locator("#stage .stage").wait_for()
    served.server.get("/chosen/later/")
    for number, tab in enumerate((page, other)):
        row(tab, "GET /chosen/later/ 200").wait_for()
        assert tab.locator("#requests a[aria-current=true]").get_attribute("aria-label") == f"GET /chosen/{number}/ 200"
        tab.get_by_role("figure", name=f"Onion of GET /chosen/{number}/").wait_for()


def test_every_tab_has_its_own_filter(served: Served, page: "Page", browser: "Browser") -> None:
    context = browser.new_context()
    other = context.new_page()
    served.open(page, "?path=/apple/")
    served.open(other, "?path=/pear/")
    served.server.get("/apple/1/")
    served.server.get("/pear/1/")
    row(page, "GET /apple/1/ 200").wait_for()
    row(other, "GET /pear/1/ 200").wait_for()
    assert row(page, "GET /pear/1/ 200").count() == 0
    assert row(other, "GET /apple/1/ 200").count() == 0
    context.close()


def test_a_filter_written_into_the_box_counts_for_what_comes(served: Served, page: "Page") -> None:
    served.server.get("/early/fig/")
    served.server.get("/early/plum/")
    served.open(page)
    page.locator("#filter-text").fill("fig")
    page.wait_for_url("**/?path=fig")
    row(page, "GET /early/plum/ 200").wait_for(state="detached")
    served.server.get("/late/plum/")
    served.server.get("/late/fig/")
    row(page, "GET /late/fig/ 200").wait_for()
    row(page, "GET /early/fig/ 200").wait_for()
    assert row(page, "GET /late/plum/ 200").count() == 0


def test_never_more_than_two_hundred_rows_stand_on_the_page(served: Served, page: "Page") -> None:
    served.open(page)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: served.server.get(f"/many/{number}/"), range(260)))
    served.server.get("/many/last/")
    row(page, "GET /many/last/ 200").wait_for()
    assert rows(page).count() <= 200


def test_clear_empties_the_list(served: Served, page: "Page") -> None:
    served.server.get("/old/")
    served.open(page)
    row(page, "GET /old/ 200").last.wait_for()
    page.get_by_role("button", name="Clear").click()
    row(page, "GET /old/ 200").wait_for(state="detached")
    served.server.get("/after-clear/")
    row(page, "GET /after-clear/ 200").wait_for()
    assert rows(page).count() == 1


def test_a_request_in_hand_stands_in_the_list_and_is_replaced_when_it_is_done(served: Served, page: "Page") -> None:
    gate = served.site.folder / "mysite" / "gate"
    gate.unlink(missing_ok=True)
    served.open(page)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.server.get, "/slow/")
        running = row(page, "GET /slow/ running")
        running.wait_for()
        row_id = running.locator("xpath=..").get_attribute("id")
        running.click()
        page.locator("#stage .stage[data-state=running]").wait_for()
        gate.touch()
        assert waiting.result().status_code == 200
    row(page, "GET /slow/ 200").wait_for()
    running.wait_for(state="detached")
    assert row(page, "GET /slow/ 200").first.locator("xpath=..").get_attribute("id") == row_id
    page.locator("#stage .stage[data-state=finished]").wait_for()


@pytest.mark.parametrize(
    ("way", "path"), [("uvicorn", "/hanging/"), ("uvicorn", "/waiting/"), ("runserver", "/hanging/")]
)
def test_a_request_that_hangs_tells_the_line_of_the_view_at_which_it_stands(
    serve: Callable[[str], Served], page: "Page", way: str, path: str
) -> None:
    served = serve(way)
    gate = served.site.folder / "mysite" / "gate"
    gate.unlink(missing_ok=True)
    served.open(page)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.server.get, path)
        try:
            row(page, f"GET {path} running").click()
            page.locator("#stage .standing").get_by_text(re.compile(r"mysite/urls\.py:\d+")).wait_for()
            told = page.locator("#stage .standing .source").inner_text()
        finally:
            gate.touch()
        waiting.result()
    line = URLS.splitlines()[int(told.rpartition(":")[2]) - 1]
    assert "GATE.exists()" in line or "sleep(0.01)" in line


def test_what_streams_in_moves_nothing_but_the_rows(served: Served, page: "Page") -> None:
    served.server.get("/still/chosen/")
    served.open(page)
    row(page, "GET /still/chosen/ 200").first.click()
    page.locator("#stage .onion").wait_for()
    names = [
        "#filter",
        "#stage .stage",
        ".onion svg",
        "#cards",
        "#chain",
        "#chain li:last-child",
        "#pause",
        "#connection",
    ]
    places = f"""() => {names}.map((name) => document.querySelector(name).getBoundingClientRect())
      .map((at) => [at.left, at.top, at.width, at.height])"""
    before = page.evaluate(places)
    for number in range(15):
        served.server.get(f"/still/{number}/")
    row(page, "GET /still/14/ 200").wait_for()
    page.locator("#rate", has_text="req/s").wait_for()
    after = page.evaluate(places)
    assert after[:-1] == before[:-1]
    assert after[-1][1:] == before[-1][1:], "the state stays on its line, though the rate beside it comes"


def reached(page: "Page") -> "Locator":
    """The rings that the request on the stage has reached."""
    return page.locator("#stage .ring:not(.not_reached)")


@pytest.mark.parametrize("way", ["uvicorn", "runserver"])
def test_the_way_of_a_request_in_hand_grows_ring_by_ring(
    serve: Callable[[str], Served], page: "Page", way: str
) -> None:
    served = serve(way)
    gates = [served.site.folder / "mysite" / name for name in ("outer", "middle", "inner")]
    for gate in gates:
        gate.unlink(missing_ok=True)
    served.open(page)
    counts = []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.server.get, "/grow/")
        try:
            row(page, "GET /grow/ running").click()
            for gate in gates:
                page.locator(f"#stage .ring.here[aria-label={gate.name}]").wait_for()
                counts.append(reached(page).count())
                gate.touch()
        finally:
            for gate in gates:
                gate.touch()
        waiting.result()
    page.locator("#stage .stage[data-state=finished]").wait_for()
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    assert page.locator("#stage .ring").count() == counts[-1]
    assert page.locator("#stage .crossing").count() > 0


@pytest.mark.parametrize("way", ["uvicorn", "runserver", "gunicorn with one worker"])
def test_clear_empties_the_lists_of_all_open_pages(
    serve: Callable[[str], Served], page: "Page", browser: "Browser", way: str
) -> None:
    served = serve(way)
    served.server.get("/gone/")
    context = browser.new_context()
    other = context.new_page()
    for one in (page, other):
        served.open(one)
        row(one, "GET /gone/ 200").first.wait_for()
    other.get_by_role("button", name="Clear").click()
    for one in (page, other):
        rows(one).first.wait_for(state="detached")
        assert rows(one).count() == 0
    served.server.get("/then/")
    for one in (page, other):
        row(one, "GET /then/ 200").wait_for()
    context.close()


def test_a_clear_in_another_process_empties_the_list(
    served: Served, serve: Callable[[str], Served], page: "Page"
) -> None:
    another = serve("runserver")
    served.server.get("/gone/")
    served.open(page)
    row(page, "GET /gone/ 200").first.wait_for()
    token = served.site.manage("pipeline", "token").stdout.strip()
    answer = another.server.client.delete("/__inspector__/api/requests/", headers={"X-Inspector-Token": token})
    assert answer.status_code == 204
    rows(page).first.wait_for(state="detached")


def test_older_rows_are_loaded_at_the_end_of_the_list(served: Served, page: "Page") -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: served.server.get(f"/aged/{number}/"), range(329)))
    served.server.get("/aged/newest/")
    served.open(page, "?path=/aged/")
    row(page, "GET /aged/newest/ 200").wait_for()
    seqs = "() => [...document.querySelectorAll('#requests > li')].map((row) => Number(row.dataset.seq))"
    newest = page.evaluate(seqs)
    older = page.get_by_role("button", name="Load older")
    older.click()
    state(page).and_(page.get_by_text("paused", exact=True)).wait_for()
    end = "(last) => Number(document.querySelector('#requests > li:last-child').dataset.seq) < last"
    page.wait_for_function(end, arg=newest[-1])
    shown = page.evaluate(seqs)
    assert len(shown) == 200
    assert shown[:100] == newest[100:]
    assert shown == sorted(shown, reverse=True)
    with page.expect_response("**/rows/?*before=*") as answered:
        older.press("Enter")
    assert answered.value.ok, answered.value.text()
    older.wait_for(state="hidden")
    assert 200 >= len(page.evaluate(seqs)) >= 100
    served.server.get("/aged/late/")
    page.get_by_role("button", name=re.compile("1 new")).click()
    row(page, "GET /aged/late/ 200").wait_for()
    assert page.evaluate(seqs)[1:] == newest[:199]
    assert state(page).inner_text() == "live"
    older.wait_for()


@pytest.fixture
def newly_started(site: Site) -> Iterator[Served]:
    """The same site behind a process that no request came to yet."""
    served = Served(start(site, "uvicorn", [], free_port()), site, "WebSocket")
    yield served
    served.server.stop()


def test_the_list_does_not_move_when_rows_come_into_sight(newly_started: Served, page: "Page") -> None:
    server = newly_started.server
    server.get("/even/first/")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: server.get(f"/even/{number}/"), range(59)))
    newly_started.open(page, "?path=/even/")
    page.wait_for_function("() => document.querySelectorAll('#requests > li').length === 60")
    assert page.locator("#requests > li").last.locator(".began").count() == 1
    bottom = "() => document.querySelector('#requests > li:last-child').getBoundingClientRect().bottom"
    height = page.evaluate(bottom)
    page.locator("#requests > li").last.scroll_into_view_if_needed()
    page.locator("#requests > li").first.scroll_into_view_if_needed()
    assert page.evaluate(bottom) == pytest.approx(height, abs=5)


def test_older_rows_come_though_new_ones_push_out_the_last_meanwhile(served: Served, page: "Page") -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: served.server.get(f"/busy/{number}/"), range(259)))
    served.server.get("/busy/newest/")
    served.open(page, "?path=/busy/")
    row(page, "GET /busy/newest/ 200").wait_for()

    def answer_late(route: "Route") -> None:
        served.server.get("/busy/meanwhile/")
        newer = row(page, "GET /busy/meanwhile/ 200").or_(page.get_by_role("button", name=re.compile("1 new")))
        newer.wait_for()
        route.continue_()

    page.route("**/rows/?*before=*", answer_late)
    last = page.locator("#requests > li").last.get_attribute("data-seq")
    page.get_by_role("button", name="Load older").click()
    page.wait_for_function(
        "(last) => Number(document.querySelector('#requests > li:last-child').dataset.seq) < last - 1",
        arg=int(last or 0),
    )
    assert state(page).inner_text() == "paused"


def test_a_request_that_is_not_kept_any_more_is_told_where_it_would_stand(served: Served, page: "Page") -> None:
    served.server.get("/lost/")
    served.open(page)
    lost = row(page, "GET /lost/ 200").first
    lost.evaluate("(link) => link.setAttribute('hx-get', link.getAttribute('hx-get').replace(/[^/]+.$/, 'lost/'))")
    lost.evaluate("(link) => window.htmx.process(link)")
    lost.click()
    page.locator("#stage").get_by_role("heading", name="This request is not kept any more").wait_for()


@pytest.mark.parametrize("way", ["uvicorn", "runserver", "gunicorn with one worker"])
def test_a_page_that_was_cut_off_says_so_and_misses_nothing(site: Site, page: "Page", way: str) -> None:
    name, extra, _ = WAYS[way]
    port = free_port()
    server = start(site, name, extra, port)
    try:
        page.goto(f"{server.url}/__inspector__/")
        state(page).and_(page.get_by_text("live", exact=True)).wait_for()
        server.stop()
        state(page).and_(page.get_by_text("reconnecting", exact=True)).wait_for()
        server = start(site, name, extra, port)
        path = f"/missed/{port}/"
        server.get(path)
        row(page, f"GET {path} 200").wait_for()
        state(page).and_(page.get_by_text("live", exact=True)).wait_for()
    finally:
        server.stop()


def test_many_open_pages_leave_the_browser_connections_to_the_site(
    serve: Callable[[str], Served], browser: "Browser"
) -> None:
    served = serve("runserver")
    context = browser.new_context()
    pages = [context.new_page() for _ in range(8)]
    for one in pages:
        served.open(one)
    pages[0].evaluate("(address) => fetch(address)", "/from-the-same-browser/")
    for one in pages:
        row(one, "GET /from-the-same-browser/ 200").wait_for()
    ways = [one.locator("#transport").inner_text() for one in pages]
    assert ways == ["polling"] * 5 + ["event stream"] * 3
    pages[0].evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    pages[0].locator("#transport", has_text="event stream").wait_for()
    context.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_page_tries_again_less_and_less_often(site: Site, page: "Page", way: str) -> None:
    name, extra, _ = WAYS[way]
    server = start(site, name, extra, free_port())
    page.goto(f"{server.url}/__inspector__/")
    state(page).and_(page.get_by_text("live", exact=True)).wait_for()
    page.evaluate(TRIES)
    server.stop()
    page.wait_for_function("() => window.tries.some((moment, number) => moment - window.tries[number - 1] > 2000)")
    tries = page.evaluate("window.tries")
    assert len(tries) <= 12, tries


def test_a_page_says_nothing_to_the_console(served: Served, page: "Page") -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    served.open(page)
    served.server.get("/quiet/")
    row(page, "GET /quiet/ 200").click()
    page.locator("#stage .stage").wait_for()
    assert said == []


def test_the_inspector_is_not_in_its_own_list(served: Served, page: "Page") -> None:
    served.open(page)
    served.server.get("/seen/")
    row(page, "GET /seen/ 200").last.wait_for()
    kept = served.server.api("requests/", limit=1000)["requests"]
    assert [one["path"] for one in kept if one["path"].startswith("/__inspector__")] == []
