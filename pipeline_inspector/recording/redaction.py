"""Secrets out: everything that is kept of a request passes here first. Names stay, values of secrets become ``MASK``.

No input makes it raise: bytes, lone surrogates and huge texts included. Every text that comes out can be encoded as UTF-8
and is bounded. Nothing lazy is evaluated: of a value only its exact type is asked, and only plain values are shown.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from django.utils.functional import LazyObject

from pipeline_inspector.recording.attributes import BYTES, SAYS_ITSELF, SIZED, by_size, kind_of, lazily
from pipeline_inspector.recording.secret_names import SecretNames
from pipeline_inspector.recording.secret_texts import (
    MASK,
    as_text,
    bounded,
    cut,
    without_secrets,
    without_shapes,
)

__all__ = ["MASK", "Redactor"]

TEXT_KEPT = 4000
VALUE_KEPT = 200
HEADER_KEPT = 2000
SQL_KEPT = 20_000
ITEMS_KEPT = 100
_SEARCHED = 20_000
_HARMLESS_KEPT = 2000
_TYPES_KEPT = 500

_ADDRESSES = frozenset({"referer", "location", "content-location", "origin", "refresh", "link", "x-original-url"})
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "x-authorization"})
_SCHEME = re.compile(r"\s*([A-Za-z][\w-]{0,19})\s+\S")
_LITERAL = re.compile(
    r"'(?:[^']|'')*+(?:'|$)|(?<![\w\"$:%])(?<!LIMIT )(?<!OFFSET )\d+(?:\.\d+)?(?![\w\"])", re.IGNORECASE
)


class Redactor:
    """Hides secrets: by the built-in names, Django's exception filter, and ``patterns`` (regular expressions for names).

    Cheap to use and meant to be kept: what it decided about a name it remembers. ``also`` are names that are hidden too.
    ``opaque`` are types of attributes of which nothing but the type is told, with the words for it.
    """

    def __init__(self, patterns: Iterable[str] = (), also: Iterable[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._secret = SecretNames(self._patterns, also)
        self._harmless: set[tuple[str, str]] = set()
        self._keys: dict[str, bool] = {}
        self.opaque: dict[type, str] = {}

    def also(self, names: Iterable[str]) -> "Redactor":
        """One that hides the parameters ``names`` too, such as those of ``sensitive_post_parameters``."""
        return Redactor(self._patterns, names)

    def name_is_secret(self, name: object) -> bool:
        """Does a parameter, attribute or column of that name hold a secret?"""
        return self._secret.name(as_text(name, _SEARCHED))

    def header_is_secret(self, key: str) -> bool:
        """Is the header that stands under ``key`` in ``META`` (``HTTP_X_API_KEY``) a secret as a whole?"""
        known = self._keys.get(key)
        if known is None:
            name = key.removeprefix("HTTP_").replace("_", "-").lower()
            known = name in _CREDENTIALS or self._secret.header(name)
            if len(self._keys) < _HARMLESS_KEPT:
                self._keys[key] = known
        return known

    # -- the parts of a request and a response ------------------------------------------------------------------------

    def header(self, name: object, value: object) -> str:
        """The value of a header as it may be shown: cookies by name, credentials by scheme, addresses without secrets."""
        name, text = as_text(name, VALUE_KEPT), as_text(value, _SEARCHED)
        if (name, text) in self._harmless:
            return text
        told = bounded(self._header(name, text), HEADER_KEPT)
        if told == text:
            self._remember(name, text)
        return told

    def _header(self, name: str, text: str) -> str:
        lower = name.lower()
        if lower == "cookie":
            return "; ".join(map(_cookie_pair, cut(text, HEADER_KEPT).split(";")))
        if lower == "set-cookie":
            pair, semicolon, attributes = text.partition(";")
            return _cookie_pair(pair) + semicolon + self._running(attributes, VALUE_KEPT)
        if lower in _CREDENTIALS:
            scheme = _SCHEME.match(text)
            return f"{scheme[1]} {MASK}" if scheme else MASK
        if self._secret.header(name):
            return MASK if text else ""
        return self.url(text) if lower in _ADDRESSES else self._running(text, HEADER_KEPT)

    def cookie(self, name: object, value: object) -> str:
        """The value of a cookie, whatever its name: only that there is one."""
        return "" if value is None or (type(value) is str and not value) else MASK

    def query_string(self, text: object) -> str:
        """A query string with the values of secrets hidden."""
        whole = cut(as_text(text, _SEARCHED), HEADER_KEPT)
        return bounded("&".join(map(self._parameter, whole.split("&"))), HEADER_KEPT)

    def url(self, text: object) -> str:
        """An address without user, password and the secrets of its query and fragment."""
        whole, mark, fragment = cut(as_text(text, _SEARCHED), HEADER_KEPT).partition("#")
        path, question, query = whole.partition("?")
        told = self._hidden(path) + question + self.query_string(query) + mark + self.query_string(fragment)
        return bounded(told, HEADER_KEPT)

    def _parameter(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        plain_name, plain = unquote_plus(name), unquote_plus(value)
        if self._hidden(plain_name) != plain_name:
            return MASK
        if value and (self._secret.name(plain_name) or self._hides(plain) or self._hides(f"{plain_name}={plain}")):
            return f"{name}{equals}{MASK}"
        return pair

    def _hides(self, text: str) -> bool:
        return self._hidden(text) != text

    # -- values -------------------------------------------------------------------------------------------------------

    def attribute(self, name: object, value: object) -> str:
        """What a request attribute is: a plain value as Python writes it, of everything else the type.

        A lazy object tells what it wraps only when that is there already.
        """
        kind = type(value)
        known = self.opaque.get(kind)
        if known is not None:
            return known
        if value is None or kind is bool:
            return repr(value)
        if issubclass(kind, LazyObject):
            return lazily(value)
        if kind in SIZED:
            return by_size(value)
        if kind in (str, int, float, *BYTES, *SAYS_ITSELF) and self.name_is_secret(name):
            return MASK
        return self._plain(value)

    def kwargs(self, mapping: Mapping[Any, Any]) -> dict[str, str]:
        """The arguments of a view by name: plain values as text, of everything else the type."""
        told: dict[str, str] = {}
        for name, value in list(mapping.items())[:ITEMS_KEPT]:
            text = bounded(as_text(name, _SEARCHED), VALUE_KEPT)
            if self.name_is_secret(name):
                told[text] = MASK
            else:
                told[text] = self._running(value, VALUE_KEPT) if type(value) is str else self._plain(value)
        return told

    def _plain(self, value: Any, *, inside: bool = False) -> str:
        kind = type(value)
        if value is None or kind in (bool, float):
            return repr(value)
        if kind is str:
            return bounded(repr(self._running(value, VALUE_KEPT)), VALUE_KEPT)
        if kind is int:
            return self._hidden(repr(value)) if value.bit_length() <= 256 else f"int of {value.bit_length()} bits"
        if kind in SAYS_ITSELF:
            return bounded(without_shapes(str(value)), VALUE_KEPT)
        if kind in BYTES:
            return f"{kind.__name__}, {len(value)} long"
        if kind in (list, tuple) and not inside:
            items = [self._plain(item, inside=True) for item in value[:10]]
            return bounded(f"[{', '.join(items)}{', …' if len(value) > 10 else ''}]", VALUE_KEPT)
        if not inside:
            if len(self.opaque) >= _TYPES_KEPT:
                self.opaque.clear()
            self.opaque[kind] = kind_of(kind)
        return kind_of(kind)

    # -- SQL ----------------------------------------------------------------------------------------------------------

    def sql(self, sql: object) -> str:
        """A statement as it may be shown: values written into it are hidden when it names a secret column or table."""
        text = as_text(sql, SQL_KEPT)
        if ("", text) in self._harmless:
            return text
        told = _LITERAL.sub(MASK, text) if self._secret.sql(text) else without_shapes(text)
        if told == text:
            self._remember("", text)
        return told

    def sql_params(self, sql: object, params: Any) -> list[str] | None:
        """The parameters of a statement, each as Python writes it; all hidden when it names a secret column or table.

        At most ``ITEMS_KEPT`` of them; None when there were none to give.
        """
        if params is None:
            return None
        if type(params) is dict:
            named = list(params.items())[:ITEMS_KEPT]
            values = [MASK if self.name_is_secret(name) else self._plain(value) for name, value in named]
        elif type(params) in (list, tuple):
            values = [self._plain(value) for value in params[:ITEMS_KEPT]]
        else:
            values = [kind_of(type(params))]
        return [MASK] * len(values) if self._secret.sql(as_text(sql, SQL_KEPT)) else values

    # -- running text -------------------------------------------------------------------------------------------------

    def text(self, message: object) -> str:
        """A log line or exception message with what looks like a secret in it hidden, in ``TEXT_KEPT`` characters."""
        return self._running(message, TEXT_KEPT)

    def log(self, logger: str, template: object, args: Any) -> str:
        """The line that ``logging`` makes of ``template % args``, with secrets hidden.

        Arguments that are not plain are shown by type: writing them out could ask the database. Statements that Django
        logs are shown as ``sql()`` and ``sql_params()`` show them.
        """
        text = as_text(template, _SEARCHED)
        if logger.startswith("django.db.backends") and type(args) is tuple and len(args) == 4:
            seconds, sql, params, alias = args
            args = (seconds, self.sql(sql), f"({', '.join(self.sql_params(sql, params) or ())})", alias)
        if args:
            try:
                text = text % self._arguments(args)
            except Exception:  # a call with the wrong arguments: logging itself complains about it
                text = f"{text} {self._plain(args)}"
        return self.text(text)

    def _arguments(self, args: Any) -> Any:
        if type(args) is dict:
            return {name: MASK if self.name_is_secret(name) else _safe(value) for name, value in args.items()}
        return tuple(map(_safe, args)) if type(args) is tuple else _safe(args)

    def _running(self, value: object, limit: int) -> str:
        return bounded(self._hidden(cut(as_text(value, _SEARCHED), limit)), limit)

    def _hidden(self, text: str) -> str:
        return without_secrets(text, self._secret.name)

    def _remember(self, name: str, text: str) -> None:
        if len(text) <= HEADER_KEPT:
            if len(self._harmless) >= _HARMLESS_KEPT:
                self._harmless.clear()
            self._harmless.add((name, text))


def _cookie_pair(pair: str) -> str:
    name, equals, value = pair.strip().partition("=")
    if not equals:
        return MASK if name else ""
    return f"{name}={MASK if value else ''}"


def _safe(value: Any, *, inside: bool = False) -> Any:
    """``value`` when writing it out runs no code of the site's, else the name of its type."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str) or kind in SAYS_ITSELF:
        return value
    if issubclass(kind, BaseException):
        first = value.args[0] if value.args else ""
        return f"{kind.__name__}: {first}" if type(first) is str else kind.__name__
    if kind in (list, tuple) and not inside:
        return [_safe(item, inside=True) for item in value[:20]]
    return f"<{kind_of(type(value))}>"
