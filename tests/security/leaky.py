"""A site that lets every secret it is given slip: into log lines, messages, cache keys, SQL, templates and headers."""

import logging
import re
import threading
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

log = logging.getLogger("site")
released = threading.Event()
reached = threading.Event()


class Filter(SafeExceptionReporterFilter):
    """The site's own: what it calls a ``gauge`` is secret."""

    hidden_settings = re.compile("API|AUTH|TOKEN|KEY|SECRET|PASS|HTTP_COOKIE|GAUGE", re.IGNORECASE)


@csrf_exempt
@sensitive_post_parameters("nickname")
@sensitive_variables("held")
def leak(request: HttpRequest, token: str) -> HttpResponse:
    """Lets all slip, then fails when asked to."""
    held = [token, request.POST.get("password", ""), request.POST.get("nickname", ""), request.GET.get("token", "")]
    held += [*request.COOKIES.values(), *(request.headers.get(name, "") for name in ("Authorization", "X-Api-Key"))]
    held += [request.GET.get("licence", ""), request.GET.get("gauge", ""), request.GET.get("card", "")]
    request.session["password"] = held[1]
    request.access_token = token  # type: ignore[attr-defined]
    request.last_seen = held[0]  # type: ignore[attr-defined]
    for number, secret in enumerate(held):
        log.warning("%d: somebody came with %s", number, secret)
        log.warning("password=%s; and the card is %s", secret, secret)
        cache.set(f"seen-{secret}"[:200].replace(" ", "_"), number)
    if not hasattr(request, "scope"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s AS password", [held[1]])
            cursor.execute("SELECT %s AS name, %s AS other", [held[2], held[0]])
            cursor.execute(f"SELECT '{token}' AS written_into_it")
    page = engines["django"].from_string("{{ password }}{{ token }}").render({"password": held[1], "token": token})
    if "fail" in request.GET:
        try:
            raise KeyError(held[1])
        except KeyError as error:
            raise ValueError(f"nobody has the password {held[1]}, the nickname {held[2]}, the token {token}") from error
    response = HttpResponse(page)
    response["X-Auth-Token"] = token
    response["X-Came-With"] = token
    response["Location"] = f"/account/{token}/?token={held[3]}"
    response.set_cookie("remember", held[1].encode().hex())
    return response


def waits(request: HttpRequest, token: str) -> HttpResponse:
    """Answers when it is let go."""
    reached.set()
    released.wait(20)
    return HttpResponse("done")


urlpatterns: list[Any] = [path("account/<str:token>/", leak), path("waits/<str:token>/", waits)]
LAYERS = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
)
