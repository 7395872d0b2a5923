"""The headers of a request: as they may be told, and the secrets that stand in them. Runs on the recorder thread only.

A browser sends the same headers again and again, so what they say is found out once.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from django.conf import settings

from pipeline_inspector.packed import PackedRequest
from pipeline_inspector.recording.pieces import Known, piece, size
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.secret_texts import as_text

HEADERS_KEPT = 150
LONGEST = 4096
SHORTEST, SHORTEST_WORD = 6, 16
AT_MOST = 100

_LAYOUTS, _LONGEST_LAYOUT = 200, 20_000
_HEADS, _LONGEST_HEAD = 1000, 8192
_NOT_HTTP = ("CONTENT_TYPE", "CONTENT_LENGTH")
_OTHERS = ("wsgi.url_scheme", "SERVER_PROTOCOL", "REMOTE_ADDR")
_BY_CHANCE = re.compile(r"(?=.*\d)[\w.~+=%:-]{16,}")


class Secrets(NamedTuple):
    """Values of secrets, longest first. ``plain`` are those among them that could as well be a word of the site's own:
    they are hidden where values stand, but not in paths and SQL. ``written``: as they would stand in a packed tape."""

    values: tuple[str, ...] = ()
    plain: frozenset[str] = frozenset()
    written: tuple[bytes, ...] = ()


class Head(NamedTuple):
    """``request`` is the ``PackedRequest`` ready to be put into a tape; ``found``: what stands in the headers under the
    name of a secret, ``secrets`` the same as it is looked for."""

    request: msgspec.Raw
    found: list[str]
    secrets: Secrets


class Layout(NamedTuple):
    """Where the headers stand in a ``META`` of certain keys: which of its items are wanted, and their keys."""

    chosen: list[bool]
    keys: tuple[str, ...]


def secrets(values: Iterable[str], of_path: Iterable[str] = ()) -> Secrets:
    """``values`` that are worth looking for, in all the ways they may be written, and those ``of_path`` as they are."""
    found: set[str] = set()
    plain: set[str] = set()
    for value in (as_text(value, LONGEST + 1) for value in values):
        if SHORTEST <= len(value) <= LONGEST and value not in found:
            if len(value) < SHORTEST_WORD and value.replace("_", "a").isalpha():
                plain.add(value)
            found.add(value)
            if not value.isalnum():
                found.update((quote(value, safe="/~"), repr(value)[1:-1]))
            if len(found) >= AT_MOST:
                break
    found.update(of_path)
    ordered = tuple(sorted(found, key=len, reverse=True))
    return Secrets(ordered, frozenset(plain), tuple(value.encode("utf-8", "replace") for value in ordered))


class Heads:
    """Reads the headers of requests; ``redactor`` says how they may be told."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._layouts = Known(_layout, _LAYOUTS, _LONGEST_LAYOUT)
        self._heads: dict[Any, Head] = {}

    def read(self, meta: dict[str, Any], scheme: str, version: str) -> Head:
        """The headers in ``meta``, a request's ``META``; ``scheme`` and HTTP ``version`` where it does not say them."""
        layout = self._layouts[(*meta,)]
        values = (*compress(meta.values(), layout.chosen),)
        key = values, layout.keys, scheme, version, settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME
        try:
            known = self._heads.get(key)
        except TypeError:  # the site put something there that is no text
            return self._read(layout, values, scheme, version)
        if known is None:
            known = self._read(layout, values, scheme, version)
            if size(tuple(map(str, values))) <= _LONGEST_HEAD:
                if len(self._heads) >= _HEADS:
                    self._heads.clear()
                self._heads[key] = known
        return known

    def _read(self, layout: Layout, values: tuple[Any, ...], scheme: str, version: str) -> Head:
        said = dict(zip(layout.keys, values, strict=True))
        others = [said.pop(key, None) for key in _OTHERS]
        tell = self._redactor.header
        headers = [(_name(key), tell(_name(key), str(value))) for key, value in said.items() if value]
        told = PackedRequest(
            scheme=str(others[0] or scheme or "http"),
            http_version=str(others[1] or "").removeprefix("HTTP/") or version,
            client=str(others[2] or ""),
            headers=headers[:HEADERS_KEPT],
            body_bytes=_whole(said.get("CONTENT_LENGTH")),
        )
        found = list(self._secrets(said))
        return Head(piece(msgspec.structs.astuple(told)), found, secrets(found))

    def _secrets(self, headers: dict[str, Any]) -> Iterator[str]:
        for key, value in headers.items():
            if key in _NOT_HTTP or type(value) is not str:
                continue
            if key == "HTTP_COOKIE":
                for pair in value[: 4 * LONGEST].split(";"):
                    name, _, cookie = pair.strip().partition("=")
                    if is_secret_cookie(name, cookie, self._redactor):
                        yield cookie
            elif self._redactor.header_is_secret(key):
                yield from _credentials(value)


def _layout(keys: tuple[str, ...]) -> Layout:
    chosen = [key[:5] == "HTTP_" or key in _NOT_HTTP or key in _OTHERS for key in keys]
    return Layout(chosen, (*compress(keys, chosen),))


def _whole(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16 else None


def _name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").title()


def _credentials(value: str) -> Iterator[str]:
    """The value of a header; of ``Bearer …`` and ``Basic …`` what stands behind that, and the password in it."""
    scheme, space, rest = value.strip().partition(" ")
    if not space or not scheme.isalpha():
        yield value
        return
    yield rest.strip()
    if scheme.lower() == "basic":
        try:
            yield b64decode(rest, validate=True).decode().partition(":")[2]
        except ValueError:
            return


def is_secret_cookie(name: str, value: object, redactor: Redactor) -> bool:
    """By its name, or because its value looks made by chance: a path or a word in a cookie is none."""
    if type(value) is not str:
        return False
    own = name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    return own or redactor.name_is_secret(name) or _BY_CHANCE.fullmatch(value) is not None
