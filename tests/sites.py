"""Real sites, fresh from ``startproject``, and the servers that run them as processes of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from django.core.management import call_command

import pipeline_inspector

PACKAGE_FOLDER = Path(pipeline_inspector.__file__).parent.parent
STARTED_WITHIN = 40.0
INSTALLED_APPS = "INSTALLED_APPS = ["

SERVERS: dict[str, list[str]] = {
    "runserver": ["manage.py", "runserver", "{host}:{port}", "--noreload"],
    "runserver-reloading": ["manage.py", "runserver", "{host}:{port}"],
    "uvicorn": ["-m", "uvicorn", "mysite.asgi:application", "--host", "{host}", "--port", "{port}"],
    "daphne": ["-m", "daphne", "-b", "{host}", "-p", "{port}", "mysite.asgi:application"],
    "gunicorn": ["-m", "gunicorn", "-b", "{host}:{port}", "--threads", "4", "mysite.wsgi:application"],
}
"""Name of a server to the arguments for Python, run in the site's folder."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One running server. ``url`` ends without a slash; ``client`` is an ``httpx.Client`` with that base address."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str], port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.prefix = "/__inspector__/"
        self.client = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def log(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(errors="replace")

    def wait(self) -> None:
        """Return when the port takes connections; fail with the server's output when it ends or takes too long."""
        until = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"The server ended with {self.process.returncode}:\n{self.log()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"Nothing listens on {self.url} after {STARTED_WITHIN} s:\n{self.log()}")

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET ``path`` of the site."""
        return self.client.get(path, **options)

    def api(self, call: str, /, **query: Any) -> Any:
        """The JSON answer of the inspector's API at ``call``, such as ``requests/``; fails when it is not a success."""
        answer = self.client.get(f"{self.prefix}api/{call}", params=query)
        assert answer.is_success, f"{answer.request.url} said {answer.status_code}:\n{answer.text}\n{self.log()}"
        return answer.json()

    def recorded(self, path: str, count: int = 1) -> list[dict[str, Any]]:
        """The summaries of requests of exactly ``path``, as soon as ``count`` of them are finished and kept."""
        until = time.monotonic() + 15
        rows: list[dict[str, Any]] = []
        while time.monotonic() < until:
            rows = [row for row in self.api("requests/", path=path, limit=500)["requests"] if row["path"] == path]
            if len(rows) >= count and all(row["state"] == "finished" for row in rows):
                return rows
            time.sleep(0.02)
        raise AssertionError(f"{len(rows)} of {count} requests of {path} are kept after 15 s: {rows}\n{self.log()}")

    def stop(self) -> None:
        """End the server and all its processes."""
        self.client.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(timeout=5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


class Site:
    """A project made by ``django-admin startproject mysite`` in ``folder``, its cache folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "mysite" / "settings.py"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))},
            "PYTHONPATH": str(PACKAGE_FOLDER),
            "PYTHONUNBUFFERED": "1",
            "XDG_CACHE_HOME": str(folder / ".cache"),
            "HOME": str(folder),
        }
        self._running = ExitStack()
        folder.mkdir(parents=True)
        call_command("startproject", "mysite", folder, verbosity=0)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Python with ``arguments`` in the site's folder; fails with the output unless it ends well."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with ``arguments``."""
        return self.run("manage.py", *arguments, check=check)

    def install(self, app: str, *, first: bool = False) -> None:
        """Add one line to ``INSTALLED_APPS``: ``app``, at the end or at the beginning."""
        text = self.settings.read_text()
        start = text.index(INSTALLED_APPS) + len(INSTALLED_APPS)
        place = start if first else text.index("\n]", start)
        self.settings.write_text(f"{text[:place]}\n    {app!r},{text[place:]}")

    def configure(self, lines: str) -> None:
        """Append ``lines`` of Python to the settings."""
        self.settings.write_text(f"{self.settings.read_text()}\n{lines}\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the site, such as ``mysite/urls.py``."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def serve(self, server: str = "runserver", *extra: str) -> Server:
        """Start one of ``SERVERS`` with ``extra`` arguments and return it when it takes connections."""
        return self._running.enter_context(self._serving(server, extra))

    @contextmanager
    def _serving(self, name: str, extra: tuple[str, ...]) -> Iterator[Server]:
        port = free_port()
        arguments = [part.format(host="127.0.0.1", port=port) for part in SERVERS[name]]
        server = Server([sys.executable, *arguments, *extra], self.folder, self.env, port, self.folder / f"{port}.log")
        try:
            server.wait()
            yield server
        finally:
            server.stop()

    def close(self) -> None:
        """Stop all servers of this site."""
        self._running.close()
