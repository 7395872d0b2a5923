"""A site in one file with three other tools that wrap Django, run as a process by ``test_neighbours.py``.

    python -m tests.neighbours_site <folder> <sentry: first or last> <app> …

``app``: ``debug_toolbar``, ``silk``, ``pipeline_inspector`` in the order wanted. Prints what came out as JSON.
"""

import asyncio
import json
import logging
import sys
from typing import Any

import django
import sentry_sdk
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import include, path
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.transport import Transport

PATHS = ("/", "/async/", "/template/", "/query/", "/redirect/", "/broken/", "/missing/", "/no-such-page/")
MARKED = f"{__name__}.marking"


class Keeping(Transport):
    """Counts what would go to the error tracker."""

    taken = 0
    spans: set[str] = set()

    def capture_envelope(self, envelope: Envelope) -> None:
        """One more; remembers which kinds of spans it held."""
        Keeping.taken += 1
        for item in envelope.items:
            Keeping.spans |= {span["op"] for span in (item.payload.json or {}).get("spans", ())}


def sentry() -> None:
    """The SDK with everything on that it can time in Django."""
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=Keeping,
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[DjangoIntegration(middleware_spans=True, signals_spans=True, cache_spans=True)],
    )


def marking(get_response: Any) -> Any:
    """Marks its answers, so that a switch can be seen to work."""

    def layer(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        response.headers["X-Marked"] = "yes"
        return response

    return layer


def plain(request: HttpRequest) -> HttpResponse:
    """Hello."""
    return HttpResponse("<html><body>hello</body></html>")


async def plain_async(request: HttpRequest) -> HttpResponse:
    """Hello, as a coroutine."""
    return HttpResponse("<html><body>hello</body></html>")


def template(request: HttpRequest) -> TemplateResponse:
    """Rendered later."""
    return TemplateResponse(
        request, engines["django"].from_string("<html><body>{{ say }}</body></html>"), {"say": "hi"}
    )


def query(request: HttpRequest) -> HttpResponse:
    """Asks the database."""
    from django.contrib.sessions.models import Session

    return HttpResponse(f"<html><body>{Session.objects.count()}</body></html>")


def redirect(request: HttpRequest) -> HttpResponse:
    """Elsewhere."""
    return HttpResponseRedirect("/")


def broken(request: HttpRequest) -> HttpResponse:
    """Fails."""
    raise ValueError("broken on purpose")


def missing(request: HttpRequest) -> HttpResponse:
    """Not here."""
    from django.http import Http404

    raise Http404


def configure(folder: str, apps: list[str]) -> None:
    """The settings of the site."""
    settings.configure(
        SECRET_KEY="neighbours",
        DEBUG=True,
        ALLOWED_HOSTS=["*"],
        INTERNAL_IPS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        STATIC_URL="/static/",
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/site.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
            *apps,
        ],
        MIDDLEWARE=[
            "debug_toolbar.middleware.DebugToolbarMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "silk.middleware.SilkyMiddleware",
            "django.middleware.common.CommonMiddleware",
            MARKED,
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        SILKY_INTERCEPT_PERCENT=100,
        PIPELINE_INSPECTOR={"STORE": f"{folder}/store.sqlite3"},
    )


def main(folder: str, when: str, apps: list[str]) -> dict[str, Any]:
    """Ask for everything, on both interfaces, with the marking layer on and off."""
    configure(folder, apps)
    if when == "first":
        sentry()
    django.setup()
    if when == "last":
        sentry()
    logging.disable(logging.CRITICAL)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
    with_us = "pipeline_inspector" in apps
    told: dict[str, Any] = {"on": ask_all()}
    if with_us:
        from pipeline_inspector import faults
        from pipeline_inspector.control import toggles
        from pipeline_inspector.reader import Reader
        from pipeline_inspector.recording import recorder
        from pipeline_inspector.store import configured

        store = configured.store()
        toggles.switch(store, MARKED, enabled=False)
        told["off"] = ask_all()
        recorder.flush()
        reader = Reader(store)
        records = [reader.record(row.id) for row in store.newest()][::-1]
        told["records"] = [
            {
                "path": record.request.path,
                "status": record.response and record.response.status,
                "layers": {layer.name: layer.outcome for layer in record.layers},
                "queries": [one.sql for one in record.queries],
                "adds_up": sum(span.duration_ns for span in record.spans if span.parent is None and span.kind != "send")
                == record.duration_ns,
            }
            for record in records
            if record is not None
        ]
        told["faults"] = [f"{fault.where}: {fault.message}" for fault in faults.seen()]
    told["sentry"] = sorted(Keeping.spans)
    return told


def ask_all() -> dict[str, list[tuple[str, int, bool]]]:
    """Path, status, and whether the marking layer ran, for each interface."""
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    from tests.scenarios.driving import through_asgi, through_wsgi

    wsgi = WSGIHandler()
    answers = {"wsgi": [through_wsgi(wsgi, url) for url in PATHS]}

    async def all_of_them() -> list[Any]:
        asgi = ASGIHandler()
        return [await through_asgi(asgi, url) for url in PATHS]

    answers["asgi"] = asyncio.run(all_of_them())
    return {
        interface: [
            (url, one.status, any(name == "X-Marked" for name, _ in one.headers))
            for url, one in zip(PATHS, given, strict=True)
        ]
        for interface, given in answers.items()
    }


urlpatterns: list[Any] = [
    path("", plain),
    path("async/", plain_async),
    path("template/", template),
    path("query/", query),
    path("redirect/", redirect),
    path("broken/", broken),
    path("missing/", missing),
]

if __name__ == "__main__":
    sys.modules["tests.neighbours_site"] = sys.modules["__main__"]
    __name__ = "tests.neighbours_site"
    MARKED = f"{__name__}.marking"
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3:])))
