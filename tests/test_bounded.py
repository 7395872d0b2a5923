"""Requests with far too much of something: the record stays small, and says what was cut."""

import itertools
from collections.abc import Iterator

import msgspec
import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.test import Client, override_settings
from django.urls import path

from pipeline_inspector.records import RequestRecord
from pipeline_inspector.testing import record_pipeline

QUERIES, INCLUDES, HEADERS = 3000, 2000, 400
CHUNK, CHUNKS = b"x" * 65536, 800


def asked(_request: HttpRequest) -> HttpResponse:
    """3,000 queries."""
    with connection.cursor() as cursor:
        for number in range(QUERIES):
            cursor.execute("SELECT %s", [number])
    return HttpResponse("asked")


def included(_request: HttpRequest) -> HttpResponse:
    """2,000 includes."""
    row = engines["django"].from_string("<li>{{ number }}</li>").template  # type: ignore[attr-defined]
    page = engines["django"].from_string("{% for number in numbers %}{% include row %}{% endfor %}")
    return HttpResponse(page.render({"numbers": range(INCLUDES), "row": row}))


def headed(_request: HttpRequest) -> HttpResponse:
    """400 headers."""
    return HttpResponse("many", headers={f"X-{number}": "v" * 100 for number in range(HEADERS)})


def streamed(_request: HttpRequest) -> StreamingHttpResponse:
    """50 MB."""
    return StreamingHttpResponse(itertools.repeat(CHUNK, CHUNKS))


def plain(_request: HttpRequest) -> HttpResponse:
    """Nothing much."""
    return HttpResponse("plain")


urlpatterns = [
    path("asked/", asked),
    path("included/", included),
    path("headed/", headed),
    path("streamed/", streamed),
    path("plain/", plain),
]


@pytest.fixture(autouse=True)
def _site() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=__name__):
        yield


def _record(address: str, **settings: object) -> RequestRecord:
    with override_settings(**settings), record_pipeline() as records:
        response = Client().get(address)
        if response.streaming:
            for _ in response:  # type: ignore[attr-defined]
                pass
        return records[0]


def _size(record: RequestRecord) -> int:
    return len(msgspec.json.encode(record))


@pytest.mark.django_db
def test_of_three_thousand_queries_a_thousand_are_kept_and_the_rest_is_counted() -> None:
    record = _record("/asked/")
    assert len(record.queries) == 1000
    assert record.dropped.queries == QUERIES - 1000
    assert _size(record) < 1_500_000


def test_of_two_thousand_includes_a_thousand_are_kept_and_the_rest_is_counted() -> None:
    record = _record("/included/")
    assert len(record.templates) == 1000
    assert record.dropped.events >= INCLUDES - 1000
    assert _size(record) < 1_500_000


def test_four_hundred_headers_make_a_bounded_record() -> None:
    record = _record("/headed/")
    assert record.response is not None
    assert len(record.response.headers) == 150
    assert record.dropped.changes >= 100
    assert _size(record) < 150_000


def test_of_a_streamed_body_only_the_chunks_are_counted() -> None:
    record = _record("/streamed/")
    assert record.response is not None
    assert record.response.body_bytes == len(CHUNK) * CHUNKS
    assert record.response.chunks == CHUNKS
    assert _size(record) < 50_000


def test_forty_layers_are_all_told() -> None:
    layers = ["django.middleware.common.CommonMiddleware"] * 40
    record = _record("/plain/", MIDDLEWARE=layers)
    assert len(record.layers) == 40
    assert all(layer.outcome == "passed" for layer in record.layers)
    assert _size(record) < 100_000
