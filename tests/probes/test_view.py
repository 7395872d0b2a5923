"""The view probe: the developer's own view in everybody's hands, timed and named by what the developer wrote."""

import functools
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from tests.scenarios import layers
from tests.scenarios import urls as site_urls
from tests.scenarios.comparing import HERE, urls
from tests.scenarios.driving import INTERFACES, bare, watched

both = pytest.mark.parametrize("interface", INTERFACES)


class CallableView:
    """A view that is an object; its class has neither ``__name__`` nor room for marks."""

    __slots__ = ("__weakref__",)

    def __call__(self, request: Any) -> Any:
        """Says hello."""
        return HttpResponse("hello")


def _views() -> dict[str, Any]:
    return {
        "function": site_urls.plain,
        "partial": functools.partial(site_urls.one_of_many, number=3),
        "decorated": require_GET(site_urls.plain),
        "exempt": csrf_exempt(site_urls.plain),
        "object": CallableView(),
        "async": site_urls.plain_async,
        "async partial": functools.partial(site_urls.plain_async),
        "class": site_urls.Classy.as_view(),
    }


@both
@pytest.mark.parametrize("kind", list(_views()))
def test_hooks_are_given_the_developers_own_view(interface: str, kind: str) -> None:
    view = _views()[kind]
    layers.Looking.seen.clear()
    with urls(view):
        answer, record = watched(interface, [HERE + "Looking"], "/failing/")
    assert answer.status == 200
    assert layers.Looking.seen["view"] is view
    assert layers.Looking.seen["match"] is view
    assert layers.Looking.seen["csrf_exempt"] == (True if kind == "exempt" else None)
    assert record.view is not None
    names = {"partial": "one_of_many", "class": "Classy", "object": "CallableView"}
    names |= {"async": "plain_async", "async partial": "plain_async"}
    assert record.view.name.rpartition(".")[2] == names.get(kind, "plain")
    assert record.view.kind == {"class": "class", "async": "async", "async partial": "async"}.get(kind, "function")


class Getting(View):
    """Answers GET, and so HEAD."""

    def get(self, request: Any) -> Any:
        """Says hello."""
        return HttpResponse("hello")


class AsyncGetting(View):
    """The same as a coroutine."""

    async def get(self, request: Any) -> Any:
        """Says hello."""
        return HttpResponse("hello")


class Guarded(LoginRequiredMixin, Getting):
    """Its ``dispatch`` answers who is not logged in."""

    def handle_no_permission(self) -> Any:
        """Away."""
        return HttpResponse("away", status=403)


class Forwarding(View):
    """Lets another view answer."""

    def get(self, request: Any) -> Any:
        """What the other says."""
        return Getting.as_view()(request)


class Choosing(View):
    """Chooses its method in its own way."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Always the same."""
        return HttpResponse("chosen")


def _turned_away(view: Any) -> Any:
    @functools.wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return HttpResponse("away", status=403)

    return inner


def _decorated(view: Any) -> Any:
    @functools.wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return inner


@method_decorator(_turned_away, name="dispatch")
class TurnedAway(Getting):
    """A decorator answers."""


