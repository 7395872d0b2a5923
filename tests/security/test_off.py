"""Closed by default: off outside development, and while on, to everybody but the developer, on real servers."""

import base64
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.sites import Server, Site

WATCHED = """
import json, logging
import django
names = {}
def look(when):
    from django.core.handlers import base, exception, asgi, wsgi
    from django.core.cache import CacheHandler
    from django.db.backends.utils import CursorWrapper
    from django.template import base as template
    from django.template.response import SimpleTemplateResponse
    for owner, name in (
        (base.BaseHandler, "load_middleware"), (base.BaseHandler, "resolve_request"), (base.BaseHandler, "make_view_atomic"),
        (base.BaseHandler, "_get_response"), (base, "import_string"), (base, "convert_exception_to_response"),
        (exception, "response_for_exception"), (wsgi.WSGIHandler, "__call__"), (asgi.ASGIHandler, "__call__"),
        (CacheHandler, "create_connection"), (CursorWrapper, "execute"), (CursorWrapper, "executemany"),
        (template.Template, "render"), (SimpleTemplateResponse, "render"), (logging.Logger, "callHandlers"),
    ):
        names.setdefault(f"{owner.__name__}.{name}", []).append(getattr(owner, name))
look("before")
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()
look("after")
from django.test import Client
answer = Client().get("/", headers={"Host": "127.0.0.1"})
prefixed = Client().get("/__inspector__/", headers={"Host": "127.0.0.1"})
look("later")
import threading
print(json.dumps({
    "changed": [name for name, seen in names.items() if any(one is not seen[0] for one in seen)],
    "threads": [thread.name for thread in threading.enumerate()],
    "statuses": [answer.status_code, prefixed.status_code],
    "chain": type(answer.wsgi_request).__name__,
    "tape": hasattr(answer.wsgi_request, "_pipeline_tape"),
}))
"""
OFF = 'DEBUG = False\nALLOWED_HOSTS = ["127.0.0.1"]\n'


@pytest.mark.parametrize("setting", [OFF, OFF + "PIPELINE_INSPECTOR = {}", 'PIPELINE_INSPECTOR = {"ENABLED": False}'])
def test_while_off_every_function_of_django_is_its_own(setting: str, make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.configure(setting)
    told = json.loads(site.run("-c", WATCHED).stdout.splitlines()[-1])
    assert told["changed"] == []
    assert told["threads"] == ["MainThread"]
    assert told["statuses"][1] == 404
    assert told["tape"] is False
    assert not list((site.folder / ".cache").glob("**/*"))


def test_while_off_no_path_and_no_socket_answers_behind_asgi(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.configure(OFF)
    server = site.serve("uvicorn")
    for path in ("", "api/requests/", "live/", "events/", "assets/inspector.css", "pipeline/"):
        answer = server.get(f"/__inspector__/{path}")
        assert answer.status_code == 404
        assert "Content-Security-Policy" not in answer.headers
    assert " 101 " not in handshake(server, "127.0.0.1", f"http://127.0.0.1:{server.port}")


def test_on_outside_development_is_an_error_unless_somebody_says_who_may_look(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.configure(OFF + 'PIPELINE_INSPECTOR = {"ENABLED": True}')
    for arguments in (["check"], ["check", "--deploy"]):
        done = site.manage(*arguments, check=False)
        assert done.returncode != 0
        assert "pipeline_inspector.E004" in done.stderr
    site.write("mysite/who.py", "def nobody(source):\n    return False\n")
    site.configure('PIPELINE_INSPECTOR["ACCESS"] = "mysite.who.nobody"')
    assert "E004" not in site.manage("check").stderr


# -- while on, on real servers ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["uvicorn", "runserver"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site in development that has let its own name be any."""
    site = Site(tmp_path_factory.mktemp("closed") / "site")
    site.install("pipeline_inspector")
    site.configure('ALLOWED_HOSTS = ["*"]')
    server = site.serve(request.param)
    assert server.get("/?a=secret-of-the-site").status_code == 200
    server.recorded("/")
    server.token = site.manage("pipeline", "token").stdout.strip()  # type: ignore[attr-defined]
    yield server
    site.close()


PATHS = (
    "",
    "requests/x/",
    "pipeline/",
    "startup/",
    "rows/",
    "events/",
    "api/requests/",
    "api/openapi.json",
    "assets/live.js",
)


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "127.0.0.1.rebound.example",
        "localhost.rebound.example",
        "localhost@evil.example",
        "10.0.0.7",
        "",
    ],
)
def test_a_rebound_name_sees_nothing_of_the_site(host: str, server: Server) -> None:
    for path in PATHS:
        answer = raw(server, f"GET /__inspector__/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        assert re.match(r"HTTP/1.[01] (403|400) ", answer), answer[:200]
        assert "secret-of-the-site" not in answer
        assert "Middleware" not in answer


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1;host=localhost",
        "X-Forwarded-Host: localhost",
    ],
)
def test_forwarded_headers_open_nothing(header: str, server: Server) -> None:
    request = f"GET /__inspector__/ HTTP/1.1\r\nHost: rebound.example\r\n{header}\r\nConnection: close\r\n\r\n"
    assert " 403 " in raw(server, request)[:20]


