"""Hostile input is shown, not run: in every text of a record, and through real handlers with the oddest requests."""

import asyncio
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from channels.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory, override_settings

from pipeline_inspector import faults
from pipeline_inspector.page import events, source, views
from pipeline_inspector.page.asgi import application
from pipeline_inspector.page.viewer import Viewer
from pipeline_inspector.reader import Filter
from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.recording import recorder
from pipeline_inspector.records import Plan, Process, RequestRecord, Sealed, Summary
from pipeline_inspector.store.base import Store
from tests import samples
from tests.scenarios.driving import through_asgi, through_wsgi
from tests.security.conftest import PREFIX, api, look

POISON = (
    "\"'><img src=x onerror=alert(1)><script>alert(2)</script></title></textarea></style></svg>"
    "<svg/onload=alert(3)> onmouseover=alert(4) javascript:alert(5) {{ 7|add:7 }}{% now %}\x00\r\ndata: x\n\n\u202e"
)
TAGS = ("image", "img", "iframe", "object", "embed", "base", "style", "frame", "applet", "math", "template")
LITERALS = {
    "id",
    "state",
    "interface",
    "mode",
    "runs",
    "kind",
    "on",
    "what",
    "outcome",
    "relation",
    "plan_id",
    "process",
}
TABS = (
    "onion",
    "timeline",
    "changes",
    "queries",
    "templates",
    "resolver",
    "headers",
    "server",
    "cache",
    "logs",
    "exception",
)


class Strict(HTMLParser):
    """Finds whatever in a page could run or load something."""

    def __init__(self, styled: bool = False) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.text: list[str] = []
        self._styled = styled

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in TAGS and not (tag == "style" and self._styled):
            self.found.append(f"<{tag}>")
        for name, given in attrs:
            value = (given or "").strip().lower()
            if name.startswith(("on", "hx-on")) or name in ("style", "srcdoc", "srcset", "formaction"):
                self.found.append(f"{tag} {name}={value[:60]}")
            if name in ("href", "src", "action", "xlink:href", "hx-get", "hx-post", "data-href"):
                self._address(tag, name, value)
        if tag == "script" and not dict(attrs).get("src"):
            self.found.append("<script> inline")

    def _address(self, tag: str, name: str, value: str) -> None:
        ours = value.startswith((PREFIX, "?", "#", "https://docs.djangoproject.com/", "vscode://file/"))
        if not ours and value not in ("", "/"):
            self.found.append(f"{tag} {name}={value[:60]}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def assert_harmless(markup: str, *, styled: bool = False) -> str:
    """Nothing in ``markup`` runs or loads; gives its text."""
    parser = Strict(styled)
    parser.feed(markup)
    parser.close()
    assert parser.found == []
    return "".join(parser.text)


def assert_strict(response: Any) -> None:
    """The headers that every answer of ours bears."""
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    assert response.headers["Cache-Control"] == "no-store"


def poisoned(value: Any, name: str = "") -> Any:
    """A copy of plain data with poison in every text that a request or a site could have written."""
    if isinstance(value, dict):
        return {key: poisoned(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, name) for item in value]
    return value + POISON if isinstance(value, str) and name not in LITERALS else value


def poison(thing: Any, kind: type[Any]) -> Any:
    """The same of a struct."""
    return msgspec.convert(poisoned(msgspec.to_builtins(thing)), kind)


@pytest.fixture
def hostile(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, RequestRecord]]:
    """A store with one poisoned record of every kind, a poisoned chain and process; records by id."""
    records: dict[str, RequestRecord] = {}
    store.put_plan(poison(samples.plan(), Plan))
    store.put_process(poison(samples.process(4121, "asgi"), Process))
    for number, kind in enumerate(samples.KINDS, 1):
        record = samples.record(kind, seq=number)
        record.id = f"{kind}-{number}".replace("_", "-")
        summary = poison(samples.summary(record), Summary)
        records[record.id] = poison(record, RequestRecord)
        if kind == "running":
            store.put_running("other", [summary])
        else:
            records[record.id].seq = store.append([Sealed(summary, record.id.encode(), summary.plan_id)])
    for made in ("assemble", "abridged"):
        monkeypatch.setattr(f"pipeline_inspector.reader.{made}", lambda sealed, plan: records[sealed.payload.decode()])
    with override_settings(PIPELINE_INSPECTOR={"ENABLED": True, "EDITOR": "vscode"}):
        yield records
    assert faults.seen() == []


