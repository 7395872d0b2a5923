"""Layers that single scenarios need and that cannot be made to order."""

import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.utils.decorators import async_only_middleware

from tests.scenarios.driving import through_wsgi
from tests.scenarios.journey import note

Handler = Callable[[Any], Any]


class Both:
    """The shape of a dual-mode middleware, for the others to fill in."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def before(self, request: Any) -> Any:
        """On the way in; a response answers."""

    def after(self, request: Any, response: Any) -> Any:
        """On the way out."""
        return response

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return self.__acall__(request)
        answer = self.before(request)
        return answer if answer is not None else self.after(request, self.get_response(request))

    async def __acall__(self, request: Any) -> Any:
        answer = self.before(request)
        return answer if answer is not None else self.after(request, await self.get_response(request))


class ChooseUrls(Both):
    """Chooses another URLconf."""

    def before(self, request: Any) -> None:
        """Before anything is resolved."""
        request.urlconf = "tests.scenarios.other_urls"


class ChooseOwnUrls(Both):
    """Chooses a URLconf that another layer exchanges."""

    def before(self, request: Any) -> None:
        """The site's own, by name."""
        request.urlconf = "tests.scenarios.urls"


class Reading(Both):
    """Reads the response's body by hand, which is not to send it."""

    def after(self, request: Any, response: Any) -> Any:
        """Every chunk."""
        assert list(response)
        return response


class Changing(Both):
    """Adds, alters and removes, on both ways."""

    def before(self, request: Any) -> None:
        """Attributes."""
        request.added = "new"
        request.altered = "by Changing"
        del request.removed

    def after(self, request: Any, response: Any) -> Any:
        """Headers, cookies, status, attributes."""
        response.headers["X-Added"] = "new"
        response.headers["X-Altered"] = "by Changing"
        del response.headers["X-Removed"]
        response.set_cookie("added", "new")
        response.status_code = 201
        request.late = "on the way out"
        return response


class Around(Both):
    """What ``Changing`` finds: it stands outside it."""

    def before(self, request: Any) -> None:
        """Attributes to alter and to remove."""
        request.altered = "by Around"
        request.removed = "by Around"


class Under(Both):
    """What ``Changing`` finds on the way out: it stands inside it."""

    def after(self, request: Any, response: Any) -> Any:
        """Headers to alter and to remove."""
        response.headers["X-Altered"] = "by Under"
        response.headers["X-Removed"] = "by Under"
        return response


class Twice(Both):
    """Calls inward again when the first answer does not please it."""

    def after(self, request: Any, response: Any) -> Any:
        """Never pleased, once."""
        return response if self.is_async else self.get_response(request)


class NotUsed:
    """Takes itself out."""

    def __init__(self, get_response: Handler) -> None:
        raise MiddlewareNotUsed("not in this project")


class Slotted:
    """Has no room for anybody's marks."""

    __slots__ = ("get_response",)

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Passes."""
        note("layer_in", "Slotted", request.path)
        return self.get_response(request)


class Unmarked:
    """A class with ``async def __call__`` whose instances nobody marked: Django thinks it is sync."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Awaitable[Any]]) -> None:
        self.get_response = get_response

    async def __call__(self, request: Any) -> Any:
        """Passes; with ``?raise`` it fails instead."""
        if "raise" in request.GET:
            raise RuntimeError("out of an unmarked layer")
        note("layer_in", "Unmarked", request.path)
        response = await self.get_response(request)
        note("layer_out", "Unmarked", request.path)
        response.headers["X-Unmarked"] = "yes"
        return response


class Proxy:
    """A request that is not a request."""

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        object.__setattr__(self, "_request", request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._request, name, value)


def handing_on_a_proxy(get_response: Handler) -> Handler:
    """Hands on a stand-in for the request."""
    return lambda request: get_response(Proxy(request))


def asking_in_its_factory(get_response: Handler) -> Handler:
    """Loads another handler, of the same settings, while it is made."""
    if not _asking:
        _asking.append(True)
        try:
            assert through_wsgi(WSGIHandler(), "/").status == 200
        finally:
            _asking.clear()
    return lambda request: get_response(request)


_asking: list[bool] = []


def with_exception_attribute(get_response: Handler) -> Handler:
    """A function that carries a hook as an attribute."""

    def layer(request: Any) -> Any:
        return get_response(request)

    def process_exception(request: Any, error: Exception) -> HttpResponse:
        return HttpResponse(f"rescued {type(error).__name__}", status=299)

    layer.process_exception = process_exception  # type: ignore[attr-defined]
    return layer


