"""A store in memory with sample requests, and a client that asks our own pages as a browser on this machine would."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.test import RequestFactory

from pipeline_inspector import faults
from pipeline_inspector.page import views
from pipeline_inspector.recording import recorder
from pipeline_inspector.records import RequestRecord, Sealed
from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from tests import samples

PREFIX = "/__inspector__/"


class Kept:
    """A store whose records are samples; ``add()`` keeps one more."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.records: dict[str, RequestRecord] = {}

    def add(self, kind: str = "passed", path: str = "", as_id: str = "", **options: Any) -> RequestRecord:
        """Keep one more sample request and return it."""
        number = len(self.records) + 1
        record = samples.record(kind, seq=number, path=path, **options)
        record.id = as_id or f"{number:026d}"
        summary = samples.summary(record)
        self.records[record.id] = record
        record.seq = self.store.append([Sealed(summary, record.id.encode(), summary.plan_id)])
        return record


@pytest.fixture(autouse=True)
def connections_stay_open() -> Iterator[None]:
    """A response that is closed here ends no request of a site: as in Django's test client, connections stay as they are."""
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """An empty store in memory in place of the configured one, with the chain that sample requests ran through."""
    store = MemoryStore(lambda: 2000)
    kept = Kept(store)

    def assemble(sealed: Sealed, plan: object) -> RequestRecord:
        return kept.records[sealed.payload.decode()]

    for made in ("assemble", "abridged"):
        monkeypatch.setattr(f"pipeline_inspector.reader.{made}", assemble)
    store.put_plan(samples.plan())
    faults.forget()
    recorder.flush()
    recorder.running.clear()
    with configured.use(store):
        yield kept
    assert faults.seen() == []


class Client:
    """Sends requests straight to ``views.answer()``. Keeps cookies. ``address`` and ``host`` are those of the client."""

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.host = "localhost:8000"
        self.factory = RequestFactory()

    def __call__(self, method: str, path: str = "", *, body: Any = None, **headers: str) -> Any:
        """The answer to ``method`` of ``path`` under the prefix; ``headers`` by their names with ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options: dict[str, Any] = {"headers": {"Host": self.host, **named}, "REMOTE_ADDR": self.address}
        if isinstance(body, (bytes, str)):
            options |= {"data": body, "content_type": named.get("Content-Type", "application/octet-stream")}
        elif body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        request = self.factory.generic(method, PREFIX + path, **options)
        response = views.answer(request)
        self.factory.cookies.update(response.cookies)
        return response

    def get(self, path: str = "", **headers: str) -> Any:
        """The answer to a GET."""
        return self("GET", path, **headers)

    def json(self, path: str, **headers: str) -> Any:
        """The JSON of a successful GET under ``api/``."""
        response = self.get("api/" + path, **headers)
        assert response.status_code == 200, response.content
        return json.loads(response.content)


@pytest.fixture
def client() -> Client:
    """A browser on this machine that has no cookies yet."""
    return Client()


def error_of(response: HttpResponseBase) -> dict[str, str]:
    """The ``error`` of a JSON refusal."""
    found: dict[str, str] = json.loads(response.content)["error"]  # type: ignore[attr-defined]
    assert set(found) == {"code", "message"}
    return found


Ask = Callable[..., Any]
