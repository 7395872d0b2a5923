"""How a process came to serve and how a server calls the application, read from real servers: each with file and line."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sites import Server, Site

STARTED = ["ManagementUtility.execute", "setup", "Apps.populate"]
MANAGED = [
    *("main", "execute_from_command_line", "ManagementUtility.execute", "ManagementUtility.fetch_command"),
    *("BaseCommand.run_from_argv", "BaseCommand.execute", "Command.handle", "Command.run"),
]
WSGI_LOADED = ["get_wsgi_application", "WSGIHandler.__init__", "BaseHandler.load_middleware"]
ASGI_LOADED = ["get_asgi_application", "ASGIHandler.__init__", "BaseHandler.load_middleware"]
WSGI_ASKED = ["WSGIHandler.__call__", "BaseHandler.get_response"]
ASGI_ASKED = ["ASGIHandler.__call__", "ASGIHandler.handle", "ASGIHandler.run_get_response"]

WAYS: dict[str, tuple[str, dict[str, list[str]], list[str]]] = {
    "runserver": (
        "runserver",
        {
            "apps ready": ["main", "execute_from_command_line", *STARTED],
            "chain loaded": [*MANAGED, "Command.inner_run", "get_internal_wsgi_application", *WSGI_LOADED],
            "first request (MainThread)": [
                *MANAGED,
                "Command.inner_run",
                "run",
                "WSGIServer.set_app",
                "BaseServer.serve_forever",
            ],
            "first request": ["ThreadingMixIn.process_request_thread", "WSGIRequestHandler.handle", *WSGI_ASKED],
        },
        [
            *("BaseServer.serve_forever", "ThreadingMixIn.process_request_thread", "BaseServer.finish_request"),
            *("WSGIRequestHandler.handle", "BaseHandler.run", *WSGI_ASKED),
        ],
    ),
    "runserver-reloading": (
        "runserver",
        {
            "apps ready": STARTED,
            "chain loaded": ["Command.inner_run", "get_internal_wsgi_application", *WSGI_LOADED],
            "chain loaded (MainThread)": [*MANAGED, "run_with_reloader"],
            "first request (django-main-thread)": [
                "Command.inner_run",
                "run",
                "WSGIServer.set_app",
                "BaseServer.serve_forever",
            ],
        },
        ["BaseServer.serve_forever", "BaseServer.finish_request", "WSGIRequestHandler.handle", *WSGI_ASKED],
    ),
    "daphne-runserver": (
        r"daphne \d.*",
        {
            "apps ready": ["main", "execute_from_command_line", *STARTED],
            "chain loaded": [*MANAGED, "Command.inner_run", "Command.get_application", *ASGI_LOADED],
            "first request": [*MANAGED, "Command.inner_run", "Server.run", "BaseHandler.get_response_async"],
        },
        ["Server.run", "Handle._run", *ASGI_ASKED],
    ),
    "daphne": (
        r"daphne \d.*",
        {
            "apps ready": ["CommandLineInterface.run", "setup", "Apps.populate"],
            "chain loaded": ["CommandLineInterface.run", *ASGI_LOADED],
            "first request": ["CommandLineInterface.run", "Server.run", "BaseHandler.get_response_async"],
        },
        ["CommandLineInterface.run", "Server.run", "Handle._run", *ASGI_ASKED],
    ),
    "uvicorn": (
        r"uvicorn \d.*",
        {
            "apps ready": ["run", "Config.load_app", "setup", "Apps.populate"],
            "chain loaded": ["run", "Config.load_app", *ASGI_LOADED],
            "first request": ["run", "Server.run", "BaseHandler.get_response_async"],
        },
        ["Server.run", "Handle._run", "RequestResponseCycle.run_asgi", *ASGI_ASKED],
    ),
    "gunicorn": (
        r"gunicorn \d.*",
        {
            "apps ready": ["Arbiter.run", "Worker.load_wsgi", "setup", "Apps.populate"],
            "chain loaded": ["Arbiter.run", "Worker.load_wsgi", *WSGI_LOADED],
            "first request (MainThread)": ["Arbiter.run", "Worker.init_process", "ThreadWorker.run"],
            "first request": ["ThreadWorker.handle", "ThreadWorker.handle_request", *WSGI_ASKED],
        },
        ["Arbiter.run", "ThreadWorker.run", "ThreadWorker.handle", "ThreadWorker.handle_request", *WSGI_ASKED],
    ),
}

Steps = list[tuple[str, str, int]]


@pytest.mark.parametrize("server", WAYS)
def test_each_server_shows_its_own_way_with_file_and_line(make_site: Callable[..., Site], server: str) -> None:
    site = make_site(*(["daphne"] if server == "daphne-runserver" else []), "pipeline_inspector")
    software, moments, asked = WAYS[server]
    served = site.serve(server.removeprefix("daphne-"))
    record = _record(served)

    assert re.fullmatch(software, record["server"]["software"])
    called = [(step["function"], step["file"], step["line"]) for step in record["server"]["call_path"]]
    _assert_goes_by(asked, called)
    shown = _shown(served)
    for moment, functions in moments.items():
        _assert_goes_by(functions, shown[moment])


def _record(served: Server) -> Any:
    assert served.get("/").status_code == 200
    return served.api(f"requests/{served.recorded('/')[0]['id']}/")


def _shown(served: Server) -> dict[str, Steps]:
    """Moment to the steps that the start-up page shows."""
    page = served.get(f"{served.prefix}startup/").text
    found: dict[str, Steps] = {}
    for label, steps in re.findall(r'<ol class="frames" aria-label="Path at: ([^"]*)">(.*?)</ol>', page, re.DOTALL):
        found[label] = [
            (html.unescape(function), html.unescape(file), int(line))
            for function, file, line in re.findall(r'<b>(.*?)</b>.*?data-copy="(.*?):(\d+)"', steps, re.DOTALL)
        ]
    return found


def _assert_goes_by(functions: list[str], steps: Steps) -> None:
    """The functions are passed in this order, and each step stands on a line that its file has."""
    rest = iter(steps)
    for wanted in functions:
        assert any(function == wanted for function, _, _ in rest), (wanted, [step[0] for step in steps])
    assert not [step for step in steps if "/pipeline_inspector/" in step[1]]
    for _, file, line in steps:
        if not file.startswith("<"):
            assert 0 < line <= len(Path(file).read_text().splitlines())
