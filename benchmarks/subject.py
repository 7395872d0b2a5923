"""One measured site in a process of its own: asked over pipes, or served by a real server.

``python -m benchmarks.subject TOOL`` reads lines ``INTERFACE CASE SECONDS`` and answers each with one JSON line.
``benchmarks.served`` gives the same site to real servers.
"""

import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path

from benchmarks.tools import TOOLS, Tool

STOCK = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
NOTHING = "benchmarks.layers.nothing"

CASES: dict[str, tuple[str, list[str]]] = {
    "no layers": ("/", []),
    "eight stock layers": ("/", STOCK),
    "28 layers": ("/", STOCK + [NOTHING] * 20),
    "JSON": ("/json/", STOCK),
    "ten queries": ("/queries/", STOCK),
    "template page": ("/page/", STOCK),
    "raised error": ("/error/", STOCK),
    "40 layers": ("/", STOCK + [NOTHING] * 32),
    "3,000 queries": ("/queries/?n=3000", STOCK),
    "2,000 includes": ("/includes/", STOCK),
    "400 headers": ("/headers/", STOCK),
    "50 MB streamed": ("/stream/", STOCK),
}
"""What is asked for: the path and the layers. The first seven make up the table."""

DEEPEST = 40
BREATH = 0.05
REST = 3
"""In process a site is asked for ``BREATH`` seconds at a time. In a longer turn it is left alone ``REST`` times as long in
between, whatever the tool: what is measured is a request with all that is done for it, not how much is left out under full
load. After short turns nobody rests: a processor that fell asleep is slower for all that is measured."""
_TEMPLATES = {
    "row.html": "<li>{{ number }}</li>",
    "page.html": "{% extends 'base.html' %}{% block body %}{% for number in numbers %}"
    "{% if forloop.counter < 4 %}{% include 'row.html' %}{% else %}<li>{{ number }}</li>{% endif %}"
    "{% endfor %}{% endblock %}",
    "base.html": "<!doctype html><html><title>{{ title }}</title>"
    "<body><ul>{% block body %}{% endblock %}</ul></body></html>",
    "includes.html": "{% for number in numbers %}{% include 'row.html' %}{% endfor %}",
}


def plain(_request: HttpRequest) -> HttpResponse:
    """A few bytes."""
    return HttpResponse("hello")


def as_json(_request: HttpRequest) -> HttpResponse:
    """A small object."""
    return JsonResponse({"numbers": list(range(20)), "name": "bench"})


def queries(request: HttpRequest) -> HttpResponse:
    """Ten queries, or ``n``."""
    from django.contrib.auth.models import Group

    for number in range(int(request.GET.get("n", 10))):
        Group.objects.filter(pk=number).first()
    return HttpResponse("asked")


def page(request: HttpRequest) -> HttpResponse:
    """A page that extends another and includes a third."""
    return render(request, "page.html", {"numbers": range(20), "title": "bench"})


def includes(request: HttpRequest) -> HttpResponse:
    """One template, 2,000 times."""
    return render(request, "includes.html", {"numbers": range(2000)})


def headers(_request: HttpRequest) -> HttpResponse:
    """400 headers."""
    return HttpResponse("many", headers={f"X-Number-{number}": str(number) for number in range(400)})


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    """50 MB in chunks of 64 kB."""
    return StreamingHttpResponse(b"x" * 65536 for _ in range(800))


def error(_request: HttpRequest) -> HttpResponse:
    """An exception that nobody handles."""
    raise RuntimeError("on purpose")


urlpatterns = [
    path("", plain),
    path("json/", as_json),
    path("queries/", queries),
    path("page/", page),
    path("includes/", includes),
    path("headers/", headers),
    path("stream/", stream),
    path("error/", error),
]


def begin(tool: Tool, folder: Path, layers: list[str]) -> None:
    """Set Django up with ``tool`` and ``layers``; files go to ``folder``."""
    settings.configure(
        DEBUG=True,
        SECRET_KEY="bench",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="benchmarks.urls",
        MIDDLEWARE=[*tool.layers, *layers],
        INSTALLED_APPS=[
            *tool.apps,
            *("django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"),
            *("django.contrib.messages", "django.contrib.staticfiles"),
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "site.sqlite3")}},
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                ("django.template.loaders.locmem.Loader", _TEMPLATES),
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ],
                },
            }
        ],
        STATIC_URL="/static/",
        PIPELINE_INSPECTOR={
            "STORE": str(folder / "inspector.sqlite3"),
            "MAX_REQUESTS": int(os.environ.get("BENCH_KEEP", 2000)),
        },
        LOGGING={"version": 1, "loggers": {"django.request": {"level": "CRITICAL"}, "django.db": {"level": "ERROR"}}},
        **tool.settings,
    )
    tool.start()
    django.setup()


def _migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


