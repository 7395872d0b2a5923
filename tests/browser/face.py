"""A tiny site for the face of the page: sample records drawn by the fragments, no Django server, no store.

``Face`` answers the pages' addresses from samples; ``requests`` is what its list holds, ``switched`` what was posted.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from pipeline_inspector.page import assets, fragments
from pipeline_inspector.page.responses import policy
from pipeline_inspector.readings.statistics import statistics
from pipeline_inspector.records import Plan, RequestRecord
from tests import samples

BASE = "/__inspector__/"


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


class Face:
    """Serves on a free port of the loopback address from ``start()`` to ``stop()``."""

    def __init__(self, records: list[RequestRecord], layers: int = 11) -> None:
        self.records = {record.id: record for record in records}
        self.layers = layers
        self.off: set[str] = set()
        self.switched: list[dict[str, str]] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}{BASE}"

    def start(self) -> "Face":
        """Answer from now on."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        face = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                self._answer(*face.get(url.path.removeprefix(BASE), query, partial="HX-Request" in self.headers))

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
                form["token"] = self.headers.get("X-CSRFToken") or ""
                self._answer(*face.post(urlsplit(self.path).path.removeprefix(BASE), form))

            def _answer(self, status: int, kind: str, body: str) -> None:
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind if "charset" in kind else f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Security-Policy", face.policy(self.path, self.headers.get("Host") or ""))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Tests read no log."""

        return Handler

    def policy(self, path: str, host: str) -> str:
        """The Content-Security-Policy of the page at ``path``."""
        return policy(host)

    def get(self, path: str, query: dict[str, str], *, partial: bool) -> tuple[int, str, str]:
        """Status, type and text of the page at ``path``."""
        if path.startswith("assets/"):
            return self._asset(path.removeprefix("assets/"))
        record_id = path.removeprefix("requests/").rstrip("/") if path.startswith("requests/") else None
        if record_id is not None and record_id not in self.records:
            gone = fragments.notice("gone", BASE, limit=2000)
            return 404, "text/html", gone if partial else self._page(list(self.records.values()), None, gone, query)
        record = self.records.get(record_id or "")
        piece = self._stage(record, query.get("tab", "onion")) if record else ""
        if partial and record:
            return 200, "text/html", piece + self.chain(record, oob=True)
        wanted = [r for r in self.records.values() if query.get("path", "") in r.request.path and _fits(r, query)]
        return 200, "text/html", self._page(wanted, record, piece, query)

    def _page(
        self, wanted: list[RequestRecord], record: RequestRecord | None, piece: str, query: dict[str, str]
    ) -> str:
        return fragments.requests_page(
            base=BASE,
            csrf_token="token-of-the-page",
            summaries=[samples.summary(r) for r in wanted],
            stage=piece,
            chain=self.chain(record),
            selected=record.id if record else None,
            filtered=bool(query),
            query=urlencode(query),
            server="WSGI · runserver · pid 4121",
        )

    def post(self, path: str, form: dict[str, str]) -> tuple[int, str, str]:
        """Do what a button asked for."""
        self.switched.append({"path": unquote(path), **form})
        if path.startswith("actions/layers/"):
            layer = unquote(path.removeprefix("actions/layers/").rstrip("/"))
            (self.off.discard if form["enabled"] == "true" else self.off.add)(layer)
        elif path == "actions/reset/":
            self.off.clear()
        return 200, "text/html", self.chain(self.records.get(form.get("record", "")))

    def chain(self, record: RequestRecord | None, *, oob: bool = False) -> str:
        """The chain as it stands."""
        told = statistics(self.records.values())
        return fragments.chain(self.plan(record), frozenset(self.off), BASE, record=record, statistics=told, oob=oob)

    def plan(self, record: RequestRecord | None) -> Plan:
        """The chain that ``record`` ran through."""
        return samples.plan(len(record.layers), record.server.interface) if record else samples.plan(self.layers)

    def _stage(self, record: RequestRecord, tab: str) -> str:
        if record.state == "running":
            return fragments.stage_running(samples.summary(record), self.plan(record), BASE)
        return fragments.stage(record, tab, BASE)

    def _asset(self, name: str) -> tuple[int, str, str]:
        found = assets.content(name)
        return (
            (404, "text/plain", "There is no such file.") if found is None else (200, assets.kind(name), found.decode())
        )


def _fits(record: RequestRecord, query: dict[str, str]) -> bool:
    status = str(record.response.status) if record.response else record.state
    return query.get("status", status) == status and float(query.get("min_ms", 0)) * 1e6 <= record.duration_ns