def kept_ids() -> list[str]:
    """The ids of the finished records."""
    return [row["id"] for row in api("requests/")["requests"]]


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_shows_poisoned_records_as_text(tab: str, hostile: dict[str, RequestRecord]) -> None:
    for record_id in kept_ids():
        response = look(f"requests/{record_id}/?tab={tab}", **{"HX-Request": "true"})
        assert response.status_code == 200
        assert_strict(response)
        assert "<script>alert(2)</script>" in assert_harmless(response.content.decode())


@pytest.mark.parametrize(
    "path",
    ["", "?path=%3Cscript%3E", "rows/", "rows/?after=0", "pipeline/", "startup/", "compare/?a=passed-1&b=raised-3"],
)
def test_every_page_shows_poisoned_names_as_text(path: str, hostile: dict[str, RequestRecord]) -> None:
    response = look(path)
    assert response.status_code == 200
    assert_strict(response)
    assert "alert(" in assert_harmless(response.content.decode()) or "path=" in path


def test_exports_carry_poison_as_data(hostile: dict[str, RequestRecord]) -> None:
    for record_id in kept_ids():
        for name in EXPORTS:
            response = look(f"api/requests/{record_id}/export/{name}/")
            assert response.status_code == 200
            assert response.headers["Content-Disposition"].startswith("attachment; ")
            assert "\n" not in response.headers["Content-Disposition"]
            assert_strict(response)
            if name == "html":
                assert_harmless(response.content.decode(), styled=True)
            else:
                assert msgspec.json.decode(response.content)


def test_links_to_source_files_never_run_a_script(hostile: dict[str, RequestRecord]) -> None:
    for record in hostile.values():
        for file in (*record.queries, *record.logs):
            file.file = "javascript:alert(1)//"
    with override_settings(PIPELINE_INSPECTOR={"ENABLED": True, "EDITOR": "{file}?{line}"}):
        for record_id in kept_ids():
            for tab in ("queries", "logs"):
                response = look(f"requests/{record_id}/?tab={tab}")
                assert "javascript:" not in {address[:11].lower() for address in addresses(response.content.decode())}


def addresses(markup: str) -> list[str]:
    """Where the links of a page lead."""
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend((value or "").strip() for name, value in attrs if name in ("href", "src"))

    Links().feed(markup)
    return found


def test_the_event_stream_carries_poison_in_whole_events(hostile: dict[str, RequestRecord]) -> None:
    tail = source.newest(PREFIX)
    viewer = Viewer(tail, Filter(), 0, paused=False)
    tail.refresh()
    update = viewer.update()
    assert update is not None
    lines = events.event(update, viewer.after).decode().split("\n")
    assert lines[0] == f"id: {viewer.after}"
    assert lines[-2:] == ["", ""]
    assert all(line.startswith("data: ") for line in lines[1:-2])
    assert "\r" not in "".join(lines)
    assert "<script>alert(2)</script>" in assert_harmless("\n".join(line[6:] for line in lines[1:-2]))


def test_the_socket_carries_poison_as_text(hostile: dict[str, RequestRecord]) -> None:
    async def listen() -> str:
        scope = {
            "type": "websocket",
            "path": f"{PREFIX}live/",
            "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost")],
            "query_string": b"after=0",
            "client": ("127.0.0.1", 4),
        }
        end = ApplicationCommunicator(application, scope)
        await end.send_input({"type": "websocket.connect"})
        assert (await end.receive_output(5))["type"] == "websocket.accept"
        sent = await end.receive_output(5)
        await end.send_input({"type": "websocket.disconnect", "code": 1000})
        await end.wait(5)
        return str(sent["text"])

    assert "<script>alert(2)</script>" in assert_harmless(asyncio.run(listen()))


def test_the_refusal_shows_what_was_asked_as_text() -> None:
    response = look("requests/%22%3E%3Cscript%3Ealert(2)%3C/", Host='evil"><script>alert(1)</script>.test')
    assert response.status_code == 403
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert_harmless(response.content.decode(), styled=True)


