"""Looking changes nothing of what is looked at: what is lazy stays so, bodies stay unread, nothing is asked twice."""

import contextvars
import sys
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.contrib.auth.models import Group
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import got_request_exception, request_started
from django.http import HttpResponse
from django.test import Client, SimpleTestCase
from django.test.testcases import DatabaseOperationForbidden
from django.utils.functional import SimpleLazyObject
from django.views.debug import ExceptionReporter

from pipeline_inspector import faults
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import layers
from tests.scenarios.comparing import HERE, HOOKS, OURS, both_ways, urls
from tests.scenarios.driving import INTERFACES, ask, bare, site, watched
from tests.scenarios.made import MODES, Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)

SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
COOKIES = {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}


class Nonce(layers.Both):
    """Tells in a header whether anybody asked for the nonce, as Django's own layer for CSP does."""

    def before(self, request: Any) -> None:
        """Something lazy, of which the answer depends."""
        request.asked = []
        request.nonce = SimpleLazyObject(lambda: request.asked.append(True) or "nonce")

    def after(self, request: Any, response: Any) -> Any:
        """Asked or not."""
        response.headers["X-Nonce"] = "asked" if request.asked else "untouched"
        return response


layers.Nonce = Nonce  # type: ignore[attr-defined]
CSP = ["django.middleware.csp.ContentSecurityPolicyMiddleware"] if django.VERSION >= (6, 0) else []


@both
@pytest.mark.parametrize("path", ["/", "/async/", "/template/", "/broken/", "/missing/"])
def test_user_and_session_are_not_asked_for_and_no_vary_header_appears(interface: str, path: str) -> None:
    found: list[Any] = []

    class Last(layers.Both):
        def after(self, request: Any, response: Any) -> Any:
            found.append((request.session.accessed, request.session.modified, "_cached_user" in vars(request)))
            found.append(request.user._wrapped.__class__ is object)
            return response

    layers.Last = Last  # type: ignore[attr-defined]
    chain = [order(Spec("T0", "mixin", hooks=HOOKS)), SESSION, AUTHENTICATION, HERE + "Last"]
    answer, record = watched(interface, chain, path, settings=COOKIES)
    assert answer.plain == bare(interface, chain, path, settings=COOKIES).plain
    assert found == [(False, False, False), True] * 2
    assert "Vary" not in dict(answer.headers)
    attributes = {change.name: change.after for layer in record.layers for change in layer.changes}
    assert {"session", "user"} <= set(attributes)


@both
def test_what_a_layer_left_lazy_stays_lazy(interface: str) -> None:
    chain = [HERE + "Nonce", order(Spec("T1", "mixin", hooks=HOOKS)), *CSP, HERE + "Nonce"]
    policy = {"SECURE_CSP": {"script-src": ["'self'", "<CSP_NONCE_SENTINEL>"]}} if CSP else {}
    for path in ("/", "/template/", "/broken/"):
        answer, _ = watched(interface, chain, path, settings=policy)
        assert dict(answer.headers)["X-Nonce"] == "untouched"
        assert answer.plain == bare(interface, chain, path, settings=policy).plain


@both
@pytest.mark.parametrize("reads", [True, False])
def test_a_body_that_the_site_does_not_read_is_not_read(interface: str, reads: bool) -> None:
    found: list[Any] = []

    def view(request: Any) -> Any:
        found.append((request._read_started, hasattr(request, "_body"), hasattr(request, "_post")))
        return HttpResponse(str(len(request.body)) if reads else "unread")

    class Last(layers.Both):
        def after(self, request: Any, response: Any) -> Any:
            found.append((request._read_started, hasattr(request, "_body"), hasattr(request, "_post")))
            return response

    layers.Last = Last  # type: ignore[attr-defined]
    chain = [HERE + "Last", order(Spec("T1", "mixin", hooks=HOOKS))]
    with urls(view):
        answer, record = watched(interface, chain, "/failing/", method="POST", body=b"x" * 2_000_000)
    assert answer.body == (b"2000000" if reads else b"unread")
    assert found == [(False, False, False), (reads, reads, False)]
    assert record.state == "finished"


