"""The last gate before the store: no value that the request itself named as a secret stands bare in its record.

What is hidden by its name elsewhere (a cookie, a credential, a parameter called ``token``) may stand without the name in
another place: in the path, a log line, a cache key. Here the values are known, so they are hidden there too. It costs one
search per known value; only a record that holds one is written again. A form counts when the site has read it.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote_plus

import msgspec

from pipeline_inspector import packed
from pipeline_inspector.packed import Part
from pipeline_inspector.recording.heads import LONGEST, SHORTEST, Head, Secrets, is_secret_cookie, secrets
from pipeline_inspector.recording.pieces import writable
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.secret_texts import MASK
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import Sealed, Summary


def known(tape: Tape, redactor: Redactor, head: Head) -> Secrets:
    """What ``tape``'s request, with the headers ``head``, and its answer hold under the name of a secret."""
    match, answer, attributes = tape.match, tape.response, tape.attributes
    kwargs = match.kwargs if match is not None else None
    if not (
        kwargs
        or tape.meta.get("QUERY_STRING")
        or (answer is not None and answer[2])
        or (attributes is not None and "_post" in attributes)
    ):
        return head.secrets
    values, of_path = [*_values(tape, redactor)], [*_of_path(kwargs or {}, redactor)]
    return secrets([*head.found, *values], of_path) if values or of_path else head.secrets


def close(summary: Summary, parts: tuple[Part, ...], plan_id: str, of: Secrets) -> Sealed:
    """The record of ``summary`` and a ``Packed`` whose fields stand in ``parts``, without the secrets ``of`` it, and with no
    text that cannot be written."""
    try:
        payload = packed.joined(parts)
        if not (summary.path.isascii() and summary.method.isascii()):
            f"{summary.path}{summary.method}".encode()
    except UnicodeEncodeError:
        parts = tuple(part if type(part) is bytes else tuple(writable(part)) for part in parts)
        payload = _without(packed.joined(parts), of)
        summary = msgspec.convert(writable(msgspec.to_builtins(summary)), Summary)
    if of.values:
        for secret in of.written:
            if secret in payload:
                payload = _without(payload, of)
                break
        summary = row(summary, of)
    return Sealed(summary, payload, plan_id)


def row(summary: Summary, of: Secrets) -> Summary:
    """``summary`` without the secrets ``of`` its request."""
    for secret in of.values:
        if secret not in of.plain:
            summary.path = summary.path.replace(secret, MASK)
            summary.query = summary.query.replace(secret, MASK)
    return summary


def _without(payload: bytes, of: Secrets) -> bytes:
    content = packed.decode(payload)
    _hide(content, of)
    return packed.encode(content)


def _hide(content: packed.Packed, of: Secrets) -> None:
    """Hide in every place where values stand; names and files stay, whatever a secret may be called."""

    def value(text: Any) -> Any:
        if isinstance(text, str):
            for secret in of.values:
                if secret in text:
                    text = text.replace(secret, MASK)
        return text

    def statement(text: str) -> str:
        for secret in of.values:
            if secret not in of.plain:
                text = text.replace(secret, MASK)
        return text

    content.request.headers = [(name, value(text)) for name, text in content.request.headers]
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
    content.prefix = statement(content.prefix)
    if content.route is not None:
        content.route.kwargs = {name: value(text) for name, text in content.route.kwargs.items()}


def _with(event: tuple[Any, ...], place: int, change: Callable[[Any], Any]) -> tuple[Any, ...]:
    return (*event[:place], change(event[place]), *event[place + 1 :])


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


def _of_path(kwargs: dict[str, Any], redactor: Redactor) -> Iterator[str]:
    for name, value in kwargs.items():
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
