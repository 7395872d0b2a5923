"""The live list where several processes serve, and what an open page takes from its server and gives back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.served import WAYS, row, start, state
from tests.sites import Server, Site, free_port
from tests.store.places import RedisServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

URLS = """
import os
import threading

from django.http import HttpResponse
from django.urls import path, re_path
from pipeline_inspector.page.events import seats

def threads(request):
    other = [one for one in threading.enumerate() if "process_request" in one.name and one is not threading.current_thread()]
    return HttpResponse(f"{seats.count()} {len(other)}")

urlpatterns = [path("threads/", threads), re_path("^", lambda request: HttpResponse(str(os.getpid())))]
"""
LAYERS = """
CHANNEL_LAYERS = {{"default": {{"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {{"hosts": [{address!r}]}}}}}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that answers with the process that serves, and with what its open pages hold."""
    site = Site(tmp_path_factory.mktemp("servers") / "site")
    site.install("pipeline_inspector")
    site.write("mysite/urls.py", URLS)
    return site


@pytest.fixture
def serve(site: Site) -> Iterator[Callable[..., Server]]:
    """Start servers of the site; they are stopped at the end of the test."""
    started: list[Server] = []

    def one(name: str, *extra: str) -> Server:
        started.append(start(site, name, list(extra), free_port()))
        return started[-1]

    yield one
    for server in started:
        server.stop()


def look(page: "Page", server: Server, query: str = "") -> None:
    """Open our page and wait until it is live."""
    page.goto(f"{server.url}/__inspector__/{query}")
    state(page).and_(page.get_by_text("live", exact=True)).wait_for()


@pytest.mark.parametrize("threads", ["4", "1"])
def test_a_page_shows_what_every_worker_serves(serve: Callable[..., Server], page: "Page", threads: str) -> None:
    server = serve("gunicorn", "--workers", "3", "--threads", threads, "--reuse-port")
    look(page, server)
    by_process: dict[str, str] = {}
    for number in range(100):
        path = f"/{server.port}/{number}/"
        by_process.setdefault(server.client.get(path, headers={"Connection": "close"}).text, path)
        if len(by_process) == 3:
            break
    assert len(by_process) == 3
    for path in by_process.values():
        row(page, f"GET {path} 200").wait_for()


def test_a_page_shows_what_another_server_of_the_site_serves(serve: Callable[..., Server], page: "Page") -> None:
    by_socket, by_stream = serve("uvicorn"), serve("runserver")
    look(page, by_socket)
    path = f"/{by_stream.port}/"
    by_stream.get(path)
    row(page, f"GET {path} 200").wait_for()


def test_with_a_shared_channel_layer_a_page_goes_on_while_that_is_away(
    make_site: Callable[..., Site], tmp_path: Path, page: "Page"
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        site = make_site()
        site.write("mysite/urls.py", URLS)
        site.configure(LAYERS.format(address=redis.address))
        looked_at, asked = site.serve("uvicorn"), site.serve("daphne")
        look(page, looked_at)
        asked.get("/by-redis/")
        row(page, "GET /by-redis/ 200").wait_for()
        redis.stop()
        for server in (asked, looked_at):
            server.get(f"/without/{server.port}/")
            row(page, f"GET /without/{server.port}/ 200").wait_for()
        redis.start()
        asked.get("/again/")
        row(page, "GET /again/ 200").wait_for()
        assert state(page).inner_text() == "live"
    finally:
        redis.stop()


@pytest.mark.parametrize("way", ["runserver", "gunicorn with threads"])
def test_a_stream_gives_its_thread_back_when_the_tab_closes(
    serve: Callable[..., Server], browser: "Browser", way: str
) -> None:
    name, extra, told = WAYS[way]
    server = serve(name, *extra)
    context = browser.new_context()
    page = context.new_page()
    look(page, server)
    assert page.locator("#transport").inner_text() == told
    held, _ = server.get("/threads/").text.split()
    assert held == "1"
    context.close()
    until = time.monotonic() + 20
    while server.get("/threads/").text != "0 0":
        assert time.monotonic() < until, server.get("/threads/").text
