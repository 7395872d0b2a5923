"""Secrets inside running text: after ``name=`` and ``name:``, in addresses, as tokens of known shape, as card numbers.

Pure functions of text; each regular expression runs in linear time, and callers bound what they hand in.
"""

import re
from collections.abc import Callable

MASK = "•••"

_PAIR = re.compile(
    r"""(?<![\w.-])(?:([A-Za-z][\w.-]*+)[ ])?([\w.\-\[\]]++)(["'`\]\\]{0,3}\s{0,8}(?:=>|:=|==?|:)\s{0,8})"""
)
_VALUE = re.compile(
    r"""[a-z]{0,2}\\?"(?:[^"\\]|\\.)*+(?:"(?=[\s,;&}\])]|$)|"[^\s&]*|\\?$)
      | [a-z]{0,2}\\?'(?:[^'\\]|\\.)*+(?:'(?=[\s,;&}\])]|$)|'[^\s&]*|\\?$)
      | \[[^\]]*+[^\s&]* | \([^)]*+[^\s&]* | \{[^}]*+[^\s&]*
      | [^\s&]+""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_WHOLE_LINE = re.compile(r"[^\r\n]+")
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/?#\"'<>]*@", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer)(\s+)\S+", re.IGNORECASE)
_SCHEMES = ("basic", "token", "digest", "jwt", "negotiate")
_SCHEME = re.compile(rf"\b({'|'.join(_SCHEMES)})(\s+)(?=\S*[\d=+/._-])[\w.+/=~-]{{8,}}", re.IGNORECASE)
_GITHUB = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")
_SLACK = ("xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-")
_PREFIXES = (*_GITHUB, *_SLACK, "sk_live_", "sk_test_", "sk-", "glpat-", "AKIA", "AIza")
_SHAPES = (*_PREFIXES, "eyJ", "PRIVATE KEY")
_SHAPE = re.compile(
    r"\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"
    rf"|\b(?:{'|'.join(_PREFIXES)})[\w-]{{10,}}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)
_SESSION_KEY = re.compile(r"(django\.contrib\.sessions\.(?:cache|cached_db))\w+")
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_DIGITS = re.compile(rf"({_UUID})|\d(?:[ -]?\d){{12,}}", re.IGNORECASE)
_SHORTEST_CARD, _LONGEST_CARD, _MOST_GROUPS = 13, 19, 6
_MARGIN = 128
_EDGE = re.compile(r"(?:[\d -]{1,40}|[\w.+/=~-]{1,64})\Z")


def without_secrets(text: str, is_secret: Callable[[str], bool]) -> str:
    """``text`` with all of them hidden; ``is_secret`` decides about the names before ``=`` and ``:``."""
    text = _without_userinfo(text)
    if "=" in text or ":" in text:
        text = _without_pairs(text, is_secret)
    return without_shapes(text)


def _without_userinfo(text: str) -> str:
    return _USERINFO.sub(rf"\1{MASK}@", text) if "://" in text and "@" in text else text


def without_shapes(text: str) -> str:
    """``text`` without what looks like a secret by itself, whatever it is called."""
    text = _without_userinfo(text)
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.sub(rf"\1\2{MASK}", text)
    if any(scheme in lower for scheme in _SCHEMES):
        text = _SCHEME.sub(rf"\1\2{MASK}", text)
    if any(shape in text for shape in _SHAPES):
        text = _SHAPE.sub(MASK, text)
    if "django.contrib.sessions." in text:
        text = _SESSION_KEY.sub(rf"\1{MASK}", text)
    return _DIGITS.sub(_without_cards, text) if len(text) >= _SHORTEST_CARD else text


def _without_pairs(text: str, is_secret: Callable[[str], bool]) -> str:
    """After a secret's name a quoted or bracketed value goes, or all up to the next space; of credentials the line."""
    told: list[str] = []
    done = position = 0
    while (pair := _PAIR.search(text, position)) is not None:
        position = pair.end()
        before, name = pair[1], pair[2]
        if is_secret(name) or (before and is_secret(f"{before} {name}")):
            lower = name.lower()
            rest = _WHOLE_LINE if "authorization" in lower or "cookie" in lower else _VALUE
            value = rest.match(text, position)
            if value is not None:
                told += (text[done:position], MASK)
                done = position = value.end()
    told.append(text[done:])
    return "".join(told)


def _without_cards(run: re.Match[str]) -> str:
    """A run of digits in groups, with the neighbouring groups that make up a card number hidden. A UUID is none."""
    if run[1]:
        return run[0]
    parts = re.split(r"([ -])", run[0])
    groups = parts[::2]
    first = 0
    while first < len(groups):
        last = _end_of_card(groups, first)
        if last is not None:
            parts[2 * first : 2 * last + 1] = [MASK] + [""] * (2 * (last - first))
            first = last
        first += 1
    return "".join(parts)


def _end_of_card(groups: list[str], first: int) -> int | None:
    digits = ""
    for last in range(first, min(first + _MOST_GROUPS, len(groups))):
        digits += groups[last]
        if len(digits) > _LONGEST_CARD:
            break
        if len(digits) >= _SHORTEST_CARD and _checks(digits):
            return last
    return None


def _checks(digits: str) -> bool:
    """The check sum that card numbers carry."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def as_text(value: object, limit: int) -> str:
    """Text that can be encoded as UTF-8, of anything, without running code of the value's own; ``limit`` characters."""
    kind = type(value)
    if kind is str:
        text = str(value)[:limit]
    elif issubclass(kind, str):
        text = str.__str__(value)[:limit]
    elif kind in (bytes, bytearray):
        return bytes(value[:limit]).decode("utf-8", "replace")  # type: ignore[index]
    else:
        text = f"<{kind.__name__}>"[:limit]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text: str, limit: int) -> str:
    """``text`` shortened before it is searched, to a little more than the ``limit`` characters that may be kept of it.

    What could be half of a secret at the cut's edge goes, so that none of it stays.
    """
    return text if len(text) <= limit + _MARGIN else _EDGE.sub("", text[: limit + _MARGIN]) + "…"


def bounded(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
