"""Our scripts, styles and pictures, out of the package itself: no ``collectstatic``, nothing of the site is needed.

htmx and its extensions come from the django-htmx package. Only names listed at start exist, so no path can lead out.
Several of our own are asked for as one, ``page+tabs.js``: a server may be busy, and a browser waits for each.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path, PurePosixPath

import django_htmx
from django.http import HttpRequest, HttpResponse, HttpResponseBase

import pipeline_inspector
from pipeline_inspector.page.responses import Refused, by_method

_OWN = Path(pipeline_inspector.__file__).parent / "static" / "pipeline_inspector"
_HTMX = Path(django_htmx.__file__).parent / "static" / "django_htmx"
_FROM_HTMX = {
    "htmx/htmx.min.js": _HTMX / "htmx-2.min.js",
    "htmx/ws.js": _HTMX / "ext" / "hx-ws-2.min.js",
    "htmx/sse.js": _HTMX / "ext" / "hx-sse-2.min.js",
}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_FOR_A_YEAR = "public, max-age=31536000, immutable"


def _all() -> Iterator[tuple[str, Path]]:
    yield from _FROM_HTMX.items()
    for path in _OWN.rglob("*"):
        if path.is_file():
            yield path.relative_to(_OWN).as_posix(), path


@cache
def _files() -> dict[str, Path]:
    return dict(_all())


@cache
def version() -> str:
    """A short digest of all assets: it changes when any of them does, so an address with it may be kept for ever."""
    digest = sha256()
    for name, path in sorted(_files().items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def content(name: str) -> bytes | None:
    """What is served under ``name``; None when there is nothing."""
    path = _files().get(name)
    return path.read_bytes() if path else _joined(name)


def _joined(name: str) -> bytes | None:
    stem, dot, suffix = name.rpartition(".")
    parts = stem.split("+")
    paths = [_files().get(f"{part}{dot}{suffix}") for part in parts]
    if suffix not in ("css", "js") or len(set(parts)) < len(parts) or not all(paths):
        return None
    texts = [path.read_bytes() for path in paths if path]
    return b"\n".join(texts) if suffix == "css" else b"".join(b"(() => {\n%s})();\n" % text for text in texts)


def kind(name: str) -> str:
    """The content type of ``name``."""
    suffix = PurePosixPath(name).suffix
    found = _TYPES.get(suffix) or guess_type(name)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") or suffix == ".svg" else found


def _serve(request: HttpRequest, name: str) -> HttpResponseBase:
    found = content(name)
    if found is None:
        raise Refused(404, "unknown_asset", "There is no such file.")
    response = HttpResponse(found, content_type=kind(name))
    if request.GET.get("v") == version():
        response["Cache-Control"] = _FOR_A_YEAR
    return response


asset = by_method(GET=_serve)
