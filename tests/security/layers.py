"""Middleware with every hook, as a class and as functions of both modes; a channel layer that fails or hangs."""

import asyncio
from collections.abc import Callable
from typing import Any

from channels.layers import BaseChannelLayer
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin


class EveryHook(MiddlewareMixin):
    """Has all hooks; its exception hook answers for one path, its view hook for none."""

    def process_request(self, request: HttpRequest) -> None:
        """Leaves something on the request."""
        request.seen = ["in"]  # type: ignore[attr-defined]

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Looks at the view."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Rescues a request that asks for it."""
        return HttpResponse("rescued", status=503) if "rescue" in request.GET else None

    def process_template_response(self, request: HttpRequest, response: Any) -> Any:
        """Changes the word."""
        response.context_data["word"] = "changed"
        return response

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Sets a header and a cookie."""
        response["X-Every-Hook"] = "yes"
        response.set_cookie("every", "hook")
        return response


def exchanges(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function as middleware: puts another object in the place of one on the request, on both ways."""

    def layer(request: Any) -> Any:
        request.urlconf_note = object()
        response = get_response(request)
        request.urlconf_note = object()
        return response

    return layer


class BrokenLayer(BaseChannelLayer):  # type: ignore[misc]
    """A shared channel layer whose server is gone."""

    async def group_send(self, group: str, message: Any) -> None:
        """Fails."""
        raise ConnectionError("the layer's server is gone")


class HangingLayer(BaseChannelLayer):  # type: ignore[misc]
    """A shared channel layer whose server never answers."""

    async def group_send(self, group: str, message: Any) -> None:
        """Never returns."""
        await asyncio.Event().wait()


LAYERS = (
    "django.middleware.security.SecurityMiddleware",
    "tests.security.layers.EveryHook",
    "django.middleware.common.CommonMiddleware",
    "tests.security.layers.exchanges",
)
