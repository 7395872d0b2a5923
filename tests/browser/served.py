"""Real servers with our page open in a browser: starting them, and what to look at on the page."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sites import SERVERS, Server, Site

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

WAYS = {
    "uvicorn": ("uvicorn", [], "WebSocket"),
    "daphne": ("daphne", [], "WebSocket"),
    "runserver": ("runserver", [], "event stream"),
    "gunicorn with threads": ("gunicorn", [], "event stream"),
    "gunicorn with one worker": ("gunicorn", ["--threads", "1"], "polling"),
    "runserver with one thread": ("runserver", ["--nothreading"], "polling"),
}


@dataclass
class Served:
    """A site behind one server, and how its page is to be kept up to date."""

    server: Server
    site: Site
    way: str

    def open(self, page: "Page", path: str = "") -> None:
        """Open one of our pages and wait until it is live."""
        page.goto(f"{self.server.url}/__inspector__/{path}")
        state(page).and_(page.get_by_text("live", exact=True)).wait_for()


def command(name: str, port: int, extra: list[str]) -> list[str]:
    """The command that starts a server."""
    return [sys.executable, *(part.format(host="127.0.0.1", port=port) for part in SERVERS[name]), *extra]


def start(site: Site, name: str, extra: list[str], port: int) -> Server:
    """Start a server on ``port`` and wait for it."""
    server = Server(command(name, port, extra), site.folder, site.env, port, site.folder / f"{port}.log")
    server.wait()
    return server


def state(page: "Page") -> "Locator":
    """The status of the connection."""
    return page.locator("#connection")


def row(page: "Page", name: str) -> "Locator":
    """The link of a request in the list, by its whole name."""
    return page.get_by_role("list", name="Requests").get_by_role("link", name=name, exact=True)


def rows(page: "Page") -> "Locator":
    """All rows."""
    return page.get_by_role("list", name="Requests").get_by_role("listitem")
