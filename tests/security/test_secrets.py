"""No secret of a request is kept or shown: planted in a real request, looked for in everything that is left of it."""

import asyncio
import base64
import html
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from pipeline_inspector import faults, wiring
from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.recording import recorder
from pipeline_inspector.store import configured
from pipeline_inspector.store.base import Store
from pipeline_inspector.store.sqlite import SqliteStore
from tests.scenarios.driving import INTERFACES
from tests.security import leaky
from tests.security.conftest import api, look

pytestmark = pytest.mark.django_db

SECRETS = {
    "bearer": "b3arer-71fd0c9a55e2",
    "basic": "b4sic:71<d0c&a55",
    "session": "s3ss10n71fd0c9a55e2k2m4n5p6q7r8s",
    "csrf": "c5rf71fd0c9a55e2k2m4n5p6q7r8s9t0",
    "tracking": "tr4ck71fd0c9a55e2",
    "api key": "ap1k3y-71fd0c9a55e2",
    "token of the query": "qu3ry-71fd0c9a55e2",
    "token of the path": "p4th-71fd0c9a55e2",
    "password": 'sw0rd f"sh<71fd>&',
    "nickname": "n1ckn4m3-71fd0c9a",
    "licence": "l1c3nc3-71fd0c9a",
    "gauge": "g4ug3-71fd0c9a55",
    "card": "4111111111111111",
}
TABS = ("onion", "timeline", "changes", "queries", "templates", "resolver", "headers", "server", "logs", "cache")


def planted(path: str) -> httpx.Request:
    """A request that brings all of them."""
    query = {name: SECRETS[name] for name in ("licence", "gauge", "card")} | {"token": SECRETS["token of the query"]}
    basic = base64.b64encode(f"me:{SECRETS['basic']}".encode()).decode()
    return httpx.Request(
        "POST",
        f"http://localhost/{path}/{SECRETS['token of the path']}/?{urlencode(query)}&fail",
        headers={
            "Authorization": f"Bearer {SECRETS['bearer']}",
            "Proxy-Authorization": f"Basic {basic}",
            "X-Api-Key": SECRETS["api key"],
            "Cookie": f"sessionid={SECRETS['session']}; csrftoken={SECRETS['csrf']}; seen={SECRETS['tracking']}",
            "Referer": f"http://localhost/account/{SECRETS['token of the path']}/",
        },
        data={"password": SECRETS["password"], "nickname": SECRETS["nickname"]},
    )


def send(interface: str, request: httpx.Request) -> httpx.Response:
    """Through a handler made now."""
    if interface == "wsgi":
        with httpx.Client(transport=httpx.WSGITransport(app=WSGIHandler(), raise_app_exceptions=False)) as client:
            return client.send(request)

    async def sending() -> httpx.Response:
        transport = httpx.ASGITransport(app=ASGIHandler(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.send(request)

    return asyncio.run(sending())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Store]:
    """The leaky site with a store in a file of its own."""
    recorder.settle()
    assert recorder.flush()
    faults.forget()
    store = SqliteStore(tmp_path / "kept" / "store.sqlite3", lambda: 500)
    with (
        override_settings(
            ROOT_URLCONF="tests.security.leaky",
            MIDDLEWARE=leaky.LAYERS,
            SESSION_ENGINE="django.contrib.sessions.backends.cache",
            DEFAULT_EXCEPTION_REPORTER_FILTER="tests.security.leaky.Filter",
            DEBUG=False,
            PIPELINE_INSPECTOR={"ENABLED": True, "REDACT": ["licen[cs]e"]},
        ),
        configured.use(store),
    ):
        wiring._sealer.cache_clear()
        yield store
        assert recorder.flush()
        store.close()
    wiring._sealer.cache_clear()
    assert faults.seen() == []


def forms_of(secret: str) -> set[str]:
    """How it could be written somewhere."""
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    }


def assert_none_is_in(text: str, where: str) -> None:
    """No secret in any form stands in ``text``."""
    found = {name for name, secret in SECRETS.items() if any(form in text for form in forms_of(secret))}
    places = {name: [text[max(0, at - 80) : at + 40] for at in [text.find(SECRETS[name])]] for name in found}
    assert not found, f"in {where}: {places}"


