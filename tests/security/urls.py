"""A site that touches every probe: views, queries, templates, caches, log lines, streams, files and failures."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path

log = logging.getLogger("site")


def plain(request: HttpRequest) -> HttpResponse:
    """Says hello."""
    return HttpResponse("hello")


async def waits(request: HttpRequest) -> HttpResponse:
    """Says hello, as a coroutine."""
    return HttpResponse("hello")


def broken(request: HttpRequest) -> HttpResponse:
    """Fails."""
    raise ValueError("broken on purpose")


def missing(request: HttpRequest) -> HttpResponse:
    """Nothing here."""
    raise Http404("no such thing")


def query(request: HttpRequest) -> HttpResponse:
    """Asks the database, and asks it something wrong."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 + %s", [1])
        return HttpResponse(str(cursor.fetchone()))


def cached(request: HttpRequest) -> HttpResponse:
    """Uses the cache, also through methods that call each other."""
    cache.delete("word")
    words = [cache.get("word"), cache.get_or_set("word", lambda: cache.get("none", "hello")), cache.get("word")]
    return HttpResponse(str([*words, cache.get_many(["word", "none"])]))


def logs(request: HttpRequest) -> HttpResponse:
    """Writes log lines."""
    log.warning("one of %s", 2)
    log.info("two of 2")
    return HttpResponse("logged")


def template(request: HttpRequest) -> TemplateResponse:
    """Rendered after the view."""
    return TemplateResponse(request, engines["django"].from_string("{{ word }}!"), {"word": "hello"})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Three pieces."""

    def pieces() -> Iterator[bytes]:
        yield from (b"one ", b"two ", b"three")

    return StreamingHttpResponse(pieces())


def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    """Three pieces of an async generator."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    return StreamingHttpResponse(pieces())


def file(request: HttpRequest) -> FileResponse:
    """A file."""
    return FileResponse(io.BytesIO(b"x" * 20_000), filename="big.bin")


urlpatterns: list[Any] = [
    path("", plain),
    path("async/", waits),
    path("broken/", broken),
    path("missing/", missing),
    path("query/", query),
    path("cached/", cached),
    path("logs/", logs),
    path("template/", template),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("file/", file),
]

_EITHER = ("/", "/async/", "/broken/", "/broken/?rescue", "/missing/", "/nowhere/", "/cached/", "/logs/", "/template/")
PATHS = {"wsgi": (*_EITHER, "/stream/", "/file/"), "asgi": (*_EITHER, "/stream-async/")}
"""What is asked behind each interface; ``/query/`` needs a database besides."""
