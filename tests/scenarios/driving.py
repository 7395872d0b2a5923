"""Handlers driven by hand, as a server would, and the same request with and without the inspector."""

import asyncio
import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from pipeline_inspector.control import toggles
from pipeline_inspector.records import RequestRecord
from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.testing import Records, record_pipeline

INTERFACES = ("wsgi", "asgi")
URLS = "tests.scenarios.urls"


@dataclass
class Answer:
    """What a server got."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    chunks: int = 0
    file_wrapper: bool = False

    @property
    def plain(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """What has to be the same with and without us."""
        return self.status, sorted(self.headers), self.body


class FileWrapper:
    """A server's own way of sending a file."""

    def __init__(self, file: Any, size: int = 8192) -> None:
        self.file, self.size = file, size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self.size), b"")

    def close(self) -> None:
        """The file's own close."""
        self.file.close()


def through_wsgi(
    handler: Any, path: str, method: str = "GET", body: bytes = b"", leave_after: int | None = None, **meta: str
) -> Answer:
    """One request, read to the end and closed; the client is gone after ``leave_after`` chunks."""
    url, _, query = path.partition("?")
    environ = RequestFactory(**meta)._base_environ(
        PATH_INFO=url, QUERY_STRING=query, REQUEST_METHOD=method, CONTENT_LENGTH=str(len(body))
    )
    environ["wsgi.input"] = io.BytesIO(body)
    environ["wsgi.file_wrapper"] = FileWrapper
    answer = Answer()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        answer.status, answer.headers = int(status.split()[0]), list(headers)

    made = handler(environ, start_response)
    answer.file_wrapper = isinstance(made, FileWrapper)
    try:
        for chunk in made:
            answer.body += chunk
            answer.chunks += 1
            if answer.chunks == leave_after:
                break
    finally:
        made.close()
    return answer


async def through_asgi(
    handler: Any,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    gone: asyncio.Event | None = None,
    on_chunk: Callable[[int], None] | None = None,
    **meta: str,
) -> Answer:
    """One request; the client goes away when ``gone`` is set; ``on_chunk`` is told of each chunk sent."""
    url, _, query = path.partition("?")
    scope = AsyncRequestFactory(**meta)._base_scope(path=url, query_string=query, method=method)
    if body:
        scope["headers"] = [*scope["headers"], (b"content-length", str(len(body)).encode())]
    inbox = deque([{"type": "http.request", "body": body, "more_body": False}])
    left = gone or asyncio.Event()
    answer = Answer()

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.popleft()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [(name.decode("latin1"), value.decode("latin1")) for name, value in message["headers"]]
        else:
            answer.body += message.get("body", b"")
            if message.get("body"):
                answer.chunks += 1
                if on_chunk is not None:
                    on_chunk(answer.chunks)

    await handler(scope, receive, send)
    return answer


def ask(interface: str, path: str = "/", **options: Any) -> Answer:
    """One request through a handler made now, in the interface named."""
    handler: Any = WSGIHandler() if interface == "wsgi" else ASGIHandler()
    try:
        with connections_kept():
            if interface == "wsgi":
                return through_wsgi(handler, path, **options)
            return asyncio.run(through_asgi(handler, path, **options))
    finally:
        handler._middleware_chain = None  # it is part of a circle, and would be found by ``record_pipeline()``


@contextmanager
def site(layers: Sequence[str] = (), **settings: Any) -> Iterator[None]:
    """The scenarios' URLs behind ``layers``."""
    with (
        connections_kept(),
        override_settings(**{"MIDDLEWARE": list(layers), "ROOT_URLCONF": URLS, "DEBUG": False, **settings}),
    ):
        yield


@contextmanager
def connections_kept() -> Iterator[None]:
    """Database connections stay open between requests, as with Django's test client."""
    signals = [signal for signal in (request_started, request_finished) if signal.disconnect(close_old_connections)]
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


def watched(
    interface: str, layers: Sequence[str], path: str = "/", off: Sequence[str] = (), **options: Any
) -> tuple[Answer, RequestRecord]:
    """The answer and the record of one request, ``off`` naming the layers that are switched off."""
    store = MemoryStore(lambda: 100)
    for layer in off:
        toggles.switch(store, layer, enabled=False)
    settings = options.pop("settings", {})
    with configured.use(store), site(layers, **settings), record_pipeline() as records:
        answer = ask(interface, path, **options)
    return answer, only(records)


def bare(interface: str, layers: Sequence[str], path: str = "/", **options: Any) -> Answer:
    """The answer of Django alone."""
    settings = options.pop("settings", {})
    with site(layers, PIPELINE_INSPECTOR={"ENABLED": False}, **settings):
        return ask(interface, path, **options)


def only(records: Records) -> RequestRecord:
    """The one record there is."""
    assert len(records) == 1, records
    return records[0]
