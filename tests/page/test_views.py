"""The pages: what stands on them, pieces for scripts, headers of every answer, our assets, and failures of our own."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline_inspector import clock, faults
from pipeline_inspector.control import toggles
from pipeline_inspector.faults import Fault
from pipeline_inspector.page import assets, door
from pipeline_inspector.records import Summary
from pipeline_inspector.store.base import StoreError
from tests import samples
from tests.page.conftest import Client, Kept
from tests.page.test_access import page_token

TABS = ["onion", "timeline", "changes", "queries", "templates", "resolver", "headers", "server"]


def text(response: HttpResponse) -> str:
    """The body of a successful answer."""
    assert response.status_code == 200, response.content
    return response.content.decode()


def ids(html: str) -> list[str]:
    """Ids of the requests whose rows stand in ``html``, in its order."""
    return re.findall(r'<li id="r-([\w-]+)"', html)


# -- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_holds_the_newest_on_top(client: Client, kept: Kept) -> None:
    records = [kept.add(path=f"/{number}/") for number in range(3)]
    page = text(client.get())
    assert ids(page) == [record.id for record in reversed(records)]
    assert 'data-seq="3"' in page


def test_the_list_stops_at_two_hundred_rows(client: Client, kept: Kept) -> None:
    for _ in range(205):
        kept.add()
    assert len(ids(text(client.get()))) == 200


def test_the_filter_stands_in_the_address(client: Client, kept: Kept) -> None:
    kept.add()
    bad = kept.add("raised")
    page = text(client.get("?status=5xx&method="))
    assert ids(page) == [bad.id]
    assert 'data-query="status=5xx"' in page
    assert client.get("?status=nine").status_code == 400


def test_a_name_that_is_no_filter_does_not_matter_to_a_page(client: Client, kept: Kept) -> None:
    assert len(ids(text(client.get("?utm_source=x")))) == 0


def test_requests_in_hand_stand_on_top(client: Client, kept: Kept) -> None:
    kept.add()
    row = samples.summary(samples.record("running"))
    kept.store.put_running("p-1", [row])
    assert ids(text(client.get()))[0] == row.id


def test_older_rows_are_given_piece_by_piece(client: Client, kept: Kept) -> None:
    records = [kept.add() for _ in range(5)]
    assert ids(text(client.get("rows/?before=4&limit=2"))) == [records[2].id, records[1].id]


@pytest.mark.parametrize(("multithread", "live"), [(False, "poll"), (True, "poll")])
def test_in_the_main_thread_of_a_wsgi_server_the_page_polls(
    client: Client, kept: Kept, multithread: bool, live: str
) -> None:
    client.factory.defaults["wsgi.multithread"] = multithread
    assert f'data-live="{live}"' in text(client.get())


def test_in_a_thread_of_its_own_the_page_takes_the_event_stream(client: Client, kept: Kept) -> None:
    client.factory.defaults["wsgi.multithread"] = True
    page = asyncio.run(asyncio.to_thread(client.get))
    assert 'data-live="sse"' in text(page)


def asgi(path: str, **headers: str) -> ASGIRequest:
    """A request for one of our pages as an ASGI server makes it, from this machine."""
    factory = AsyncRequestFactory(headers={"Host": "localhost", **headers})
    request: ASGIRequest = factory.get("/__inspector__/" + path)
    return request


def test_under_asgi_the_page_takes_the_socket(kept: Kept) -> None:
    response = asyncio.run(door.aanswer(asgi("")))
    assert 'data-live="ws"' in text(response)  # type: ignore[arg-type]


def test_links_carry_the_script_name_and_the_prefix(kept: Kept) -> None:
    kept.add()
    client = Client()
    client.factory.defaults["SCRIPT_NAME"] = "/under"
    page = text(client.get())
    links = re.findall(r'(?:href|src|hx-get|hx-post)="([^"#]*)"', page)
    assert links
    assert [link for link in links if not link.startswith("/under/__inspector__/") and link != "/"] == []


# -- one request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("tab", TABS)
def test_each_tab_has_its_address(client: Client, kept: Kept, kind: str, tab: str) -> None:
    record = kept.add(kind)
    page = text(client.get(f"requests/{record.id}/?tab={tab}"))
    assert f'data-record="{record.id}"' in page
    assert "<html" in page


def test_a_script_of_the_page_gets_the_piece_and_the_chain(client: Client, kept: Kept) -> None:
    record = kept.add()
    piece = text(client.get(f"requests/{record.id}/", HX_Request="true"))
    assert "<html" not in piece
    assert f'data-record="{record.id}"' in piece
    assert re.search(r'id="chain"[^>]*hx-swap-oob', piece)


def test_going_back_gets_the_whole_page(client: Client, kept: Kept) -> None:
    record = kept.add()
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in text(client.get(f"requests/{record.id}/", **headers))


def test_a_request_that_ends_while_it_is_looked_for_is_found(
    client: Client, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def just_over() -> list[Summary]:
        kept.add(as_id="r-1") if "r-1" not in kept.records else None
        return []

    monkeypatch.setattr(kept.store, "running", just_over)
    answer = client.get("requests/r-1/", HX_Request="true")
    assert "Onion of" in text(answer)
    assert client.get("requests/r-2/", HX_Request="true").status_code == 404


def test_a_request_in_hand_is_shown_as_far_as_it_has_come(client: Client, kept: Kept) -> None:
    row = samples.summary(samples.record("running"))
    kept.store.put_running("p-1", [row])
    assert 'data-state="running"' in text(client.get(f"requests/{row.id}/"))
    assert "<html" not in text(client.get(f"requests/{row.id}/", HX_Request="true"))


@pytest.mark.parametrize("name", ["gone", "9" * 5000, "%00", "%ff", "..%2f..%2fx", "<script>"])
def test_a_request_that_is_not_kept_is_told_so(client: Client, kept: Kept, name: str) -> None:
    response = client.get(f"requests/{name}/")
    assert response.status_code == 404
    assert b"not kept any more" in response.content
    assert b'<script>"' not in response.content


# -- buttons ----------------------------------------------------------------------------------------------------------


def press(client: Client, path: str, form: str = "") -> Any:
    """Press a button of the page, with the page's own token."""
    headers = {"X-CSRFToken": page_token(client), "HX-Request": "true", "Origin": "http://localhost:8000"}
    return client("POST", path, body=form, Content_Type="application/x-www-form-urlencoded", **headers)


