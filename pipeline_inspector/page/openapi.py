"""The API described as OpenAPI 3.1, made from the same structs and tables that answer it."""

from functools import cache
from typing import Any

import msgspec

from pipeline_inspector import __version__
from pipeline_inspector.page import chain, query
from pipeline_inspector.records import RequestRecord, Summary

_ERRORS = {
    400: "Something in the request cannot be used; the message says what and what would do.",
    403: "Not allowed: the client's address, the host asked for, the origin, or a missing token.",
    404: "Unknown.",
    409: "Several layers have this class name.",
    413: "The body is too big.",
    415: "The body is not application/json.",
    503: "The store does not answer now.",
}

_TOKENS: list[dict[str, list[str]]] = [{"inspectorToken": []}, {"csrfToken": [], "csrfCookie": []}]


class RequestList(msgspec.Struct):
    """Rows newest last, and the ``seq`` up to which was looked: ask again with ``after`` set to it and miss nothing."""

    requests: list[Summary]
    last_seq: int


class LayerSwitch(msgspec.Struct, forbid_unknown_fields=True):
    """Turn a layer on or off for the next requests: for everyone, or for the browser that sends its cookie."""

    enabled: bool
    scope: chain.Who = "everyone"


class Explanation(msgspec.Struct):
    """A short code for programs, a sentence for people."""

    code: str
    message: str


class Error(msgspec.Struct):
    """What every refusal says."""

    error: Explanation


def document(server: str) -> dict[str, Any]:
    """The description of the API that answers under ``server`` (an address without a slash at its end)."""
    return {**_document(), "servers": [{"url": server}]}


@cache
def _document() -> dict[str, Any]:
    structs = [RequestRecord, RequestList, chain.Pipeline, LayerSwitch, Error]
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pipeline Inspector",
            "version": __version__,
            "description": "Requests as they went through Django's pipeline, and the switches of its middleware.",
        },
        "paths": _paths(),
        "components": {"schemas": schemas, "securitySchemes": _security()},
    }


def _paths() -> dict[str, Any]:
    request_id = _in_path("id", "The id of a request.")
    layer_id = _in_path("layer", "A layer's id (`#` sent as `%23`), or its class name when only one has it.")
    return {
        "/requests/": {
            "get": _operation("listRequests", "Requests, newest last.", _json("RequestList"), parameters=_query()),
            "delete": _operation("clearRequests", "Forget all requests.", None, security=_TOKENS),
        },
        "/requests/{id}/": {
            "get": _operation("readRequest", "One whole record.", _json("RequestRecord"), 404, parameters=[request_id])
        },
        "/requests/{id}/export/{format}/": {
            "get": _operation(
                "exportRequest",
                "One record in another format, as a file.",
                {"content": {"*/*": {}}},
                404,
                parameters=[
                    request_id,
                    _in_path("format", "A format such as `chrome-trace`, `har`, `html` or `json`."),
                ],
            )
        },
        "/pipeline/": {"get": _operation("readPipeline", "The chain as it stands.", _json("Pipeline"))},
        "/layers/{layer}/": {
            "put": _operation(
                "switchLayer",
                "Turn a layer on or off for the next requests.",
                _json("Pipeline"),
                *(404, 409, 413, 415),
                parameters=[layer_id],
                security=_TOKENS,
                requestBody={"required": True, **_json("LayerSwitch")},
            )
        },
        "/openapi.json": {
            "get": _operation("describe", "This description.", {"content": {"application/json": {"schema": {}}}})
        },
    }


def _operation(name: str, says: str, answer: dict[str, Any] | None, *errors: int, **more: Any) -> dict[str, Any]:
    good = {"204": {"description": "Done."}} if answer is None else {"200": {"description": says, **answer}}
    bad = {
        str(status): {"description": _ERRORS[status], **_json("Error")} for status in sorted({400, 403, 503, *errors})
    }
    return {"operationId": name, "summary": says, **more, "responses": {**good, **bad}}


def _json(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def _in_path(name: str, means: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
    return {"name": name, "in": "path", "required": True, "description": means, "schema": schema}


def _query() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "description": parameter.means, "schema": parameter.schema}
        for name, parameter in query.PARAMETERS.items()
    ]


def _security() -> dict[str, Any]:
    return {
        "inspectorToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Inspector-Token",
            "description": "What `manage.py pipeline token` prints.",
        },
        "csrfToken": {"type": "apiKey", "in": "header", "name": "X-CSRFToken", "description": "Django's CSRF token."},
        "csrfCookie": {"type": "apiKey", "in": "cookie", "name": "csrftoken", "description": "And its cookie."},
    }
