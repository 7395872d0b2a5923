"""The headers of a request: as they may be told, and the secrets that stand in them. Runs on the recorder thread only.

A browser sends the same headers again and again, so what they say is found out once.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import msgspec
from django.conf import settings

from pipeline_inspector.packed import PackedRequest
from pipeline_inspector.recording.pieces import Known, piece
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


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values of secrets, longest first. ``plain`` are those among them that could as well be a word of the site's own:
    they are hidden where values stand, but not in paths and SQL. ``written``: as they would stand in a packed tape."""

    values: tuple[str, ...] = ()
    plain: frozenset[str] = frozenset()
    written: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """``request`` is the ``PackedRequest`` ready to be put into a tape; ``found``: what stands in the headers under the
    name of a secret, ``secrets`` the same as it is looked for."""

    request: msgspec.Raw
    found: list[str]
    secrets: Secrets


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The headers among the ``keys`` of a ``META``, and what gives their ``values``."""

    keys: tuple[str, ...]
    values: Callable[[dict[str, Any]], tuple[Any, ...]]


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
        self._heads: Known[tuple[Any, ...], Head] = Known(self._read, _HEADS, _LONGEST_HEAD)
        self._cookies = _own_cookies()

    def refresh(self) -> bool:
        """Forget what was found out while the site's cookies had other names; have they?"""
        if self._cookies == _own_cookies():
            return False
        self._heads.clear()
        self._cookies = _own_cookies()
        return True

    def read(self, meta: dict[str, Any], scope: Any = None) -> Head:
        """The headers in ``meta``, a request's ``META``; scheme and HTTP version are in its ``scope`` under ASGI."""
        layout = self._layouts[(*meta,)]
        what = layout, _scheme_and_version(scope) if scope else ("", ""), layout.values(meta)
        try:
            return self._heads[what]
        except TypeError:  # the site put something there that is no text
            return self._read(what)

    def _read(self, what: tuple[Layout, tuple[str, str], tuple[Any, ...]]) -> Head:
        layout, (scheme, version), values = what
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
    chosen = tuple(key for key in keys if key[:5] == "HTTP_" or key in _NOT_HTTP or key in _OTHERS)
    if len(chosen) > 1:
        return Layout(chosen, itemgetter(*chosen))
    return Layout(chosen, lambda meta: tuple(meta[key] for key in chosen))


def _scheme_and_version(scope: dict[str, Any]) -> tuple[str, str]:
    return str(scope.get("scheme") or ""), str(scope.get("http_version") or "")


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
    return name in _own_cookies() or redactor.name_is_secret(name) or _BY_CHANCE.fullmatch(value) is not None


def _own_cookies() -> tuple[str, str]:
    return settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME
