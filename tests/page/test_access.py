"""Who may look and who may act: by address, host, origin and token, on pages, API, event stream and socket alike."""

import json
from typing import Any

import pytest
from django.test import override_settings

from pipeline_inspector import faults
from pipeline_inspector.page import access
from tests.page.conftest import Client, Kept, error_of

EVERYWHERE = ["", "pipeline/", "rows/", "events/", "assets/denied.css", "api/requests/", "api/openapi.json", "nowhere/"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_a_loopback_address_may_look(client: Client, kept: Kept, address: str) -> None:
    client.address = address
    assert client.get("rows/").status_code == 200


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "192.168.1.4", "2001:db8::1", "::ffff:10.0.0.5", "", "localhost", "127.0.0.1, 10.0.0.5"]
)
def test_any_other_address_is_refused_everywhere(client: Client, kept: Kept, address: str) -> None:
    client.address = address
    assert {client.get(path).status_code for path in EVERYWHERE} == {403}


@pytest.mark.parametrize("address", ["172.18.0.1", "::ffff:172.18.0.1"])
@override_settings(INTERNAL_IPS=["172.18.0.1"])
def test_an_address_in_internal_ips_may_look(client: Client, kept: Kept, address: str) -> None:
    client.address = address
    assert client.get("rows/").status_code == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Client-IP"])
def test_forwarded_headers_are_not_believed(client: Client, kept: Kept, name: str) -> None:
    client.address = "10.0.0.5"
    assert client.get("", **{name: "127.0.0.1"}).status_code == 403
    client.address, client.host = "127.0.0.1", "evil.example"
    with override_settings(USE_X_FORWARDED_HOST=True):
        assert client.get("", **{name: "localhost"}).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "localhost.:80",
        "site.localhost",
        "127.0.0.1:8000",
        "127.1.2.3",
        "[::1]",
        "[::1]:8000",
        "testserver",
    ],
)
def test_a_loopback_name_or_one_written_out_is_answered(client: Client, kept: Kept, host: str) -> None:
    client.host = host
    assert client.get("rows/").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        " ",
        "localhost:8000:1",
        "localhost,evil.example",
        "localhost evil",
        "localhost@evil.example",
        "[::1",
        "::1",
        "0.0.0.0",
        "localhost/",
        "localhost:port",
        "[::2]",
        "\u212aocalhost",
        "localhost\x00",
    ],
)
@override_settings(ALLOWED_HOSTS=["*", ".evil.example", "testserver"])
def test_any_other_host_is_refused_everywhere(client: Client, kept: Kept, host: str) -> None:
    client.host = host
    assert {client.get(path).status_code for path in EVERYWHERE} == {403}


@override_settings(ALLOWED_HOSTS=["*"], PIPELINE_INSPECTOR={"ALLOWED_HOSTS": ["Dev.Example.", "10.0.0.1"]})
def test_hosts_of_the_setting_are_answered(client: Client, kept: Kept) -> None:
    for host, status in [("dev.example:80", 200), ("10.0.0.1", 200), ("a.dev.example", 403)]:
        client.host = host
        assert client.get("rows/").status_code == status


def test_without_a_host_header_the_servers_own_name_counts(client: Client, kept: Kept) -> None:
    def scope(server: list[Any] | None) -> dict[str, Any]:
        return {"client": ["127.0.0.1", 5], "server": server, "headers": []}

    assert access.may_look(scope(["127.0.0.1", 8000])).ok
    assert not access.may_look(scope(["10.0.0.1", 8000])).ok
    assert not access.may_look(scope(None)).ok


def test_two_host_headers_are_refused() -> None:
    headers = [(b"host", b"localhost"), (b"host", b"localhost")]
    assert not access.may_look({"client": ["127.0.0.1", 5], "headers": headers}).ok


def test_a_client_without_an_address_is_refused() -> None:
    headers = [(b"host", b"localhost")]
    for end in (None, ["", 0], ("", None)):
        verdict = access.may_look({"client": end, "headers": headers})
        assert (verdict.ok, verdict.wrong) == (False, "address")


# -- ACCESS -----------------------------------------------------------------------------------------------------------


def says_yes(source: object) -> bool:
    return True


def says_perhaps(source: object) -> object:
    return "yes"


async def says_later(source: object) -> bool:
    return True


def fails(source: object) -> bool:
    raise RuntimeError("no idea")


def _status(client: Client, name: str) -> int:
    client.address = "10.0.0.5"
    with override_settings(PIPELINE_INSPECTOR={"ACCESS": f"{__name__}.{name}"}):
        return int(client.get("rows/").status_code)


def test_access_lets_in_another_address_but_no_other_host(client: Client, kept: Kept) -> None:
    assert _status(client, "says_yes") == 200
    client.host = "evil.example"
    assert _status(client, "says_yes") == 403


@pytest.mark.parametrize("name", ["fails", "says_perhaps", "says_later", "is_not_there"])
def test_an_access_that_fails_or_does_not_say_true_lets_nobody_in(client: Client, kept: Kept, name: str) -> None:
    assert _status(client, name) == 403
    assert [fault.where for fault in faults.seen()] == ["page: ACCESS"]
    faults.forget()


# -- what the refused are told ----------------------------------------------------------------------------------------


