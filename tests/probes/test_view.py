"""The view probe: the developer's own view in everybody's hands, timed and named by what the developer wrote."""

import functools
from typing import Any

import pytest
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from tests.scenarios import layers
from tests.scenarios import urls as site_urls
from tests.scenarios.comparing import HERE, urls
from tests.scenarios.driving import INTERFACES, watched

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


@both
def test_exempt_views_stay_exempt_and_others_stay_guarded(interface: str) -> None:
    guard = ["django.middleware.csrf.CsrfViewMiddleware"]
    for kind, status in (("exempt", 200), ("function", 403)):
        with urls(_views()[kind]):
            assert watched(interface, guard, "/failing/", method="POST")[0].status == status