def test_two_hosts_in_one_request_open_nothing(server: Server) -> None:
    request = "GET /__inspector__/ HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\nConnection: close\r\n\r\n"
    assert " 40" in raw(server, request)[:20]


def test_the_refusal_says_what_was_seen_and_the_one_line_that_would_allow_it(server: Server) -> None:
    answer = raw(server, "GET /__inspector__/ HTTP/1.1\r\nHost: dev.example\r\nConnection: close\r\n\r\n")
    assert "dev.example" in answer
    assert "ALLOWED_HOSTS" in answer
    assert "127.0.0.1" in answer


ACTIONS = (
    ("DELETE", "api/requests/", None),
    ("PUT", "api/layers/SessionMiddleware/", {"enabled": False, "scope": "everyone"}),
    ("POST", "actions/clear/", None),
    ("POST", "actions/reset/", None),
    ("POST", "actions/layers/SessionMiddleware/", None),
)


@pytest.mark.parametrize(("method", "path", "body"), ACTIONS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Inspector-Token": "wrong"},
        {"X-CSRFToken": "x" * 64, "Cookie": f"csrftoken={'y' * 32}"},
        {"Origin": "http://evil.example"},
    ],
    ids=["no token", "a wrong token", "a made-up CSRF token", "another site's page"],
)
def test_nothing_is_changed_without_a_token(
    method: str, path: str, body: Any, headers: dict[str, str], server: Server
) -> None:
    answer = server.client.request(method, f"/__inspector__/{path}", json=body, headers=headers)
    assert answer.status_code == 403
    assert server.api("requests/")["requests"]
    assert [layer["enabled"] for layer in server.api("pipeline/")["layers"]] == [True] * 7


def test_a_foreign_page_with_the_right_token_changes_nothing(server: Server) -> None:
    headers = {"X-Inspector-Token": server.token, "Origin": "http://evil.example"}  # type: ignore[attr-defined]
    answer = server.client.delete("/__inspector__/api/requests/", headers=headers)
    assert answer.status_code == 403
    assert server.api("requests/")["requests"]


def test_no_answer_may_be_read_or_framed_by_another_site(server: Server) -> None:
    for path in ("", "api/requests/", "assets/live.js"):
        answer = server.get(f"/__inspector__/{path}", headers={"Origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Frame-Options"] == "DENY"
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "DELETE"}
    answer = server.client.request("OPTIONS", "/__inspector__/api/requests/", headers=preflight)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:{port}", "http://evil.example"),
        ("127.0.0.1:{port}", "http://127.0.0.1:1"),
        ("127.0.0.1:{port}", "null"),
        ("127.0.0.1:{port}", ""),
        ("rebound.example", "http://rebound.example"),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}@evil.example"),
    ],
)
def test_a_foreign_page_cannot_open_the_socket(host: str, origin: str, server: Server) -> None:
    answer = handshake(server, host.format(port=server.port), origin.format(port=server.port))
    assert " 101 " not in answer[:20]


def test_our_own_page_can_open_the_socket_where_there_is_one(server: Server) -> None:
    own = f"127.0.0.1:{server.port}"
    opened = " 101 " in handshake(server, own, f"http://{own}")[:20]
    assert opened is ("Uvicorn" in server.log())


def test_a_half_open_socket_holds_up_nobody(server: Server) -> None:
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    try:
        for one in held:
            one.sendall(b"GET /__inspector__/live/ HTTP/1.1\r\nHost: 127")
        assert server.get("/__inspector__/").status_code == 200
    finally:
        for one in held:
            one.close()


def test_somebody_on_the_network_is_refused(make_site: Callable[..., Site], free_port: int) -> None:
    address = own_address()
    site = make_site()
    site.configure('ALLOWED_HOSTS = ["*"]')
    server = site.serve("uvicorn", "--host", "0.0.0.0")
    url = f"http://{address}:{server.port}/__inspector__/"
    for headers in ({}, {"Host": "localhost"}, {"Host": "localhost", "X-Forwarded-For": "127.0.0.1"}):
        answer = httpx.get(url, headers=headers, trust_env=False)
        assert answer.status_code == 403
    assert address in answer.text
    assert httpx.get(f"http://{address}:{server.port}/", trust_env=False).status_code == 200


def own_address() -> str:
    """An address of this machine that is not loopback: that from which it would send, else that of its own name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostbyname(socket.gethostname())


def raw(server: Server, request: str) -> str:
    """The whole answer to ``request``, sent as it stands; the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(request.encode("latin-1"))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


def handshake(server: Server, host: str, origin: str) -> str:
    """The first bytes of the answer to a WebSocket handshake; an empty ``origin`` is not sent."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /__inspector__/live/ HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *([f"Origin: {origin}"] if origin else [])]
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection.recv(4096).decode("latin-1")
