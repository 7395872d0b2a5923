"""What is kept, with real servers: over restarts, reloads and ``kill -9``, on several machines, and in trouble."""

import html
import itertools
import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sites import Server, Site
from tests.store.places import RedisServer

Eventually = Callable[..., None]
URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("<str:name>/", lambda request, name: HttpResponse(name))]
"""


@pytest.fixture
def kept_in(site: Site) -> Callable[[object], Site]:
    """``kept_in(where)``: a site that answers everywhere and keeps its records at ``where``."""

    def configured(where: object) -> Site:
        site.write("mysite/urls.py", URLS)
        site.configure(f'PIPELINE_INSPECTOR = {{"STORE": {str(where)!r}}}')
        return site

    return configured


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "requests.sqlite3"


def _rows(server: Server, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = server.api("requests/", limit=500, **query)["requests"]
    return rows


def _all_rows(server: Server) -> list[dict[str, Any]]:
    """All there are, oldest first, as a reader that goes along meets them."""
    found: list[dict[str, Any]] = []
    while rows := _rows(server, after=found[-1]["seq"] if found else 0):
        found += rows
    return found


def _paths(server: Server) -> list[str]:
    return [row["path"] for row in _rows(server)]


def _page(server: Server) -> str:
    """The words on the list's page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", server.get(server.prefix).text)).split())


def _ask(server: Server, names: Iterator[str], count: int) -> list[str]:
    """Ask for so many paths and return them."""
    asked = [f"/{name}/" for name in itertools.islice(names, count)]
    for path in asked:
        assert server.get(path).is_success
    return asked


@pytest.fixture
def names() -> Iterator[str]:
    return (f"n{number}" for number in itertools.count())


def test_after_kill_9_under_load_only_the_newest_are_missing_and_the_list_goes_on(
    kept_in: Callable[[object], Site], file: Path, names: Iterator[str], eventually: Eventually
) -> None:
    site = kept_in(file)
    server = site.serve("gunicorn", "--workers", "2")
    answered: list[list[str]] = [[] for _ in range(4)]

    def load(lane: int) -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            for number in itertools.count():
                try:
                    client.get(f"/{lane}-{number}/")
                except httpx.HTTPError:
                    return
                answered[lane].append(f"/{lane}-{number}/")

    lanes = [threading.Thread(target=load, args=(lane,)) for lane in range(4)]
    for lane in lanes:
        lane.start()
    eventually(lambda: server.api("requests/", limit=1)["last_seq"] > 300)
    os.killpg(server.process.pid, signal.SIGKILL)
    for lane in lanes:
        lane.join()

    again = site.serve("gunicorn", "--workers", "2")
    rows = _all_rows(again)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 300
    kept = {row["path"] for row in rows}
    assert len(kept) == len(rows)
    for paths in answered:
        found = [path in kept for path in paths]
        assert found == sorted(found, reverse=True), "what is missing came last"
    (path,) = _ask(again, names, 1)
    (row,) = again.recorded(path)
    assert row["seq"] == len(rows) + 1


def test_after_a_reload_the_list_goes_on_with_a_mark_and_the_changed_file(
    kept_in: Callable[[object], Site], file: Path, names: Iterator[str], eventually: Eventually
) -> None:
    site = kept_in(file)
    server = site.serve("runserver-reloading")
    before = _ask(server, names, 3)
    (first, *_) = server.recorded(before[0])
    server.recorded(before[-1])
    changed = site.write("mysite/urls.py", f"{URLS}\n# changed\n")
    os.utime(changed, (time.time() + 2, time.time() + 2))
    rows: list[dict[str, Any]] = []

    def reloaded() -> bool:
        try:
            server.get("/again/")
            rows[:] = [row for row in _rows(server) if row["process"] != first["process"]]
        except httpx.HTTPError:
            return False
        return bool(rows)

    eventually(reloaded)
    assert _paths(server)[:3] == before
    assert first["began"] == []
    assert [name.rpartition("/")[2] for name in rows[0]["began"]] == ["urls.py"]
    assert f"process {rows[0]['pid']} began here: mysite/urls.py changed" in _page(server)
    assert rows[0]["seq"] > first["seq"]


def test_while_another_program_locks_the_file_the_page_and_the_log_say_so_and_nothing_is_lost(
    kept_in: Callable[[object], Site], file: Path, names: Iterator[str], eventually: Eventually
) -> None:
    server = kept_in(file).serve()
    asked = _ask(server, names, 2)
    server.recorded(asked[-1])
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        asked += _ask(server, names, 5)
        eventually(lambda: _paths(server) == asked)
        eventually(lambda: "5 records wait in memory" in _page(server))
        assert f"{file} is locked by another process" in _page(server)
        assert f"{file} is locked by another process" in server.log()
        assert server.get(f"{server.prefix}requests/{_rows(server)[-1]['id']}/").is_success
    eventually(lambda: "wait in memory" not in _page(server))
    assert "it works again" in _page(server)
    with closing(sqlite3.connect(file)) as other:
        eventually(lambda: other.execute("SELECT count(*) FROM rows").fetchone() == (7,))
    assert _paths(server) == asked


def test_two_machines_with_redis_share_list_and_switches_and_lose_nothing_when_it_is_cut_off(
    kept_in: Callable[[object], Site], own_redis: RedisServer, names: Iterator[str], eventually: Eventually
) -> None:
    site = kept_in(own_redis.address)
    one, two = site.serve(), site.serve()
    asked = _ask(one, names, 3) + _ask(two, names, 3)
    eventually(lambda: sorted(_paths(one)) == sorted(_paths(two)) == sorted(asked))
    assert len({row["process"] for row in _rows(one)}) == 2
    site.manage("pipeline", "off", "XFrameOptionsMiddleware")
    eventually(lambda: "x-frame-options" not in one.get("/off/").headers)
    eventually(lambda: "x-frame-options" not in two.get("/off/").headers)
    own_redis.pause()
    asked = _ask(one, names, 30) + _ask(two, names, 30)
    eventually(lambda: "records wait in memory" in _page(one) and "records wait in memory" in _page(two))
    assert "does not answer as it should" in one.log()
    own_redis.go_on()
    eventually(lambda: set(asked) <= set(_paths(one)) and set(asked) <= set(_paths(two)))
    seqs = [row["seq"] for row in _all_rows(two)]
    assert seqs == sorted(set(seqs))
    paths = [path for path in _paths(two) if path in asked]
    assert sorted(paths) == sorted(asked), "each once"
