"""The last gate before the store: no value that the request itself named as a secret stands bare in its record.

What is hidden by its name elsewhere (a cookie, a credential, a parameter called ``token``) may stand without the name in
another place: in the path, a log line, a cache key. Here the values are known, so they are hidden there too. It costs one
search per known value; only a record that holds one is written again. A form counts when the site has read it.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_plus

import msgspec

from pipeline_inspector import packed
from pipeline_inspector.recording.heads import LONGEST, Head, is_secret_cookie
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.secret_texts import MASK, as_text
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import Sealed, Summary

SHORTEST, SHORTEST_WORD = 6, 16
AT_MOST = 100


class Known(NamedTuple):
    """Values of secrets, longest first. ``plain`` are those among them that could as well be a word of the site's own:
    they are hidden where values stand, but not in paths and SQL."""

    secrets: tuple[str, ...] = ()
    plain: frozenset[str] = frozenset()


def known(tape: Tape, redactor: Redactor, head: Head) -> Known:
    """What ``tape``'s request, with the headers ``head``, and its answer hold under the name of a secret."""
    found: set[str] = set()
    plain: set[str] = set()
    for value in chain(head.secrets, _values(tape, redactor)):
        if SHORTEST <= len(value) <= LONGEST and value not in found:
            if len(value) < SHORTEST_WORD and value.replace("_", "a").isalpha():
                plain.add(value)
            found.add(value)
            if not value.isalnum():
                found.update((quote(value, safe="/~"), repr(value)[1:-1]))
            if len(found) >= AT_MOST:
                break
    found.update(_of_path(tape, redactor))
    return Known(tuple(sorted(found, key=len, reverse=True)), frozenset(plain))


def close(summary: Summary, content: packed.Packed, plan_id: str, of: Known) -> Sealed:
    """The record of ``summary`` and ``content`` without the secrets ``of`` it, and with no text that cannot be written."""
    try:
        payload = packed.encode(content)
        f"{summary.path}{summary.method}{summary.view}{summary.route}{summary.note}".encode()
        clean = not any(secret.encode("utf-8", "replace") in payload for secret in of.secrets)
    except UnicodeEncodeError:  # half a surrogate pair: a server or the site made text of bytes
        content = msgspec.convert(_writable(msgspec.to_builtins(content)), packed.Packed)
        summary = msgspec.convert(_writable(msgspec.to_builtins(summary)), Summary)
        clean = False
    if not clean:
        _hide(content, of)
        payload = packed.encode(content)
    return Sealed(row(summary, of), payload, plan_id)


def row(summary: Summary, of: Known) -> Summary:
    """``summary`` without the secrets ``of`` its request."""
    for secret in of.secrets:
        if secret not in of.plain:
            summary.path = summary.path.replace(secret, MASK)
            summary.query = summary.query.replace(secret, MASK)
    return summary


def _hide(content: packed.Packed, of: Known) -> None:
    """Hide in every place where values stand; names and files stay, whatever a secret may be called."""

    def value(text: Any) -> Any:
        if isinstance(text, str):
            for secret in of.secrets:
                if secret in text:
                    text = text.replace(secret, MASK)
        return text

    def statement(text: str) -> str:
        for secret in of.secrets:
            if secret not in of.plain:
                text = text.replace(secret, MASK)
        return text

    content.request_headers = [(name, value(text)) for name, text in content.request_headers]
    content.response_headers = [(name, value(text)) for name, text in content.response_headers]
    content.changes = [(*change[:5], value(change[5]), value(change[6])) for change in content.changes]
    content.cache_calls = [_with(call, 5, value) for call in content.cache_calls]
    content.logs = [_with(line, 5, value) for line in content.logs]
    content.queries = [
        _with(query, 4, lambda told: told and [value(text) for text in told]) for query in content.queries
    ]
    for number in {query[3] for query in content.queries}:
        content.texts[number] = statement(content.texts[number])
    for error in content.errors:
        error.message, error.chain = value(error.message), [value(text) for text in error.chain]
    if content.prefixed is not None:
        content.prefixed = content.prefixed[0], statement(content.prefixed[1])
    if content.route is not None:
        content.route.kwargs = {name: value(text) for name, text in content.route.kwargs.items()}


def _with(event: tuple[Any, ...], place: int, change: Callable[[Any], Any]) -> tuple[Any, ...]:
    return (*event[:place], change(event[place]), *event[place + 1 :])


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return as_text(value, len(value))
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    return [_writable(item) for item in value] if isinstance(value, list | tuple) else value


# -- where they stand -------------------------------------------------------------------------------------------------


def _values(tape: Tape, redactor: Redactor) -> Iterator[str]:
    query = tape.meta.get("QUERY_STRING")
    for pair in str(query)[:LONGEST].split("&") if query else ():
        name, _, value = pair.partition("=")
        if value and redactor.name_is_secret(unquote_plus(name)):
            yield value
            yield unquote_plus(value)
    if tape.response is not None and tape.response[2]:
        for name, value in tape.response[2].items():
            if is_secret_cookie(name, value, redactor):
                yield value
    yield from _of_form(tape.attributes or {}, redactor)


def _of_path(tape: Tape, redactor: Redactor) -> Iterator[str]:
    kwargs = tape.match.kwargs if tape.match is not None else None
    for name, value in (kwargs or {}).items():
        text = str(value) if type(value) in (str, int) else ""
        if len(text) >= SHORTEST and redactor.name_is_secret(name):
            yield from (text, quote(text, safe="/~"))


def _of_form(attributes: dict[str, Any], redactor: Redactor) -> Iterator[str]:
    """Of a form that the site has read: secrets by name, and what ``sensitive_post_parameters`` marks."""
    form, marked = attributes.get("_post"), attributes.get("sensitive_post_parameters", ())
    if not isinstance(form, dict) or not isinstance(marked, str | tuple | list):
        return
    for name, values in dict.items(form):
        if marked == "__ALL__" or name in marked or redactor.name_is_secret(name):
            yield from (value for value in values if type(value) is str)
