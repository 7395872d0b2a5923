"""The headers of a request: as they may be told, and the secrets that stand in them. Runs on the recorder thread only.

A browser sends the same headers again and again, so what they say is found out once.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from itertools import compress
from typing import Any, NamedTuple

from django.conf import settings

from pipeline_inspector.recording.redaction import Redactor

HEADERS_KEPT = 150
LONGEST = 4096

_LAYOUTS, _LONGEST_LAYOUT = 200, 500
_KNOWN, _LONGEST_KNOWN = 1000, 8192
_NOT_HTTP = ("CONTENT_TYPE", "CONTENT_LENGTH")
_BY_CHANCE = re.compile(r"(?=.*\d)[\w.~+=%:-]{16,}")


class Head(NamedTuple):
    """``told``: name and value of each header; ``secrets``: what stands in them under the name of a secret."""

    told: list[tuple[str, str]]
    secrets: list[str]


class Layout(NamedTuple):
    """Where the headers stand in a ``META`` of certain keys: which of them they are, their keys and their names."""

    chosen: list[bool]
    keys: list[str]
    names: list[str]


class Heads:
    """Reads the headers of requests; ``redactor`` says how they may be told."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._known: dict[Any, Head] = {}

    def read(self, meta: dict[str, Any]) -> Head:
        """The headers in ``meta``, a request's ``META``."""
        layout = self._layout(meta)
        values = (*compress(meta.values(), layout.chosen),)
        key = values, (*layout.keys,), settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME
        try:
            known = self._known.get(key)
        except TypeError:  # the site put something there that is no text
            return self._read(layout, values)
        if known is None:
            known = self._read(layout, values)
            if sum(map(len, map(str, values))) <= _LONGEST_KNOWN:
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[key] = known
        return known

    def _layout(self, meta: dict[str, Any]) -> Layout:
        keys = (*meta,)
        known = self._layouts.get(keys)
        if known is None:
            chosen = [key[:5] == "HTTP_" or key in _NOT_HTTP for key in keys]
            headers = [*compress(keys, chosen)]
            known = Layout(chosen, headers, [_name(key) for key in headers])
            if len(keys) <= _LONGEST_LAYOUT:
                if len(self._layouts) >= _LAYOUTS:
                    self._layouts.clear()
                self._layouts[keys] = known
        return known

    def _read(self, layout: Layout, values: tuple[Any, ...]) -> Head:
        tell = self._redactor.header
        told = [(name, tell(name, str(value))) for name, value in zip(layout.names, values, strict=True) if value]
        return Head(told[:HEADERS_KEPT], list(self._secrets(layout, values)))

    def _secrets(self, layout: Layout, values: tuple[Any, ...]) -> Iterator[str]:
        for key, value in zip(layout.keys, values, strict=True):
            if key in _NOT_HTTP or type(value) is not str:
                continue
            if key == "HTTP_COOKIE":
                for pair in value[: 4 * LONGEST].split(";"):
                    name, _, cookie = pair.strip().partition("=")
                    if is_secret_cookie(name, cookie, self._redactor):
                        yield cookie
            elif self._redactor.header_is_secret(key):
                yield from _credentials(value)


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