@async_only_middleware
def async_with_exception_attribute(get_response: Handler) -> Handler:
    """A coroutine function that carries a hook as an attribute."""

    async def layer(request: Any) -> Any:
        return await get_response(request)

    def process_exception(request: Any, error: Exception) -> HttpResponse:
        return HttpResponse(f"rescued {type(error).__name__}", status=299)

    layer.process_exception = process_exception  # type: ignore[attr-defined]
    return layer


def with_template_attribute(get_response: Handler) -> Handler:
    """A function with the hook that Django itself cannot name: every ``TemplateResponse`` fails, with and without us."""

    def layer(request: Any) -> Any:
        return get_response(request)

    layer.process_template_response = lambda request, response: response  # type: ignore[attr-defined]
    return layer


class Looking(Both):
    """Looks at everything that a curious layer can look at, and keeps what it saw."""

    seen: dict[str, Any] = {}

    def __init__(self, get_response: Handler) -> None:
        super().__init__(get_response)
        Looking.seen["get_response"] = {
            "module": getattr(get_response, "__module__", None),
            "name": getattr(get_response, "__name__", None),
            "qualname": getattr(get_response, "__qualname__", None),
            "wrapped": type(getattr(get_response, "__wrapped__", None)).__name__,
            "coroutine": iscoroutinefunction(get_response),
            "kind": type(get_response).__name__,
            "attributes": sorted(name for name in vars(get_response) if not name.startswith("_")),
        }

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        """Looks at the view."""
        Looking.seen["view"] = view
        Looking.seen["csrf_exempt"] = getattr(view, "csrf_exempt", None)
        Looking.seen["match"] = request.resolver_match.func


class LookingAsync(Looking):
    """The same, for coroutines only: what is sync inside it is handed to it through a switch."""

    sync_capable = False


class LookingSync(Looking):
    """The same, for threads only."""

    async_capable = False


class Found(Both):
    """Has a page for whatever was not found."""

    def after(self, request: Any, response: Any) -> Any:
        """As flat pages do."""
        return HttpResponse("found") if response.status_code == 404 else response


class Weakly(Both):
    """Keeps what passes, weakly."""

    kept: list[weakref.ref[Any]] = []

    def after(self, request: Any, response: Any) -> Any:
        """Request and response."""
        Weakly.kept += [weakref.ref(request), weakref.ref(response)]
        return response


class Hooking(Both):
    """Leaves something from its hooks."""

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        """An attribute."""
        request.hooked = True

    def process_template_response(self, request: Any, response: Any) -> Any:
        """A header."""
        response.headers["X-Hooked"] = "yes"
        return response


class AsyncHooks(Both):
    """Hooks that are coroutine functions."""

    sync_capable = False

    async def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        """Noted."""
        note("hook", "AsyncHooks.process_view", request.path)

    async def process_template_response(self, request: Any, response: Any) -> Any:
        """Noted."""
        note("hook", "AsyncHooks.process_template_response", request.path)
        response.headers["X-Async-Hook"] = "yes"
        return response


class Forgetful(Both):
    """Forgets to return the response."""

    def process_template_response(self, request: Any, response: Any) -> None:
        """Nothing."""


class Catching(Both):
    """Makes a response of what Django lets through."""

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return self.__acall__(request)
        try:
            return self.get_response(request)
        except (KeyboardInterrupt, SystemExit):
            return HttpResponse("caught")

    async def __acall__(self, request: Any) -> Any:
        try:
            return await self.get_response(request)
        except (KeyboardInterrupt, SystemExit):
            return HttpResponse("caught")


class Wordy(Both):
    """Answers with what is no response."""

    def before(self, request: Any) -> Any:
        """Text."""
        return "text"


class ChooseUrlsLate(Both):
    """Chooses another URLconf when the view is found already."""

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        """Too late for the resolver."""
        request.urlconf = "tests.scenarios.other_urls"


class Exchanging(Both):
    """Hands on another response than it got to be rendered; with ``?rendered`` one that is rendered already."""

    def process_template_response(self, request: Any, response: Any) -> Any:
        """Its own."""
        own = TemplateResponse(request, engines["django"].from_string("exchanged"), status=201)
        return own.render() if "rendered" in request.GET else own
