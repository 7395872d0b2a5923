"""The JSON API: records, the chain and its switches, for scripts and tools. ``openapi.py`` describes it."""

from typing import Any
from urllib.parse import quote

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import RawPostDataException, UnreadablePostError

from pipeline_inspector.page import access, actions, chain, openapi, query
from pipeline_inspector.page.responses import Refused, as_json, by_method
from pipeline_inspector.page.source import base, reader
from pipeline_inspector.reader import Reader
from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.records import RequestRecord

BODY_MAX = 16 * 1024


def _list(request: HttpRequest) -> HttpResponseBase:
    asked = query.read(query.parameters(request), strict=True)
    source = reader()
    if asked.after is not None:
        rows, seq = source.after(asked.after, asked.limit, asked.wanted)
    else:
        seq = source.store.last_seq()
        rows = source.newest(asked.limit, asked.wanted)
        seq = max(seq, rows[-1].seq) if rows else seq
    return as_json({"requests": rows, "last_seq": seq})


def _clear(request: HttpRequest) -> HttpResponseBase:
    actions.clear(request, reader())
    return HttpResponse(status=204)


def record_of(source: Reader, record_id: str) -> RequestRecord:
    """The record with that id. Raises ``Refused``: 404 when it is not kept."""
    record = source.record(record_id) if len(record_id) <= 100 else None
    if record is None:
        raise Refused(
            404, "unknown_request", f"No request {record_id[:40]!r} is kept. It may have made room for newer."
        )
    return record


def _record(request: HttpRequest, record_id: str) -> HttpResponseBase:
    return as_json(record_of(reader(), record_id))


def _export(request: HttpRequest, record_id: str, name: str) -> HttpResponseBase:
    export = EXPORTS.get(name)
    if export is None:
        raise Refused(404, "unknown_format", f"No export format {name[:40]!r}. Known: {', '.join(EXPORTS)}.")
    record = record_of(reader(), record_id)
    response = HttpResponse(export.render(record), content_type=export.content_type)
    filename = f"request-{quote(record.id, safe='')[:64]}.{export.extension.lstrip('.')}"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _pipeline(request: HttpRequest) -> HttpResponseBase:
    return as_json(chain.pipeline(reader(), chain.browser_of(request)))


def _switch(request: HttpRequest, layer: str) -> HttpResponseBase:
    source = reader()
    access.check_may_act(request, source.store)
    wish = _body(request)
    browser = actions.switch(request, source, layer, enabled=wish.enabled, scope=wish.scope)
    return actions.remember(request, as_json(chain.pipeline(source, browser)), browser)


def _body(request: HttpRequest) -> openapi.LayerSwitch:
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "wrong_content_type", f"The body is {kind[:80]!r}; it must be application/json.")
    try:
        body = request.read(BODY_MAX + 1)
        if len(body) > BODY_MAX:
            raise Refused(413, "too_big", f"The body is longer than {BODY_MAX} bytes.")
        return msgspec.json.decode(body, type=openapi.LayerSwitch)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        rule = '{"enabled": true or false, "scope": "everyone" or "me"}'
        raise Refused(400, "bad_body", f"The body must be {rule}: {error}") from error
    except RequestDataTooBig as error:
        raise Refused(413, "too_big", str(error)) from error
    except (UnreadablePostError, RawPostDataException, OSError) as error:
        raise Refused(400, "unreadable_body", f"The body cannot be read: {error}") from error


def _openapi(request: HttpRequest) -> HttpResponseBase:
    return as_json(openapi.document(base(request) + "api"))


def unknown(request: HttpRequest, **rest: Any) -> HttpResponseBase:
    """Any other address under ``api/``."""
    raise Refused(404, "unknown_address", "The API has no such address. 'openapi.json' lists those it has.")


requests = by_method(GET=_list, DELETE=_clear)
record = by_method(GET=_record)
export = by_method(GET=_export)
pipeline = by_method(GET=_pipeline)
layer = by_method(PUT=_switch)
description = by_method(GET=_openapi)
