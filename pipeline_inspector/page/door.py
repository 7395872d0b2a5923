"""The one door to the pages: what only a viewer needs is imported when the first one knocks, on the viewer's own thread."""

import asyncio
from typing import Any

from django.http import HttpRequest, HttpResponseBase


def answer(request: HttpRequest) -> HttpResponseBase:
    """The answer to a request whose path lies under the prefix. Never raises. May block: not for an event loop."""
    from pipeline_inspector.page import views

    return views.answer(request)


async def aanswer(request: HttpRequest) -> HttpResponseBase:
    """``answer()`` for an event loop: the work is done in a thread."""
    return await asyncio.to_thread(answer, request)


async def socket(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application behind our one socket."""
    application = await asyncio.to_thread(_application)
    await application(scope, receive, send)


def _application() -> Any:
    from pipeline_inspector.page.asgi import application

    return application