def test_a_switch_turns_a_layer_off_and_on_and_draws_the_chain(client: Client, kept: Kept) -> None:
    layer = samples.plan().layers[0]
    chain = text(press(client, f"actions/layers/{layer.id}/", "enabled=false&scope=everyone"))
    assert 'aria-checked="false"' in chain
    assert kept.store.control().off == (layer.id,)
    chain = text(press(client, f"actions/layers/{layer.id}/", "enabled=true"))
    assert 'aria-checked="false"' not in chain
    assert kept.store.control().off == ()


def test_a_switch_for_this_browser_gives_it_a_cookie_and_shows_it_off_there_only(client: Client, kept: Kept) -> None:
    layer = samples.plan().layers[0]
    response = press(client, f"actions/layers/{layer.id}/", "enabled=false&scope=me")
    assert 'aria-checked="false"' in text(response)
    assert kept.store.control().off_for == {response.cookies[toggles.COOKIE].value: (layer.id,)}
    assert 'aria-checked="false"' in text(client.get())
    assert 'aria-checked="false"' not in text(Client().get())


def test_reset_turns_everything_on(client: Client, kept: Kept) -> None:
    layer = samples.plan().layers[0]
    toggles.switch(kept.store, layer.id, enabled=False)
    assert 'aria-checked="false"' not in text(press(client, "actions/reset/"))
    assert kept.store.control().off == ()


def test_clear_forgets_all(client: Client, kept: Kept) -> None:
    record = kept.add()
    client.get(f"requests/{record.id}/")
    assert press(client, "actions/clear/").status_code == 200
    assert client.get(f"requests/{record.id}/").status_code == 404


def told(html: str) -> list[str]:
    """What a page says is wrong with the inspector."""
    box = html.partition('id="problems"')[2].partition("</div>")[0]
    return re.findall(r"<p>(.*?)</p>", box)


def test_own_failures_and_recent_ones_of_other_processes_are_told_until_clear(client: Client, kept: Kept) -> None:
    minute = 60_000_000_000
    now = clock.wall()
    old = Fault("store: append", "the disk was full", 1, now - 11 * minute)
    recent = Fault("recorder: queue", "it is full", 12, now - 9 * minute)
    kept.store.put_faults("another", [old, recent])
    faults.note("page: ACCESS", "it said maybe")
    sentences = ["page: ACCESS failed (it said maybe), 1 times.", "recorder: queue failed (it is full), 12 times."]
    assert told(text(client.get())) == sentences
    assert told(text(client.get("pipeline/"))) == sentences
    assert told(text(press(client, "actions/clear/"))) == []
    assert told(text(client.get())) == []
    assert kept.store.faults() == []


