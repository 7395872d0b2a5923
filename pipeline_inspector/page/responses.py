"""Every answer of our own pages leaves through here: strict headers, errors said plainly, nothing cached."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from pipeline_inspector import records

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")

type_json = "application/json"


class Refused(Exception):  # noqa: N818
    """The request cannot be answered as asked: status, a short code for programs, a sentence for people."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


View = Callable[..., HttpResponseBase]


def by_method(**handlers: View) -> View:
    """One view of several, each named by its method; answers HEAD as GET, OPTIONS with the list, others with 405."""
    allowed = sorted({*handlers, "OPTIONS", *(["HEAD"] if "GET" in handlers else [])})

    def view(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method in handlers:
            return handlers[method](request, **kwargs)
        if method == "OPTIONS":
            return HttpResponse(status=204, headers={"Allow": ", ".join(allowed)})
        raise Refused(
            405,
            "method_not_allowed",
            f"This address takes {', '.join(allowed)}, not {method[:40]}.",
            {"Allow": ", ".join(allowed)},
        )

    view.methods = tuple(handlers)  # type: ignore[attr-defined]
    return view


def as_json(value: object, status: int = 200) -> HttpResponse:
    """``value`` (structs of ``records``, dicts, lists) as JSON."""
    return HttpResponse(records.to_json(value), content_type=type_json, status=status)


def error(refused: Refused) -> HttpResponse:
    """A refusal as JSON: ``{"error": {"code", "message"}}``."""
    response = as_json({"error": {"code": refused.code, "message": refused.message}}, refused.status)
    for name, value in refused.headers.items():
        response[name] = value
    return response


def policy(host: str = "", style: str = "") -> str:
    """The Content-Security-Policy of a page asked for under ``host``; ``style`` is the one inline sheet it may hold."""
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    styles = f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" if style else "'self'"
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'{sockets}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def finish(response: HttpResponseBase, *, method: str, host: str) -> HttpResponseBase:
    """Put our headers on ``response`` where it has not set them itself; take the body away when only asked for a head."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", policy(host))
    if isinstance(response, HttpResponse):
        length = len(response.content)
        if method == "HEAD":
            response.content = b""
        if response.status_code != 204:
            response.headers.setdefault("Content-Length", str(length))
    elif method == "HEAD" and isinstance(response, StreamingHttpResponse):
        response.close()
        return HttpResponse(status=response.status_code, headers=dict(response.headers))
    return response
