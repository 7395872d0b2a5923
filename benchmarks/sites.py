"""The site that the page is measured on: the stock middleware, one small view, any number of servers over one store."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.sites import SERVERS, Server, Site, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("n/<int:number>/", lambda request, number: HttpResponse(str(number)))]
"""
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@dataclass
class Place:
    """A site in a folder of its own; ``store`` is the file that its requests are kept in."""

    site: Site
    store: Path
    servers: ExitStack

    def serve(self, name: str = "uvicorn", *extra: str) -> Server:
        """One more server of the site."""
        port = free_port()
        arguments = [part.format(host="127.0.0.1", port=port) for part in SERVERS[name]]
        quiet = ["--no-access-log"] if name == "uvicorn" else []
        command = [sys.executable, *arguments, *quiet, *extra]
        server = Server(command, self.site.folder, self.site.env, port, self.site.folder / f"{port}.log")
        self.servers.callback(server.stop)
        server.wait()
        return server


@contextmanager
def place(keep: int = 2000) -> Iterator[Place]:
    """A site that keeps ``keep`` requests; its servers are stopped and its folder goes at the end."""
    with tempfile.TemporaryDirectory(prefix="inspector-benchmark-") as folder, ExitStack() as servers:
        site = Site(Path(folder) / "site")
        store = Path(folder) / "requests.sqlite3"
        site.install("pipeline_inspector")
        site.configure(f"PIPELINE_INSPECTOR = {{'STORE': {str(store)!r}, 'MAX_REQUESTS': {keep}}}")
        site.write("mysite/urls.py", URLS)
        yield Place(site, store, servers)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        path = str(own) if own.exists() else "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield browser
        browser.close()


def resident_mb(pid: int) -> float:
    """The memory that a process holds now, in megabytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def processor_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