def test_the_pipeline_page_says_where_requests_are_kept(client: Client, kept: Kept) -> None:
    kept.add()
    assert "Requests are kept in memory of this process." in text(client.get("pipeline/"))


def test_a_failure_that_is_over_is_told_as_such_and_none_is_told_twice(
    client: Client, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.note("store", "The disk is full.")
    with monkeypatch.context() as now:
        now.setattr(kept.store, "problems", lambda: ["The disk is full. 3 records wait."])
        assert told(text(client.get())) == ["The disk is full. 3 records wait."]
    faults.over("store", "The disk is full.")
    assert told(text(client.get())) == ["store failed (The disk is full.), 1 times; it works again."]
    faults.note("store", "The disk is full.")
    assert told(text(client.get())) == ["store failed (The disk is full.), 2 times."]
    faults.forget()


def test_what_is_wrong_now_is_told_after_clear_too(client: Client, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.store, "problems", lambda: ["The disk is full."])
    assert told(text(press(client, "actions/clear/"))) == ["The disk is full."]


@pytest.mark.parametrize("button", ["layers/{layer}/", "reset/"])
def test_after_a_switch_the_times_of_the_chosen_request_stay_in_the_chain(
    client: Client, kept: Kept, button: str
) -> None:
    record, layer = kept.add(), samples.plan().layers[0]
    before = text(client.get(f"requests/{record.id}/"))
    form = f"enabled=false&record={record.id}"
    after = text(press(client, f"actions/{button.format(layer=layer.id)}", form))
    times = r'<span class="number">([\d.]+)</span>'
    assert re.findall(times, after) == re.findall(times, before.partition('id="chain"')[2])
    assert f'name="record" value="{record.id}"' in after
    assert "ms in this request" in after


def test_a_switch_while_a_request_was_chosen_that_is_gone_shows_the_medians(client: Client, kept: Kept) -> None:
    kept.add()
    assert "ms, median" in text(press(client, "actions/reset/", "record=gone"))


def test_older_rows_can_be_loaded_where_there_may_be_some(client: Client, kept: Kept) -> None:
    button = re.compile(r'id="older"( hidden)?')
    for _ in range(199):
        kept.add()
    assert button.findall(text(client.get())) == [" hidden"]
    kept.add()
    assert button.findall(text(client.get())) == [""]


@pytest.mark.parametrize("form", ["", "enabled=maybe", "enabled=false&scope=all", "%ff=%00", "a=1&" * 2000])
def test_a_form_of_another_shape_is_a_400(client: Client, kept: Kept, form: str) -> None:
    response = press(client, f"actions/layers/{samples.plan().layers[0].id}/", form)
    assert response.status_code == 400
    assert kept.store.control().off == ()


# -- headers ----------------------------------------------------------------------------------------------------------

ANSWERS = [
    "",
    "rows/",
    "nowhere/",
    "requests/x/",
    "api/requests/",
    "api/nowhere/",
    "assets/denied.css",
    "assets/no",
    "events/",
]


@pytest.mark.parametrize("path", ANSWERS)
@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.9"])
def test_every_answer_has_the_strict_headers(client: Client, kept: Kept, path: str, address: str) -> None:
    client.address = address
    response = client.get(path)
    policy = dict(part.strip().partition(" ")[::2] for part in response["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Cache-Control"] == "no-store"


def test_the_page_may_only_connect_to_its_own_host(client: Client, kept: Kept) -> None:
    assert "connect-src 'self' ws://localhost:8000 wss://localhost:8000;" in client.get()["Content-Security-Policy"]


def test_no_page_holds_inline_script_or_style(client: Client, kept: Kept) -> None:
    record = kept.add("n_plus_one")
    for path in ["", *(f"requests/{record.id}/?tab={tab}" for tab in TABS)]:
        page = text(client.get(path))
        assert "<style" not in page
        assert re.search(r"<script(?![^>]*\bsrc=)", page) is None
        assert re.search(r"<[^>]+\s(style|on\w+)=", page) is None


# -- assets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("onion+tabs.css", "text/css"),
        ("denied.css", "text/css"),
        ("htmx/htmx.min.js", "text/javascript"),
        ("htmx/ws.js", "text/javascript"),
        ("htmx/sse.js", "text/javascript"),
        ("live.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_assets_are_served_by_the_app_itself(client: Client, kept: Kept, name: str, kind: str) -> None:
    with override_settings(STATIC_URL=None, STATIC_ROOT=None, STATICFILES_DIRS=[], TEMPLATES=[]):
        response = client.get(f"assets/{name}?v={assets.version()}")
    assert text(response)
    assert response["Content-Type"].startswith(kind)
    assert "immutable" in response["Cache-Control"]
    assert client.get(f"assets/{name}?v=old")["Cache-Control"] == "no-store"


def test_a_page_waits_for_one_script_and_one_sheet_that_holds_every_style(client: Client, kept: Kept) -> None:
    head = text(client.get()).partition("</head>")[0]
    (sheet,) = re.findall(r'<link rel="stylesheet" href="/__inspector__/([^"]*)"', head)
    assert len(re.findall(r"<script (?![^>]*defer)", head)) == 1
    found = text(client.get(sheet))
    styles = Path(assets.__file__).parent.parent / "static" / "pipeline_inspector"
    for style in styles.glob("*.css"):
        assert (style.read_text() in found) == (style.name != "denied.css")


def test_scripts_that_are_asked_for_as_one_keep_to_themselves(client: Client, kept: Kept) -> None:
    joined = client.get("assets/page+tabs.js")
    assert joined["Content-Type"].startswith("text/javascript")
    assert text(joined).count("(() => {\n// ") == 2
    assert text(client.get("assets/page.js")) in text(joined)


@pytest.mark.parametrize(
    "name",
    [
        "../live.py",
        "..%2flive.py",
        "%2e%2e/%2e%2e/live.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "htmx/../../x",
        "..\\live.py",
        "denied.css%00.js",
        "page+page.js",
        "page+.js",
        "page+nothing.js",
        "page+inspector.js",
        "page+../live.js",
        "+.js",
        "denied.css/",
        "",
        "htmx",
        "a" * 10_000,
        "%ff",
    ],
)
def test_no_path_leads_out_of_the_assets(client: Client, kept: Kept, name: str) -> None:
    assert client.get(f"assets/{name}").status_code == 404


# -- what cannot be answered ------------------------------------------------------------------------------------------


def test_an_address_without_its_slash_leads_to_the_right_one(client: Client, kept: Kept) -> None:
    response = client.get("rows?before=3")
    assert (response.status_code, response["Location"]) == (302, "/__inspector__/rows/?before=3")


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"]),
    path=st.one_of(st.text(max_size=80), st.sampled_from(ANSWERS)),
    query=st.text(max_size=50),
    header=st.sampled_from(["Cookie", "Origin", "Host", "HX-Request", "Content-Type", "X-CSRFToken", "Last-Event-ID"]),
    value=st.one_of(st.text(st.characters(codec="latin-1"), max_size=100), st.just(100_000).map("x".__mul__)),
    body=st.binary(max_size=100),
)
def test_whatever_is_asked_the_answer_is_clear_and_nothing_is_changed(
    kept: Kept, method: str, path: str, query: str, header: str, value: str, body: bytes
) -> None:
    client = Client()
    client.factory.defaults["QUERY_STRING"] = query.encode("utf-8", "replace").decode("latin-1")
    sent = value[:1000] if header == "Content-Type" else value  # Django itself refuses a longer one before it asks us
    response = client(method, path.replace("?", ""), body=body, **{header: sent})
    assert response.status_code in {200, 204, 301, 302, 400, 403, 404, 405, 409, 413, 415}
    assert kept.store.control().version == 0
    response.close()


def test_a_failure_of_our_own_is_told_and_noted(client: Client, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    record = kept.add()
    kept.records.clear()
    response = client.get(f"requests/{record.id}/")
    assert response.status_code == 500
    assert b"The inspector failed here" in response.content
    assert [fault.where for fault in faults.seen()] == [f"page: /__inspector__/requests/{record.id}/"]
    page = text(client.get())
    assert ids(page) == [record.id]
    assert "failed (KeyError" in page
    faults.forget()


def test_a_store_that_does_not_answer_is_a_503(client: Client, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[Summary]:
        raise StoreError("The file cannot be read.")

    monkeypatch.setattr(kept.store, "newest", fail)
    for path in ("", "api/requests/"):
        response = client.get(path)
        assert response.status_code == 503
        assert b"The file cannot be read." in response.content
