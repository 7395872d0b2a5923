"""Middleware of every kind that Django knows, each as small as it can be, so that each can be seen at work.

Those that answer, raise or rescue do so for a single path only; everybody else passes.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils.decorators import async_only_middleware, sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

logger = logging.getLogger(__name__)


class QuotaExceeded(Exception):  # noqa: N818
    """A visitor asked for more than there is."""


class PressStopped(Exception):  # noqa: N818
    """The printing press stands still: a page cannot be made now."""


class RequestNumberMiddleware:
    """A class for both modes: numbers the requests and says the number in a header."""

    sync_capable = True
    async_capable = True
    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.__acall__(request)
        number = self._take(request)
        return self._tell(self.get_response(request), number)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        number = self._take(request)
        return self._tell(await self.get_response(request), number)

    def _take(self, request: HttpRequest) -> int:
        number = next(self._numbers)
        request.number = number  # type: ignore[attr-defined]
        return number

    def _tell(self, response: HttpResponseBase, number: int) -> HttpResponseBase:
        response.headers["X-Request-Number"] = str(number)
        return response


def health_check(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """A plain function, as most projects write them: answers ``/health/`` by itself."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path == "/health/":
            return HttpResponse("well\n", content_type="text/plain")
        return get_response(request)

    return middleware


@sync_only_middleware
def visit_counter(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """A function that can only run in a thread: counts visits in the cache."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        cache.add("visits", 0, timeout=None)
        request.visits = cache.incr("visits")  # type: ignore[attr-defined]
        return get_response(request)

    return middleware


@async_only_middleware
def reading_light(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """A coroutine that can only run on the event loop: waits a moment, and sets a cookie for who has none."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        await asyncio.sleep(0.001)
        response = await get_response(request)
        if "light" not in request.COOKIES and isinstance(response, HttpResponse):
            response.set_cookie("light", "on", samesite="Lax")
        return response

    return middleware


class QuotaMiddleware(MiddlewareMixin):
    """A class with ``process_request`` and ``process_view``: raises for ``/quota/``, and notes the section of the page."""

    def process_request(self, request: HttpRequest) -> None:
        """Raise for the one path that exceeds its quota."""
        if request.path == "/quota/":
            raise QuotaExceeded("100 of 100 pages read today")

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Say where in the site the request is."""
        match = request.resolver_match
        request.section = (match.url_name if match else None) or "elsewhere"  # type: ignore[attr-defined]


class RescueMiddleware(MiddlewareMixin):
    """A class with ``process_exception``: makes a page of the one exception it knows."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page that asks to come back, for ``PressStopped``; every other exception goes on."""
        if not isinstance(exception, PressStopped):
            return None
        logger.warning("Rescued a request: %s", exception)
        return render(request, "rescued.html", {"reason": str(exception)}, status=503)


class BannerMiddleware(MiddlewareMixin):
    """A class with ``process_template_response``: adds to the context before the template is rendered."""

    def process_template_response(self, request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        """Every page made by a ``TemplateResponse`` gets a banner."""
        response.context_data = {**(response.context_data or {}), "banner": "Watch this page being made"}
        return response


class SurveyMiddleware:
    """A class that takes itself out while the chain is loaded."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not getattr(settings, "DEMO_SURVEY", False):
            raise MiddlewareNotUsed("DEMO_SURVEY is not set")
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)