# -- in process -------------------------------------------------------------------------------------------------------

_HEADERS = {
    "host": "localhost",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "accept": "text/html,application/xhtml+xml",
    "accept-language": "en",
    "accept-encoding": "gzip",
}


def _wsgi_call(address: str) -> Callable[[], None]:
    from django.core.handlers.wsgi import WSGIHandler

    handler: Any = WSGIHandler()
    where, _, query = address.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": where,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in _HEADERS.items()},
    }

    def start(_status: str, _headers: list[tuple[str, str]], _failure: Any = None) -> None:
        pass

    def call() -> None:
        response = handler({**environ, "wsgi.input": BytesIO()}, start)
        for _ in response:
            pass
        response.close()

    return call


def _asgi_call(address: str) -> Callable[[], Any]:
    from django.core.handlers.asgi import ASGIHandler

    handler: Any = ASGIHandler()
    where, _, query = address.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": where,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in _HEADERS.items()],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
    }

    async def call() -> None:
        asked = False
        forever = asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await forever.wait()
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Any) -> None:
            pass

        await handler(dict(scope), receive, send)

    return call


def _client_call(address: str) -> Callable[[], None]:
    from django.test import Client

    client = Client()

    def call() -> None:
        client.get(address)

    return call


_CALLS: dict[str, Callable[[str], Any]] = {"wsgi": _wsgi_call, "asgi": _asgi_call, "client": _client_call}


def _at_depth(depth: int, call: Callable[[], None]) -> None:
    if depth:
        _at_depth(depth - 1, call)
    else:
        call()


def _times(interface: str, seconds: float, call: Any) -> list[int]:
    """Nanoseconds of each request, for about ``seconds`` of work; save under ASGI at changing depths of the stack."""
    now = time.perf_counter_ns
    times: list[int] = []

    def breaths() -> Iterator[int]:
        """Until when to go on, again and again."""
        worked = 0
        while worked < seconds * 1e9 or len(times) < 3:
            began = now()
            yield began + int(BREATH * 1e9)
            took = now() - began
            worked += took
            if worked < seconds * 1e9:
                time.sleep(took * REST / 1e9)

    if interface != "asgi":
        for until in breaths():
            while now() < until:
                start = now()
                _at_depth(len(times) % DEEPEST, call)
                times.append(now() - start)
        return times

    async def several(until: int) -> None:
        while now() < until:
            start = now()
            await call()
            times.append(now() - start)

    for until in breaths():
        _loop.run_until_complete(several(until))
    return times


_loop = asyncio.new_event_loop()


def _record_all() -> None:
    """The recorder takes what it needs, however busy this process is."""
    if "pipeline_inspector" in settings.INSTALLED_APPS:
        from pipeline_inspector.recording import recorder

        recorder.SHARE = 1.0


def _settle() -> None:
    """All is recorded; ends with an error when something was left out."""
    if "pipeline_inspector" in settings.INSTALLED_APPS:
        from pipeline_inspector.recording import recorder

        recorder.flush()
        if recorder.dropped():
            raise SystemExit(
                f"{recorder.dropped()} requests were not recorded: what was measured is not what they cost"
            )


def resident_kb() -> int:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def answer(line: str, tool: Tool, calls: dict[tuple[str, str], Any]) -> dict[str, float]:
    """Do what ``line`` asks: ``INTERFACE|CASE|SECONDS``, or ``memory||COUNT``."""
    interface, case, amount = line.strip().split("|")
    if interface == "memory":
        settings.MIDDLEWARE = [*tool.layers, *STOCK]
        call = calls.setdefault(("wsgi", "eight stock layers"), _wsgi_call("/"))
        began = time.perf_counter()
        for _ in range(int(amount)):
            call()
            if (took := time.perf_counter() - began) > BREATH:
                time.sleep(took * REST)
                began = time.perf_counter()
        _settle()
        gc.collect()
        return {"resident_kb": resident_kb()}
    address, layers = CASES[case]
    settings.MIDDLEWARE = [*tool.layers, *layers]
    if (interface, case) not in calls:
        calls[interface, case] = _CALLS[interface](address)
        _times(interface, 0.2, calls[interface, case])  # warm
        _settle()
    before = time.process_time_ns()
    times = _times(interface, float(amount), calls[interface, case])
    _settle()
    return {
        "median_us": statistics.median(times) / 1e3,
        "cpu_us": (time.process_time_ns() - before) / len(times) / 1e3,
        "requests": len(times),
    }


def main() -> None:
    """Answer questions until the pipe closes."""
    tool = TOOLS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        begin(tool, Path(folder), STOCK)
        _record_all()
        _migrate()
        asyncio.set_event_loop(_loop)
        calls: dict[tuple[str, str], Any] = {}
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(line, tool, calls)), flush=True)


if __name__ == "__main__":
    main()