class Api(View):
    """Chooses its method itself, as API frameworks do, and is exempt from CSRF's guard."""

    actions: dict[str, str] = {}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, with what a framework leaves on it."""
        view: Any = super().as_view(**initkwargs)
        view.cls = cls
        view.actions = cls.actions or None
        return csrf_exempt(view)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """By the verb, or by the action that stands for it."""
        name = request.method.lower()
        known = name in self.http_method_names
        name = self.actions.get("get" if name == "head" else name, name)
        return getattr(self, name if known else "", self.http_method_not_allowed)(request)

    def get(self, request: Any) -> Any:
        """Says hello."""
        return HttpResponse("hello")


class Acting(Api):
    """Names its methods by what they do."""

    actions = {"get": "list"}

    def list(self, request: Any) -> Any:
        """Says hello."""
        return HttpResponse("hello")


def api_of(function: Any) -> Any:
    """A function made a class of, as API frameworks do."""

    def handler(self: Any, request: Any) -> Any:
        return function(request)

    made = type("Made", (Api,), {"get": handler})
    made.__name__, made.__module__ = function.__name__, function.__module__
    return made.as_view()  # type: ignore[attr-defined]


@api_of
@_decorated
def api_function(request: Any) -> Any:
    """Says hello."""
    return HttpResponse("hello")


def anonymous(get_response: Any) -> Any:
    """Nobody is logged in."""

    def layer(request: Any) -> Any:
        request.user = type("Nobody", (), {"is_authenticated": False})()
        return get_response(request)

    return layer


@both
@pytest.mark.parametrize(
    ("view", "verb", "ran"),
    [
        (Getting, "GET", "get"),
        (Getting, "HEAD", "get"),
        (Getting, "OPTIONS", "options"),
        (Getting, "POST", "http_method_not_allowed"),
        (Getting, "BREW", "http_method_not_allowed"),
        (AsyncGetting, "GET", "get"),
        (AsyncGetting, "HEAD", "get"),
        (AsyncGetting, "POST", "http_method_not_allowed"),
        (Guarded, "GET", "dispatch"),
        (TurnedAway, "GET", "dispatch"),
        (Forwarding, "GET", "get"),
        (Choosing, "PUT", "dispatch"),
        (Api, "GET", "get"),
        (Api, "HEAD", "get"),
        (Api, "PUT", "http_method_not_allowed"),
        (Api, "BREW", "http_method_not_allowed"),
        (Acting, "GET", "list"),
        (Acting, "HEAD", "list"),
        (Acting, "OPTIONS", "options"),
        (Acting, "PUT", "http_method_not_allowed"),
    ],
)
def test_the_method_of_a_class_that_ran_is_told(interface: str, view: Any, verb: str, ran: str) -> None:
    with urls(view.as_view()):
        _, record = watched(interface, [f"{__name__}.anonymous"], "/failing/", method=verb)
    assert record.view is not None
    assert record.view.name == f"{__name__}.{view.__name__}"
    assert (record.view.kind, record.view.method) == ("class", ran)


@both
@pytest.mark.parametrize(
    ("view", "verb", "ran", "decorators"),
    [
        (_decorated(Getting.as_view()), "GET", "get", ["_decorated"]),
        (_turned_away(_decorated(Getting.as_view())), "GET", "", ["_turned_away", "_decorated"]),
        (require_GET(Getting.as_view()), "POST", "", ["require_http_methods"]),
        (functools.partial(Getting.as_view()), "GET", "get", []),
        (_decorated(functools.partial(_decorated(Getting.as_view()))), "HEAD", "get", ["_decorated", "_decorated"]),
    ],
)
def test_a_class_inside_decorators_and_partials_is_named_with_the_method_that_ran(
    interface: str, view: Any, verb: str, ran: str, decorators: list[str]
) -> None:
    with urls(view):
        answer, record = watched(interface, [], "/failing/", method=verb)
        assert answer.plain == bare(interface, [], "/failing/", method=verb).plain
    assert record.view is not None
    assert record.view.name == f"{__name__}.Getting"
    assert (record.view.kind, record.view.method, record.view.decorators) == ("class", ran, decorators)


@both
def test_a_function_that_a_decorator_made_a_class_of_is_named_as_the_function(interface: str) -> None:
    with urls(api_function):
        answer, record = watched(interface, ["django.middleware.csrf.CsrfViewMiddleware"], "/failing/")
    assert answer.body == b"hello"
    assert record.view is not None
    assert (record.view.name, record.view.kind, record.view.method) == (f"{__name__}.api_function", "function", "")
    assert record.view.decorators == ["_decorated"]
    assert Path(record.view.file) == Path(__file__)
    assert record.view.line > 100


def test_views_made_of_classes_carry_no_mark_of_ours() -> None:
    assert vars(View.dispatch) == {}
    view = Getting.as_view()
    assert set(vars(view)) == {"view_class", "view_initkwargs"}
    assert (View.dispatch.__name__, View.dispatch.__qualname__) == ("dispatch", "View.dispatch")


@both
def test_exempt_views_stay_exempt_and_others_stay_guarded(interface: str) -> None:
    guard = ["django.middleware.csrf.CsrfViewMiddleware"]
    for kind, status in (("exempt", 200), ("function", 403)):
        with urls(_views()[kind]):
            assert watched(interface, guard, "/failing/", method="POST")[0].status == status
