"""The OpenAPI description is exact: a tester that knows nothing else finds no answer that it does not foretell."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIRequest
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case

from pipeline_inspector.page import openapi, views
from tests import samples
from tests.page.conftest import PREFIX, Client, Kept

EXAMPLES = 25


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Our pages as a WSGI application, the way the outermost middleware hands requests to them."""
    environ = {**environ, "HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"}
    response = views.answer(WSGIRequest(environ))
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return list(response)


schema = schemathesis.openapi.from_dict(openapi.document(PREFIX + "api"))
schema.app = application


@pytest.fixture
def filled(kept: Kept) -> Kept:
    """A store with one request of every kind."""
    for kind in samples.KINDS:
        kept.add(kind)
    return kept


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_every_answer_is_as_described(case: Case, filled: Kept) -> None:
    case.call_and_validate(headers={"X-Inspector-Token": filled.store.token()})


def test_the_description_is_served_and_names_every_call(client: Client, kept: Kept) -> None:
    told = client.json("openapi.json")
    assert told["openapi"].startswith("3.1")
    assert told["servers"] == [{"url": "/__inspector__/api"}]
    calls = {f"{method.upper()} {path}" for path, methods in told["paths"].items() for method in methods}
    assert calls == {
        "GET /requests/",
        "DELETE /requests/",
        "GET /requests/{id}/",
        "GET /requests/{id}/export/{format}/",
        "GET /pipeline/",
        "PUT /layers/{layer}/",
        "GET /openapi.json",
    }


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_kind_of_record_fits_the_description(client: Client, kept: Kept, kind: str) -> None:
    import jsonschema_rs

    document = client.json("openapi.json")
    record = json.loads(client.get(f"api/requests/{kept.add(kind).id}/").content)
    rows = client.json("requests/")
    for name, value in [("RequestRecord", record), ("RequestList", rows), ("Pipeline", client.json("pipeline/"))]:
        described = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema_rs.validator_for(described).validate(value)
