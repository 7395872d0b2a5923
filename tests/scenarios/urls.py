"""Views of every kind, each writing down that it ran."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import include, path
from django.views import View

from tests.scenarios.journey import note


class ViewError(Exception):
    """What views raise."""


def plain(request: HttpRequest) -> HttpResponse:
    """Says hello."""
    note("view", "plain", request.path)
    return HttpResponse("hello")


def one_of_many(request: HttpRequest, number: int) -> HttpResponse:
    """Says its number."""
    note("view", "one_of_many", request.path)
    return HttpResponse(str(number))


async def plain_async(request: HttpRequest) -> HttpResponse:
    """Says hello, as a coroutine."""
    note("view", "plain_async", request.path)
    await asyncio.sleep(0)
    return HttpResponse("hello")


class Classy(View):
    """A class with a method per verb."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Says hello."""
        note("view", "Classy.get", request.path)
        return HttpResponse("hello")


def redirect(request: HttpRequest) -> HttpResponse:
    """Elsewhere."""
    note("view", "redirect", request.path)
    return HttpResponseRedirect("/")


def missing(request: HttpRequest) -> HttpResponse:
    """Nothing here."""
    note("view", "missing", request.path)
    raise Http404("no such thing")


def forbidden(request: HttpRequest) -> HttpResponse:
    """Not for you."""
    note("view", "forbidden", request.path)
    raise PermissionDenied("not for you")


def broken(request: HttpRequest) -> HttpResponse:
    """Fails."""
    note("view", "broken", request.path)
    raise ViewError("broken on purpose")


async def broken_async(request: HttpRequest) -> HttpResponse:
    """Fails, as a coroutine."""
    note("view", "broken_async", request.path)
    raise ViewError("broken on purpose")


def nothing(request: HttpRequest) -> None:
    """Forgets to answer."""
    note("view", "nothing", request.path)


def _noted(path: str) -> str:
    note("render", "render", path)
    return "rendered"


def _failing(path: str) -> str:
    note("render", "render", path)
    raise ViewError("broken while rendering")


def template(request: HttpRequest) -> TemplateResponse:
    """Rendered later."""
    note("view", "template", request.path)
    return TemplateResponse(request, engines["django"].from_string("{{ say }}"), {"say": lambda: _noted(request.path)})


def broken_render(request: HttpRequest) -> TemplateResponse:
    """Fails when it is rendered."""
    note("view", "broken_render", request.path)
    return TemplateResponse(
        request, engines["django"].from_string("{{ say }}"), {"say": lambda: _failing(request.path)}
    )


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    """Fails in the middle of what it sends."""
    note("view", "broken_stream", request.path)

    def chunks() -> Iterator[str]:
        yield "begun"
        raise ViewError("broken in the middle")

    return StreamingHttpResponse(chunks())


async def broken_stream_async(request: HttpRequest) -> StreamingHttpResponse:
    """The same, as a coroutine."""
    note("view", "broken_stream_async", request.path)

    async def chunks() -> AsyncIterator[str]:
        yield "begun"
        raise ViewError("broken in the middle")

    return StreamingHttpResponse(chunks())


def unread(request: HttpRequest) -> HttpResponse:
    """Does not look at the body."""
    note("view", "unread", request.path)
    return HttpResponse("hello")


def in_pieces(request: HttpRequest) -> HttpResponse:
    """Reads the body piece by piece."""
    note("view", "in_pieces", request.path)
    return HttpResponse(str(sum(map(len, iter(lambda: request.read(65_536), b"")))))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Three chunks."""
    note("view", "stream", request.path)

    def chunks() -> Iterator[str]:
        for number in range(3):
            note("chunk", str(number), request.path)
            yield f"chunk {number}\n"

    return StreamingHttpResponse(chunks())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    """Three chunks of an async generator; with ``?endless`` it never ends by itself."""
    note("view", "stream_async", request.path)
    endless = "endless" in request.GET

    async def chunks() -> AsyncIterator[str]:
        for number in range(3):
            note("chunk", str(number), request.path)
            yield f"chunk {number}\n"
        if endless:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                note("cancelled", "stream", request.path)
                raise

    return StreamingHttpResponse(chunks())


async def waiting(request: HttpRequest) -> HttpResponse:
    """Waits until it is cancelled."""
    note("view", "waiting", request.path)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        note("cancelled", "waiting", request.path)
        raise
    return HttpResponse()


def file(request: HttpRequest) -> FileResponse:
    """A file."""
    note("view", "file", request.path)
    return FileResponse(io.BytesIO(b"x" * 20_000), filename="big.bin")


def big(request: HttpRequest) -> HttpResponse:
    """How long the body was, a megabyte of it back."""
    note("view", "big", request.path)
    return HttpResponse(b"y" * 1_000_000, headers={"X-Got": str(len(request.body))})


def deep(request: HttpRequest, year: int, name: str) -> HttpResponse:
    """Behind nested includes."""
    note("view", "deep", request.path)
    return HttpResponse(f"{year} {name}")


_innermost = ([path("<int:year>/<slug:name>/", deep, name="deep")], "inner")
_between = ([path("other/", plain), path("in/", include(_innermost))], "outer")

urlpatterns: list[Any] = [
    path("", plain, name="home"),
    path("async/", plain_async),
    path("class/", Classy.as_view()),
    path("redirect/", redirect),
    path("missing/", missing),
    path("forbidden/", forbidden),
    path("broken/", broken),
    path("broken-async/", broken_async),
    path("nothing/", nothing),
    path("template/", template),
    path("broken-render/", broken_render),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("broken-stream/", broken_stream),
    path("broken-stream-async/", broken_stream_async),
    path("unread/", unread),
    path("in-pieces/", in_pieces),
    path("waiting/", waiting),
    path("file/", file),
    path("big/", big),
    path("many/<int:number>/", one_of_many),
    path("nested/", include(_between)),
]
