"""Between server and handler: what the server hands in and gets back is what it was, and the moments are noted."""

import asyncio
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from pipeline_inspector.testing import record_pipeline
from tests.scenarios.comparing import both_ways
from tests.scenarios.driving import INTERFACES, only, site, through_wsgi, watched
from tests.scenarios.made import Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)


@both
@pytest.mark.parametrize("path", ["/", "/big/", "/broken/", "/missing/"])
def test_the_moments_from_socket_to_socket_come_in_order(interface: str, path: str) -> None:
    _, record = watched(interface, [order(Spec("T0", "mixin"))], path)
    names = [stage.name for stage in record.server.stages]
    start = "start_response" if interface == "wsgi" else "http.response.start"
    told = ["handler called", "request_started", "request object made", "get_response", "response made", start]
    assert [name for name in names if name in told] == told
    assert names[-2:] == ["close", "request_finished"]
    moments = [stage.at_ns for stage in record.server.stages]
    assert moments == sorted(moments)


@both
def test_who_asked_and_how_is_told(interface: str) -> None:
    _, record = watched(interface, [], "/big/?q=1", method="POST", body=b"12345")
    assert (record.server.interface, record.request.method, record.request.path) == (interface, "POST", "/big/")
    assert record.request.query == "q=1"
    assert record.request.client == "127.0.0.1"
    assert record.request.scheme == "http"
    assert record.response is not None
    assert record.response.body_bytes == 1_000_000


def test_the_server_gets_back_what_its_start_response_gave() -> None:
    def called() -> list[Any]:
        calls: list[Any] = []

        def start_response(status: str, headers: list[Any], exc_info: Any = None) -> str:
            calls.append((status, headers, exc_info))
            return "the write of the server"

        with site([]):
            response = WSGIHandler()(RequestFactory()._base_environ(PATH_INFO="/"), start_response)
            calls.append((type(response).__name__, list(response)))
            response.close()
        return calls

    without, with_us = both_ways(called)
    assert with_us == without


def test_sockets_and_lifespans_of_others_fail_as_in_django_alone() -> None:
    async def asked(kind: str) -> str:
        async def receive() -> dict[str, str]:
            return {"type": f"{kind}.connect"}

        async def send(message: Any) -> None:
            raise AssertionError(message)

        with site([]):
            handler = ASGIHandler()
            with pytest.raises(ValueError, match="Django can only handle ASGI/HTTP connections") as raised:
                await handler({"type": kind, "path": "/chat/", "headers": []}, receive, send)
        return str(raised.value)

    for kind in ("websocket", "lifespan"):
        without, with_us = both_ways(lambda kind=kind: asyncio.run(asked(kind)))
        assert with_us == without


def test_a_handler_that_asks_another_handler_keeps_both_records_apart() -> None:
    def inside(environ: dict[str, Any]) -> Any:
        through_wsgi(WSGIHandler(), "/class/")
        return WSGIHandler()(environ, lambda *args: None)

    with site([order(Spec("T0"))]), record_pipeline() as records:
        response = inside(RequestFactory()._base_environ(PATH_INFO="/redirect/"))
        response.close()
    assert [record.request.path for record in records] == ["/class/", "/redirect/"]
    assert [record.response and record.response.status for record in records] == [200, 302]


def test_a_request_that_a_view_makes_has_a_record_of_its_own() -> None:
    from django.http import HttpResponse

    from tests.scenarios.comparing import urls

    def asking(request: Any) -> HttpResponse:
        return HttpResponse(through_wsgi(WSGIHandler(), "/template/").body)

    with site([order(Spec("T0"))]), urls(asking), record_pipeline() as records:
        assert through_wsgi(WSGIHandler(), "/failing/").body == b"rendered"
    assert [record.request.path for record in records] == ["/template/", "/failing/"]
    assert [len(record.templates) for record in records] == [1, 0]


def test_an_ignored_path_is_not_recorded_and_works() -> None:
    with (
        site([order(Spec("T0"))], PIPELINE_INSPECTOR={"ENABLED": True, "IGNORE": ["/class/"]}),
        record_pipeline() as records,
    ):
        assert through_wsgi(WSGIHandler(), "/class/").body == b"hello"
        assert through_wsgi(WSGIHandler(), "/").body == b"hello"
    assert only(records).request.path == "/"