@both
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["/broken/", "/broken-async/", "/broken-render/", "/nothing/", "/missing/"])
def test_djangos_debug_page_is_told_the_same_frames_with_the_same_variables(
    interface: str, mode: str, path: str
) -> None:
    chain = [order(Spec("T0", "mixin", hooks=HOOKS)), order(Spec("T1", "function", mode)), order(Spec("T2", "class"))]

    def seen() -> list[Any]:
        told: list[Any] = []

        def look(request: Any, **_: Any) -> None:
            reporter = ExceptionReporter(request, *sys.exc_info())
            told.extend(
                (
                    *(frame["filename"], frame["function"], frame["lineno"], frame["context_line"]),
                    [name for name, _ in frame["vars"]],
                )
                for frame in reporter.get_traceback_frames()
                if "/tests/scenarios/driving.py" not in frame["filename"]
            )

        got_request_exception.connect(look)
        try:
            with site(chain, DEBUG=True):
                told.append(ask(interface, path).status)
        finally:
            got_request_exception.disconnect(look)
        return told

    without, with_us = both_ways(seen)
    assert with_us == without
    assert len(with_us) > (1 if path != "/missing/" else 0)
    assert OURS not in str(with_us)


@both
def test_what_a_receiver_of_request_started_sets_reaches_the_view_as_before(interface: str) -> None:
    mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="none")
    found: list[str] = []

    def started(**_: Any) -> None:
        mark.set("by a receiver")

    async def astarted(**_: Any) -> None:
        mark.set("by an async receiver")

    def view(request: Any) -> Any:
        found.append(mark.get())
        return HttpResponse()

    def seen(receiver: Callable[..., Any]) -> list[str]:
        def act() -> list[str]:
            found.clear()
            request_started.connect(receiver)
            try:
                with site([order(Spec("T0", "mixin"))]), urls(view):
                    contextvars.copy_context().run(ask, interface, "/failing/")
            finally:
                request_started.disconnect(receiver)
            return found[:]

        without, with_us = both_ways(act)
        assert with_us == without
        return with_us

    assert len(seen(started)) == len(seen(astarted)) == 1


def test_nothing_of_ours_in_a_context_is_costly_to_compare() -> None:
    found: list[Any] = []

    def view(request: Any) -> Any:
        found.extend(value for name, value in contextvars.copy_context().items() if "pipeline" in name.name)
        return HttpResponse()

    with urls(view):
        watched("asgi", [order(Spec("T0", "mixin"))], "/failing/")
    assert found
    assert all(value is None or type(value).__eq__ is object.__eq__ for value in found)


class WithoutDatabase(SimpleTestCase):
    """Django's own guard, which stands where queries are watched."""

    def test_a_test_that_may_not_use_the_database_is_still_stopped(self) -> None:
        """In a view too."""
        with urls(lambda request: HttpResponse(str(Group.objects.count()))), site([]), record_pipeline() as records:
            with pytest.raises(DatabaseOperationForbidden):
                Group.objects.count()
            with pytest.raises(DatabaseOperationForbidden):
                Client().get("/failing/")
        assert records[0].exception is not None
        assert records[0].exception.type == "DatabaseOperationForbidden"


def test_a_lazy_object_that_fails_when_it_is_asked_stays_unasked() -> None:
    def fail() -> Any:
        raise RuntimeError("asked")

    lazy = SimpleLazyObject(fail)

    def view(request: Any) -> Any:
        request.lazy = lazy
        return HttpResponse()

    faults.forget()
    with site([order(Spec("T0", "mixin", hooks=HOOKS))]), urls(view), record_pipeline() as records:
        Client().get("/failing/")
        _ = ASGIHandler()
        assert len(records) == 1
    assert faults.seen() == []
