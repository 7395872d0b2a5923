"""One line to install: real sites fresh from ``startproject``, behind every server, found through the JSON API."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.sites import Server, Site

STARTPROJECT = [
    "SecurityMiddleware",
    "SessionMiddleware",
    "CommonMiddleware",
    "CsrfViewMiddleware",
    "AuthenticationMiddleware",
    "MessageMiddleware",
    "XFrameOptionsMiddleware",
]
FRAME = "django.middleware.clickjacking.XFrameOptionsMiddleware"
ROUTED = """
import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter([])})
"""


def whole_record(server: Server, path: str, count: int = 1) -> dict[str, Any]:
    """The record of the last of ``count`` requests of ``path``."""
    row = server.recorded(path, count)[-1]
    record: dict[str, Any] = server.api(f"requests/{row['id']}/")
    return record


def assert_adds_up(record: dict[str, Any]) -> None:
    """Self times, hops and the stages of the core fill the duration, to 2 % or 20 µs."""
    layers = sum(layer["in_ns"] + layer["out_ns"] + layer["hop_ns"] for layer in record["layers"])
    stages = sum(
        span["duration_ns"]
        for span in record["spans"]
        if span["parent"] is None
        and (span["kind"] in ("resolve", "view", "render", "hook") or (span["kind"] == "hop" and span["layer"] is None))
    )
    assert abs(layers + stages - record["duration_ns"]) <= max(20_000, 0.02 * record["duration_ns"])


@pytest.mark.parametrize("first", [False, True], ids=["last in the list", "first in the list"])
def test_runserver_records_every_layer_of_a_fresh_project(make_site: Callable[..., Site], first: bool) -> None:
    server = make_site(first=first).serve("runserver")
    assert server.get("/").status_code == 200
    record = whole_record(server, "/")
    assert [layer["name"] for layer in record["layers"]] == STARTPROJECT
    assert [layer["index"] for layer in record["layers"]] == list(range(7))
    assert {layer["outcome"] for layer in record["layers"]} == {"passed"}
    assert record["server"]["interface"] == "wsgi"
    assert record["response"]["status"] == 200
    assert_adds_up(record)


def test_daphnes_runserver_records_the_same(make_site: Callable[..., Site]) -> None:
    server = make_site("daphne", "pipeline_inspector").serve("runserver")
    assert server.get("/").status_code == 200
    record = whole_record(server, "/")
    assert [layer["name"] for layer in record["layers"]] == STARTPROJECT
    assert record["server"]["interface"] == "asgi"
    assert "daphne" in record["server"]["software"]
    assert_adds_up(record)


@pytest.mark.parametrize("name", ["uvicorn", "daphne", "gunicorn"])
def test_servers_run_by_hand_need_nothing_more(make_site: Callable[..., Site], name: str) -> None:
    server = make_site().serve(name)
    assert server.get("/admin/").status_code == 302
    record = whole_record(server, "/admin/")
    assert [layer["name"] for layer in record["layers"]] == STARTPROJECT
    assert name in record["server"]["software"]
    assert record["response"]["status"] == 302
    assert_adds_up(record)


def test_a_site_that_routes_sockets_itself_keeps_working(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.write("mysite/asgi.py", ROUTED)
    server = site.serve("uvicorn")
    server.get("/")
    assert len(whole_record(server, "/")["layers"]) == 7


def test_nothing_of_the_project_changes(make_site: Callable[..., Site]) -> None:
    site = make_site()
    made = site.manage("makemigrations", "--check", "--dry-run").stdout
    assert "No changes detected" in made
    assert "pipeline_inspector" not in site.manage("showmigrations").stdout
    site.manage("check")


def test_a_switch_holds_from_the_next_request_and_back(make_site: Callable[..., Site]) -> None:
    site = make_site()
    server = site.serve("runserver")
    assert server.get("/").headers["X-Frame-Options"] == "DENY"
    site.manage("pipeline", "off", "XFrameOptionsMiddleware")
    assert "X-Frame-Options" not in server.get("/").headers
    record = whole_record(server, "/", 2)
    assert record["toggles"] == [FRAME]
    assert record["layers"][6]["outcome"] == "off"
    assert record["layers"][6]["enabled"] is False
    site.manage("pipeline", "on", "XFrameOptionsMiddleware")
    assert server.get("/").headers["X-Frame-Options"] == "DENY"


def test_a_switch_through_the_api_needs_the_token(make_site: Callable[..., Site]) -> None:
    site = make_site()
    server = site.serve("runserver")
    server.get("/")
    address = f"{server.prefix}api/layers/{FRAME}/"
    body = {"enabled": False, "scope": "everyone"}
    assert server.client.put(address, json=body).status_code == 403
    token = site.manage("pipeline", "token").stdout.strip()
    answer = server.client.put(address, json=body, headers={"X-Inspector-Token": token})
    assert answer.status_code == 200
    assert "X-Frame-Options" not in server.get("/").headers


def test_two_workers_share_switches_and_requests(make_site: Callable[..., Site]) -> None:
    site = make_site()
    server = site.serve("gunicorn", "--workers", "2")

    def processes() -> set[int]:
        rows = server.api("requests/", path="/", limit=500)["requests"]
        return {row["pid"] for row in rows}

    for _ in range(200):
        server.client.get("/", headers={"Connection": "close"})
        if len(processes()) == 2:
            break
    assert len(processes()) == 2, server.log()
    site.manage("pipeline", "off", "XFrameOptionsMiddleware")
    for _ in range(30):
        answer = server.client.get("/", headers={"Connection": "close"})
        assert "X-Frame-Options" not in answer.headers
    site.manage("pipeline", "reset")
    for _ in range(30):
        assert "X-Frame-Options" in server.client.get("/", headers={"Connection": "close"}).headers


def test_history_survives_a_restart(make_site: Callable[..., Site]) -> None:
    site = make_site()
    first = site.serve("runserver")
    first.get("/")
    before = first.recorded("/")[-1]
    first.stop()
    second = site.serve("runserver")
    second.get("/")
    rows = second.recorded("/", 2)
    assert before["id"] in [row["id"] for row in rows]
    assert rows[-1]["seq"] > before["seq"]
    assert rows[-1]["process"] != before["process"]


def test_off_outside_development(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.configure('DEBUG = False\nALLOWED_HOSTS = ["127.0.0.1"]')
    server = site.serve("runserver")
    assert server.get("/").status_code == 404
    assert server.get("/__inspector__/").status_code == 404
    assert not list((site.folder / ".cache").glob("**/*.sqlite3"))