@pytest.mark.parametrize("interface", INTERFACES)
def test_no_secret_of_a_request_is_kept_or_shown(
    interface: str, kept: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert send(interface, planted("account")).status_code == 500
    ok = planted("account")
    ok.url = ok.url.copy_remove_param("fail")
    answer = send(interface, ok)
    assert answer.status_code == 200
    assert recorder.flush()
    rows = api("requests/")["requests"]
    assert [row["status"] for row in rows] == [500, 200]
    assert_none_is_in(json.dumps(rows, ensure_ascii=False), "the list")
    for row in rows:
        sealed = kept.read(row["id"])
        assert sealed is not None
        assert_none_is_in(sealed.payload.decode("latin-1"), "the payload")
        assert_none_is_in(look(f"api/requests/{row['id']}/").content.decode(), "the record")
        for name in EXPORTS:
            assert_none_is_in(look(f"api/requests/{row['id']}/export/{name}/").content.decode(), name)
        for tab in TABS:
            assert_none_is_in(look(f"requests/{row['id']}/?tab={tab}").content.decode(), f"tab {tab}")
    for page in ("", "pipeline/", "startup/", f"compare/?a={rows[0]['id']}&b={rows[1]['id']}", "api/pipeline/"):
        assert_none_is_in(look(page).content.decode(), f"page {page!r}")
    own = [record.getMessage() for record in caplog.records if record.name.startswith("pipeline_inspector")]
    assert_none_is_in("\n".join(own), "our log lines")
    new = [value for value in answer.cookies.values() if len(value) > 5]
    assert len(new) >= 1
    kept.close()
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert files
    for file in files:
        content = file.read_bytes().decode("latin-1")
        assert_none_is_in(content, str(file))
        assert not any(value in content for value in new)


def test_the_record_still_tells_what_happened(kept: Store) -> None:
    send("wsgi", planted("account"))
    assert recorder.flush()
    (row,) = api("requests/")["requests"]
    record = api(f"requests/{row['id']}/")
    assert row["path"] == "/account/•••/"
    assert record["route"]["kwargs"] == {"token": "•••"}
    assert record["exception"]["message"] == "nobody has the password •••, the nickname •••, the token •••"
    assert record["exception"]["type"] == "ValueError"
    assert ["Cookie", "sessionid=•••; csrftoken=•••; seen=•••"] in record["request"]["headers"]
    assert ["Authorization", "Bearer •••"] in record["request"]["headers"]
    assert record["templates"][0]["context_keys"] == ["password", "token"]
    assert "0: somebody came with •••" in [line["message"] for line in record["logs"]]
    assert record["view"]["name"].endswith("leak")


def test_a_request_in_hand_shows_no_secret_either(kept: Store) -> None:
    leaky.reached.clear()
    leaky.released.clear()
    kept.watch(20)
    request = planted("waits")
    sending = threading.Thread(target=send, args=("wsgi", httpx.Request("GET", request.url, headers=request.headers)))
    sending.start()
    try:
        assert leaky.reached.wait(10)
        patience = threading.Event()
        while not kept.running():
            recorder._wake.set()
            patience.wait(0.01)
        (row,) = kept.running()
        assert row.path == "/waits/•••/"
        assert_none_is_in(f"{row.path} {row.query}", "the row")
        assert_none_is_in(look().content.decode(), "the page")
        assert_none_is_in(look(f"requests/{row.id}/").content.decode(), "the page of the request")
    finally:
        leaky.released.set()
        sending.join(10)


def test_what_fails_in_ours_tells_no_secret(
    kept: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("pipeline_inspector.recording.redaction.Redactor.header", broken)
    with caplog.at_level(logging.DEBUG):
        send("wsgi", planted("account"))
        assert recorder.flush()
    own = [logging.Formatter().format(line) for line in caplog.records if line.name.startswith("pipeline_inspector")]
    assert own
    assert_none_is_in("\n".join(own), "our log lines")
    assert_none_is_in(look().content.decode(), "the page")
    faults.forget()


def test_a_word_that_is_no_secret_elsewhere_stays_where_it_names_something(kept: Store) -> None:
    address = "http://localhost/account/p4th-71fd0c9a55e2/?key=account"
    send("wsgi", httpx.Request("GET", address, headers={"Cookie": "last=/account/; theme=account"}))
    assert recorder.flush()
    (row,) = api("requests/")["requests"]
    assert row["path"] == "/account/•••/"
    assert row["route"] == "account/<str:token>/"
    assert api(f"requests/{row['id']}/")["view"]["name"].endswith("leaky.leak")


def test_our_pages_are_never_recorded(kept: Store) -> None:
    handler = WSGIHandler()
    with httpx.Client(transport=httpx.WSGITransport(app=handler), base_url="http://localhost") as client:
        assert client.get("/__inspector__/").status_code == 200
    assert recorder.flush()
    assert api("requests/")["requests"] == []