def test_the_refused_are_told_what_was_seen_and_the_line_that_lets_them_in(client: Client, kept: Kept) -> None:
    client.address = "172.18.0.1"
    page = client.get().content.decode()
    assert "172.18.0.1" in page
    assert "localhost:8000" in page
    assert "INTERNAL_IPS = [&#x27;172.18.0.1&#x27;]" in page
    assert "Docker" in page
    client.host = "dev.example:8000"
    assert (
        "PIPELINE_INSPECTOR = {&quot;ALLOWED_HOSTS&quot;: [&#x27;dev.example&#x27;]}" in client.get().content.decode()
    )
    told = error_of(client.get("api/requests/"))
    assert told["code"] == "not_allowed"
    assert "dev.example" in told["message"]


def test_a_client_without_address_is_told_of_access(client: Client, kept: Kept) -> None:
    client.address = ""
    assert "ACCESS" in client.get().content.decode()


@override_settings(INTERNAL_IPS=["192.0.2.77"], ALLOWED_HOSTS=["secret-name.example"])
def test_the_refused_are_told_nothing_of_the_site(client: Client, kept: Kept) -> None:
    kept.add(path="/secret-path/")
    client.address = "203.0.113.9"
    for path in EVERYWHERE:
        told = client.get(path).content.decode()
        for secret in ("192.0.2.77", "secret-name", "secret-path", "tests.settings", "/work", "Django/"):
            assert secret not in told
    assert len({client.get(path).content for path in EVERYWHERE if not path.startswith("api/")}) == 1


def test_what_the_refused_sent_is_shown_as_text_only(client: Client, kept: Kept) -> None:
    client.host = "<script>alert(1)</script>"
    response = client.get()
    assert b"<script" not in response.content
    assert b"&lt;script&gt;" in response.content
    assert "<" not in response["Content-Security-Policy"]


# -- who may act ------------------------------------------------------------------------------------------------------

CHANGES = [
    ("DELETE", "api/requests/", None),
    ("PUT", "api/layers/CommonMiddleware/", {"enabled": False}),
    ("POST", "actions/clear/", None),
    ("POST", "actions/reset/", None),
    ("POST", "actions/layers/CommonMiddleware/", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_change_without_a_token_is_refused(client: Client, kept: Kept, method: str, path: str, body: Any) -> None:
    kept.add()
    assert client(method, path, body=body).status_code == 403
    assert client(method, path, body=body, X_CSRFToken="x" * 32).status_code == 403
    assert client(method, path, body=body, X_Inspector_Token="wrong").status_code == 403
    assert client(method, path, body=body, X_Inspector_Token="\u00fc").status_code == 403
    assert len(kept.store.after(0, 10)) == 1
    assert kept.store.control().off == ()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost", "https://localhost", "http://localhost:8000/x", ""]
)
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_change_from_another_origin_is_refused_even_with_the_token(
    client: Client, kept: Kept, method: str, path: str, body: Any, origin: str
) -> None:
    token = kept.store.token()
    assert client(method, path, body=body, X_Inspector_Token=token, Origin=origin).status_code == 403
    assert kept.store.control().off == ()


@pytest.mark.parametrize("origin", [None, "http://localhost:8000"])
def test_the_api_token_lets_a_change_through(client: Client, kept: Kept, origin: str | None) -> None:
    kept.add()
    headers = {"X-Inspector-Token": kept.store.token(), **({"Origin": origin} if origin else {})}
    assert client("DELETE", "api/requests/", **headers).status_code == 204
    assert kept.store.after(0, 10) == []


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"CSRF_COOKIE_NAME": "other"},
        {"CSRF_USE_SESSIONS": True},
        {"CSRF_HEADER_NAME": "HTTP_X_OTHER"},
        {"CSRF_COOKIE_HTTPONLY": True, "CSRF_COOKIE_SECURE": True, "CSRF_FAILURE_VIEW": "not.there"},
    ],
)
def test_the_token_of_the_page_and_its_cookie_let_a_change_through(
    client: Client, kept: Kept, settings: dict[str, Any]
) -> None:
    kept.add()
    with override_settings(**settings):
        token = page_token(client)
        assert client("POST", "actions/clear/", X_CSRFToken=token, Origin="http://localhost:8000").status_code == 200
        assert kept.store.after(0, 10) == []
        client.factory.cookies.clear()
        assert client("POST", "actions/clear/", X_CSRFToken=token).status_code == 403


def page_token(client: Client) -> str:
    """The token that a page gives to its own scripts."""
    page = client.get().content.decode()
    start = page.index("hx-headers='") + len("hx-headers='")
    found: str = json.loads(page[start : page.index("'", start)])["X-CSRFToken"]
    return found


def test_the_token_of_one_browser_is_nothing_to_another(kept: Kept) -> None:
    with override_settings(CSRF_USE_SESSIONS=True):
        one, other = Client(), Client()
        token = page_token(one)
        page_token(other)
        assert other("POST", "actions/clear/", X_CSRFToken=token).status_code == 403


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("http://LOCALHOST:8000", "localhost:8000", True),
        ("http://localhost", "localhost", True),
        ("http://localhost", "localhost:80", True),
        ("https://localhost", "localhost:443", True),
        ("https://dev.example", "dev.example", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://localhost:8001", "localhost:8000", False),
        ("https://localhost", "localhost:80", False),
        ("http://localhost.evil.example", "localhost", False),
        ("http://evil.example#localhost", "localhost", False),
        ("http://user@localhost", "localhost", False),
        ("ftp://localhost", "localhost", False),
        ("localhost", "localhost", False),
        ("http://[", "localhost", False),
        ("null", "localhost", False),
        ("", "localhost", False),
    ],
)
def test_an_origin_is_the_pages_own_when_scheme_host_and_port_agree(origin: str, host: str, same: bool) -> None:
    assert access.is_same_origin(origin, host) is same
