"""What lies on the disk and in Redis: private to the user, under names that no request chooses; exports hold no more."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.records import Sealed, Summary
from pipeline_inspector.store.redis import RedisStore
from pipeline_inspector.store.sqlite import SqliteStore
from tests import samples
from tests.sites import Site
from tests.store.places import RedisServer


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A user whose files are for everybody unless a program says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_served_site_keeps_everything_private(make_site: Callable[..., Site], open_umask: None) -> None:
    site = make_site()
    server = site.serve("gunicorn")
    server.get("/?token=a-secret-of-the-request")
    server.recorded("/")
    site.manage("pipeline", "off", "XFrameOptionsMiddleware")
    token = site.manage("pipeline", "token").stdout.strip()
    assert len(token) >= 40
    kept = [path for path in (site.folder / ".cache").rglob("*") if "django-pipeline-inspector" in str(path)]
    assert [path for path in kept if path.suffix == ".sqlite3"]
    for path in kept:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            assert b"a-secret-of-the-request" not in path.read_bytes()
    assert token not in server.get("/__inspector__/").text
    assert token not in server.get("/__inspector__/api/pipeline/").text


@pytest.mark.parametrize("record_id", ["../../escaped", "/tmp/escaped", "a\x00b", "x" * 10_000, "'; DROP TABLE x; --"])
def test_no_text_of_a_request_names_a_file(record_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    store = SqliteStore(folder / "store.sqlite3", lambda: 10)
    summary = Summary(id=record_id, path=record_id, method=record_id, process=record_id, plan_id=record_id)
    store.append([Sealed(summary, record_id.encode(), record_id)])
    assert store.read(record_id) is not None
    assert len(store.after(0, 10)) == 1
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert all(path.name.startswith("store.sqlite3") for path in folder.iterdir())


def test_no_text_of_a_request_names_a_key_in_redis(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    try:
        store = RedisStore(server.address, "tests", lambda: 10)
        for text in (
            "token",
            "control",
            "*",
            "pipeline-inspector:other:token",
            "\r\nFLUSHALL\r\n",
            "a\x00b",
            "x" * 10_000,
        ):
            summary = Summary(id=text, path=text, method=text, process=text, plan_id=text)
            store.append([Sealed(summary, text.encode(), text)])
            store.put_running(text, [summary])
            assert store.read(text) is not None
        token = store.token()
        assert len(token) >= 40
        with redis.Redis(port=server.port, decode_responses=True) as client:
            keys = set(client.scan_iter())
            assert keys <= {f"pipeline-inspector:tests:{name}" for name in KEYS}
            assert client.get("pipeline-inspector:tests:token") == token
        store.close()
    finally:
        server.stop()


KEYS = ("seq", "rows", "numbers", "payloads", "control", "watched", "token", "running", "running:at")


def test_exports_are_made_of_the_record_alone() -> None:
    record = samples.record("passed")
    record.request.headers = [("Cookie", "sessionid=•••"), ("Authorization", "Bearer •••")]
    for name, export in EXPORTS.items():
        text = export.render(record).decode()
        if name != "html":
            text = json.dumps(json.loads(text), ensure_ascii=False)
        assert "sessionid" not in text or "sessionid=•••" in text or '"sessionid", "value": "•••"' in text, name
