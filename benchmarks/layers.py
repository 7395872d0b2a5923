"""A layer that does nothing."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def nothing(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Hands on what comes."""
    if iscoroutinefunction(get_response):

        async def alayer(request: Any) -> Any:
            return await get_response(request)

        return alayer

    def layer(request: Any) -> Any:
        return get_response(request)

    return layer
