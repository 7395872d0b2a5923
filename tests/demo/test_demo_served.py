"""The demo as ``make demo`` runs it: under daphne, with visitors, watched by the inspector."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import Server, free_port

CHECKOUT = Path(__file__).parent.parent.parent


class Demo:
    """The demo site with a database and a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")},
            "DEMO_DATABASE": str(folder / "demo.sqlite3"),
            "DEMO_STORE": str(folder / "store.sqlite3"),
            "DEMO_CONSOLE_LEVEL": "CRITICAL",
        }
        self.manage("migrate", "--verbosity", "0")
        self.manage("loaddemo")

    def manage(self, *arguments: str) -> str:
        """What ``manage.py`` prints; fails unless it ends well."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo site, ready to be served."""
    return Demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def server(demo: Demo) -> Iterator[Server]:
    """The demo site under daphne."""
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    server = Server(command, CHECKOUT, demo.env, port, demo.folder / "log")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_visitors_come_and_their_requests_are_recorded(demo: Demo, server: Server) -> None:
    said = demo.manage("traffic", "--url", server.url, "--rate", "40", "--seconds", "3", "--seed", "5")
    assert int(said.split()[0]) > 30
    assert "no answer" not in said
    server.recorded("/health/")
    rows = server.api("requests/", limit=500)["requests"]
    assert len({row["path"] for row in rows}) > 10
    assert {row["interface"] for row in rows} == {"asgi"}


def test_the_chain_has_every_kind_of_layer(server: Server) -> None:
    server.get("/")
    chain = server.api("pipeline/")
    assert {layer["mode"] for layer in chain["layers"]} == {"sync", "async", "both"}
    assert {layer["kind"] for layer in chain["layers"]} == {"class", "function"}
    hooks = {hook for layer in chain["layers"] for hook in layer["hooks"]}
    assert {"process_view", "process_exception", "process_template_response"} <= hooks
    assert [entry["path"] for entry in chain["not_used"]] == ["demo_site.middleware.SurveyMiddleware"]


@pytest.mark.parametrize(
    ("path", "layer", "outcome"),
    [
        ("/health/", "health_check", "answered"),
        ("/quota/", "QuotaMiddleware", "raised"),
        ("/unprinted/", "RescueMiddleware", "rescued"),
    ],
)
def test_layers_that_answer_raise_and_rescue_are_seen_to(server: Server, path: str, layer: str, outcome: str) -> None:
    server.get(path)
    row = server.recorded(path)[-1]
    record = server.api(f"requests/{row['id']}/")
    assert {found["name"]: found["outcome"] for found in record["layers"]}[layer] == outcome


def test_traffic_without_a_site_says_so(demo: Demo) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(AssertionError, match=f"No site answers at {url}"):
        demo.manage("traffic", "--url", url, "--wait", "0")
