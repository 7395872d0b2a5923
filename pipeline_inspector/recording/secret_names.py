"""Which names belong to secrets: built-in patterns, the site's own exception filter, and the patterns of ``REDACT``."""

import re
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from django.views.debug import SafeExceptionReporterFilter

_KNOWN_LIMIT = 5000
_PROBE = "a value of no meaning"

# A word stands alone when no letter touches it: "key" in "api_key" and "keys[]", not in "monkey" or "keyword".
_ALONE = r"(?<![a-z])(?:{})(?![a-z])"

_ANYWHERE = r"""
    passw | passwd | passphrase | passcode | pwd | secret | credential | csrf | xsrf | bearer | signature
    | token (?!i[sz])
    | author[iy][sz]ation | authenticat | oauth
    | cookie | session[-_ .]?(?:id|key|data|token|hash)
    | (?:api|access|private|secret|ssh|signing|encryption|license|licence|master|shared)[-_ .]?keys?
    | (?:credit|debit|bank)[-_ .]?card | card[-_ .]?(?:num|no\b|code|holder|cv) | \bcvv | \bcvc
    | \biban | (?<![a-z])ssn(?![a-z]) | social[-_ .]?security
    | (?<![a-z])[jt]?otp(?![a-z]) | (?<![a-z])jwt(?![a-z])
"""
_WORDS = "auth|key|keys|pass|card|cards|sid|sessions?|pin|sig|cvv2?|cvc2?|iban|pan|nonce"

_PARTS = re.compile(_ANYWHERE, re.IGNORECASE | re.VERBOSE)
"""Of names of headers, parameters, attributes, of what stands before ``=`` or ``:`` in a text, and of columns inside SQL."""

_SHORT = re.compile(_ALONE.format(_WORDS), re.IGNORECASE)
"""Of all those but columns: inside SQL they are parts of too many harmless names."""

_SESSIONS = "django_session"


class SecretNames:
    """Decides by name. Decisions are kept, so a name costs one look-up from the second time on."""

    def __init__(self, patterns: Iterable[str] = (), also: Iterable[str] = ()) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._also = frozenset(name.lower() for name in also)
        self._filter = _sites_filter()
        self._names: dict[str, bool] = {}
        self._headers: dict[str, bool] = {}
        self._sql: dict[str, bool] = {}

    def name(self, name: str) -> bool:
        """Does ``name`` belong to a secret?"""
        known = self._names.get(name)
        if known is None:
            known = (
                _PARTS.search(name) is not None
                or _SHORT.search(name) is not None
                or name.lower() in self._also
                or self._own(name)
                or (type(self._filter) is not SafeExceptionReporterFilter and self._filtered(name))
            )
            _keep(self._names, name, known)
        return known

    def header(self, name: str) -> bool:
        """Does the header ``name`` hold a secret? Asks Django's filter too, as the debug page does of ``META``."""
        known = self._headers.get(name)
        if known is None:
            known = self.name(name) or self._filtered(f"HTTP_{name.upper().replace('-', '_')}")
            _keep(self._headers, name, known)
        return known

    def sql(self, sql: str) -> bool:
        """Does the statement name a secret column or table where a value could belong to it?

        A list of columns to select, without a placeholder in it, does not count: else reading any user would hide by
        which id.
        """
        known = self._sql.get(sql)
        if known is None:
            text = sql
            if sql[:7].upper() == "SELECT ":
                columns, found, rest = sql.partition(" FROM ")
                if found and not any(mark in columns for mark in ("%", "?", ":", "'", "$")):
                    text = rest
            known = _PARTS.search(text) is not None or _SESSIONS in text.lower() or self._own(text)
            _keep(self._sql, sql, known)
        return known

    def _own(self, name: str) -> bool:
        return any(pattern.search(name) is not None for pattern in self._patterns)

    def _filtered(self, name: str) -> bool:
        try:
            return bool(self._filter.cleanse_setting(name, _PROBE) != _PROBE)
        except Exception:
            return True  # a filter that fails has not said that it may be shown


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error:
        return re.compile(re.escape(pattern), re.IGNORECASE)


def _sites_filter() -> Any:
    # Django's own getter keeps the first filter it made: asking it here could change which one the site gets later.
    try:
        return import_string(settings.DEFAULT_EXCEPTION_REPORTER_FILTER)()
    except Exception:  # DEFAULT_EXCEPTION_REPORTER_FILTER names nothing that can be made
        return SafeExceptionReporterFilter()


def _keep(known: dict[str, bool], name: str, secret: bool) -> None:
    if len(name) <= 20_000:
        if len(known) >= _KNOWN_LIMIT:
            known.clear()
        known[name] = secret
