"""Requests in hand on the open pages of a real server: told at most ten times a second, looked for only while somebody
looks."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from pipeline_inspector.store.sqlite import SqliteStore
from tests.sites import Server, Site

URLS = """
import time
from pathlib import Path

from django.http import HttpResponse
from django.urls import path, re_path

HERE = Path(__file__).parent

def held(request):
    (HERE / "arrived").touch()
    while not (HERE / "gate").exists():
        time.sleep(0.01)
    return HttpResponse("done")

urlpatterns = [path("held/", held), re_path("^", lambda request: HttpResponse(request.path))]
"""
PATIENCE = 20.0


@pytest.fixture
def server(site: Site) -> Server:
    """A site with an address that is held until it is let, and others that answer at once."""
    site.write("mysite/urls.py", URLS)
    return site.serve("uvicorn")


@pytest.fixture
def hold(site: Site, server: Server) -> Iterator[Callable[[], None]]:
    """``hold()``: a request is in the view, and stays there until the end of the test."""
    folder = site.folder / "mysite"
    with ThreadPoolExecutor(1) as pool:

        def begin() -> None:
            pool.submit(server.get, "/held/")
            until((folder / "arrived").exists)

        yield begin
        (folder / "gate").touch()


def until(true: Callable[[], object]) -> None:
    """Wait until ``true()``."""
    rest, end = threading.Event(), time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it does not come true"
        rest.wait(0.02)


def look(server: Server) -> ClientConnection:
    """Open a page's socket, as our page does."""
    return connect(f"ws://127.0.0.1:{server.port}/__inspector__/live/", origin=server.url, proxy=None)  # type: ignore[arg-type]


def told(page: ClientConnection) -> str:
    """The next update with a row of a request in hand."""
    while 'data-state="running"' not in (update := str(page.recv(PATIENCE))):
        continue
    return update


def test_a_request_in_hand_is_told_at_most_ten_times_a_second_however_busy_the_site_is(
    server: Server, hold: Callable[[], None]
) -> None:
    hold()
    enough = threading.Event()

    def visit() -> None:
        while not enough.is_set():
            server.get("/visited/")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(visit)
        try:
            begun = time.monotonic()
            with look(server) as page:
                updates = [told(page) for _ in range(15)]
            took = time.monotonic() - begun
        finally:
            enough.set()
    assert len(updates) - 1 <= took / 0.1
    assert len(set(updates)) == len(updates), "each tells something new"


def test_requests_in_hand_are_looked_for_only_while_somebody_looks(
    site: Site, server: Server, hold: Callable[[], None]
) -> None:
    server.get("/before/")
    server.recorded("/before/")
    (kept,) = Path(site.env["XDG_CACHE_HOME"]).rglob("*.sqlite3")
    store = SqliteStore(kept, lambda: 2000)
    try:
        hold()
        server.get("/after/")
        server.recorded("/after/")
        assert store.running() == []
        with look(server) as page:
            told(page)
            assert [row.path for row in store.running()] == ["/held/"]
        until(lambda: store.running() == [])
        assert not (site.folder / "mysite" / "gate").exists()
    finally:
        store.close()


def test_a_process_is_marked_at_the_first_row_it_gives_though_an_earlier_request_is_still_in_hand(
    server: Server, hold: Callable[[], None]
) -> None:
    hold()
    for path in ("/first/", "/second/"):
        server.get(path)
        server.recorded(path)
    began = {row["path"]: row["began"] for row in server.api("requests/")["requests"]}
    assert began == {"/first/": [], "/second/": None}
