"""Our scripts, styles and pictures, out of the package itself: no ``collectstatic``, nothing of the site is needed.

htmx and its extensions come from the django-htmx package. Only names listed at start exist, so no path can lead out.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

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


def _serve(request: HttpRequest, name: str) -> HttpResponseBase:
    path = _files().get(name)
    if path is None:
        raise Refused(404, "unknown_asset", "There is no such file.")
    kind = _TYPES.get(path.suffix) or guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or path.suffix == ".svg":
        kind = f"{kind}; charset=utf-8"
    response = HttpResponse(path.read_bytes(), content_type=kind)
    if request.GET.get("v") == version():
        response["Cache-Control"] = _FOR_A_YEAR
    return response


asset = by_method(GET=_serve)
