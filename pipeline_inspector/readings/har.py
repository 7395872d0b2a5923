"""A record as an HTTP Archive (HAR 1.2), which browsers' developer tools and HTTP tools open.

Bodies are not kept, so they are not in it; what the record hides stays hidden.
"""

from typing import Any
from urllib.parse import parse_qsl, quote

from pipeline_inspector import __version__
from pipeline_inspector.readings.server_timing import server_timing
from pipeline_inspector.records import RequestRecord, Response, to_json

_PATH_SAFE = "/:@!$&'()*+,;=-._~"
_QUERY_SAFE = _PATH_SAFE + "%?"
_FLAGS = {"httponly": "httpOnly", "secure": "secure"}
_TEXTS = {"path": "path", "domain": "domain", "samesite": "sameSite"}

Headers = list[tuple[str, str]]


def har(record: RequestRecord) -> bytes:
    """JSON with one entry."""
    return to_json(
        {
            "log": {
                "version": "1.2",
                "creator": {"name": "django-pipeline-inspector", "version": __version__},
                "entries": [_entry(record)],
            }
        }
    )


def _entry(record: RequestRecord) -> dict[str, Any]:
    timings = _timings(record)
    return {
        "startedDateTime": record.started_at,
        "time": sum(timings.values()),
        "request": _request(record),
        "response": _response(record.response, record.request.http_version),
        "cache": {},
        "timings": {**timings, "comment": server_timing(record)},
        "comment": f"Request {record.id}, as the server saw it",
    }


def _timings(record: RequestRecord) -> dict[str, float]:
    """Milliseconds until the first byte of the answer, and from there to its last."""
    response = record.response
    first = response.first_byte_ns if response else None
    last = response.last_byte_ns if response else None
    wait = record.duration_ns if first is None else first
    return {"send": 0.0, "wait": wait / 1e6, "receive": max(0, (last or wait) - wait) / 1e6}


def _request(record: RequestRecord) -> dict[str, Any]:
    request = record.request
    return {
        "method": request.method,
        "url": _url(record),
        "httpVersion": _version(request.http_version),
        "cookies": [
            _pair(part)
            for name, value in request.headers
            if name.lower() == "cookie"
            for part in value.split(";")
            if part
        ],
        "headers": _named(request.headers),
        "queryString": _named(parse_qsl(request.query, keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": -1 if request.body_bytes is None else request.body_bytes,
    }


def _url(record: RequestRecord) -> str:
    request = record.request
    host = _header(request.headers, "host") or "localhost"
    query = f"?{quote(request.query, safe=_QUERY_SAFE)}" if request.query else ""
    return f"{request.scheme}://{quote(host, safe=':[]')}{quote(request.path, safe=_PATH_SAFE)}{query}"


def _response(response: Response | None, version: str) -> dict[str, Any]:
    """Status 0 while there is none, as browsers write it."""
    if response is None:
        response = Response(status=0)
    size = -1 if response.body_bytes is None else response.body_bytes
    return {
        "status": response.status,
        "statusText": response.reason,
        "httpVersion": _version(version),
        "cookies": [_set_cookie(value) for name, value in response.headers if name.lower() == "set-cookie"],
        "headers": _named(response.headers),
        "content": {"size": max(0, size), "mimeType": _header(response.headers, "content-type")},
        "redirectURL": _header(response.headers, "location"),
        "headersSize": -1,
        "bodySize": size,
    }


def _set_cookie(line: str) -> dict[str, Any]:
    first, *rest = line.split(";")
    cookie: dict[str, Any] = _pair(first)
    for part in rest:
        name, _, value = part.strip().partition("=")
        if name.lower() in _FLAGS:
            cookie[_FLAGS[name.lower()]] = True
        elif name.lower() in _TEXTS:
            cookie[_TEXTS[name.lower()]] = value
    return cookie


def _pair(text: str) -> dict[str, Any]:
    name, _, value = text.strip().partition("=")
    return {"name": name, "value": value}


def _named(pairs: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _header(headers: Headers, wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted), "")


def _version(version: str) -> str:
    return f"HTTP/{version}" if version and not version.upper().startswith("HTTP/") else version or "unknown"