# -- through real handlers --------------------------------------------------------------------------------------------

ODD_PATHS = (
    "/<script>alert(1)</script>",
    '/"><img src=x onerror=alert(1)>',
    "/\x00",
    "/\udcff\udcfe",
    "/" + "9" * 1000,
    "/\r\nX: y",
)
ODD_HEADERS = {
    "HTTP_X_BIG": "x" * 100_000,
    "HTTP_USER_AGENT": POISON,
    "HTTP_REFERER": "javascript:alert(1)//\xff",
    "HTTP_X_BYTES": b"\xff\xfe<b>".decode("latin-1"),
    "HTTP_COOKIE": '<script>="\x00; a=\xff; "><img src=x>=1; =; ;;',
    "HTTP_X_FORWARDED_FOR": "127.0.0.1<script>",
    "CONTENT_LENGTH": "0",
}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_requests_are_answered_recorded_and_shown_as_text(path: str, store: Store) -> None:
    assert through_wsgi(WSGIHandler(), "/logs/", **ODD_HEADERS).status == 200
    environ_path = path.encode("utf-8", "surrogateescape").decode("latin-1")
    assert through_wsgi(Odd(WSGIHandler(), environ_path), "/", **ODD_HEADERS).status == 404
    assert recorder.flush()
    assert faults.seen() == []
    rows = api("requests/")["requests"]
    assert len(rows) == 2
    for row in rows:
        assert_harmless(look(f"requests/{row['id']}/?tab=headers").content.decode())
        record = api(f"requests/{row['id']}/")
        assert all(len(value) <= 2100 for _, value in record["request"]["headers"])
    assert_harmless(look().content.decode())


class Odd:
    """A handler asked for another path than the client library would send."""

    def __init__(self, handler: Any, path: str) -> None:
        self.handler, self.path = handler, path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self.handler({**environ, "PATH_INFO": self.path}, start_response)


@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_paths_under_asgi_are_recorded_and_shown_as_text(path: str, store: Store) -> None:
    with override_settings(PIPELINE_INSPECTOR={"ENABLED": False}):
        bare = ASGIHandler()
    handler = ASGIHandler()

    async def odd(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-bytes", b"\xff\xfe<script>"), (b"cookie", b"\xff=\x00; <b>=1"), (b"x-big", b"x" * 100_000)]
        headers.append((b"host", b"localhost"))
        await handler({**scope, "path": path, "headers": headers, "query_string": b"%ff=%00&<script>"}, receive, send)

    answer = asyncio.run(through_asgi(odd, "/"))
    handler = bare
    assert answer.plain == asyncio.run(through_asgi(odd, "/")).plain
    assert recorder.flush()
    assert faults.seen() == []
    (row,) = api("requests/")["requests"]
    for tab in TABS:
        assert_harmless(look(f"requests/{row['id']}/?tab={tab}").content.decode())


@pytest.mark.parametrize(
    "record_id", ["9" * 1000, "%00", "%FF%FE", "..%2F..%2Fetc%2Fpasswd", "%3Cscript%3E", "a" * 5000]
)
def test_odd_ids_are_a_404(record_id: str, store: Store) -> None:
    for path in (f"requests/{record_id}/", f"api/requests/{record_id}/", f"api/requests/{record_id}/export/har/"):
        response = look(path)
        assert response.status_code == 404
        assert_strict(response)
        if "json" not in response.headers["Content-Type"]:
            assert_harmless(response.content.decode())


def test_every_kind_of_answer_bears_the_strict_headers(store: Store) -> None:
    for path in (
        "",
        "api/pipeline/",
        "api/nothing/",
        "nothing/",
        "assets/inspector.css",
        "assets/none.js",
        "rows/",
        "requests",
    ):
        assert_strict(look(path))
    factory = RequestFactory(REMOTE_ADDR="127.0.0.1", headers={"Host": "localhost"})
    for method in ("POST", "PUT", "DELETE", "TRACE", "PATCH", "OPTIONS"):
        assert_strict(views.answer(factory.generic(method, f"{PREFIX}api/requests/")))
