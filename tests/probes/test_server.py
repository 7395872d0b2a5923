"""Between server and handler: what the server hands in and gets back is what it was, and the moments are noted."""

import asyncio
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import set_script_prefix

from pipeline_inspector.clock import now
from pipeline_inspector.probes import layers
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.records import RequestRecord
from pipeline_inspector.testing import record_pipeline
from tests.scenarios.comparing import HERE, both_ways, urls
from tests.scenarios.driving import INTERFACES, only, site, through_asgi, through_wsgi, watched
from tests.scenarios.made import Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)


@both
@pytest.mark.parametrize("path", ["/", "/big/", "/broken/", "/missing/"])
def test_the_moments_from_socket_to_socket_come_in_order(interface: str, path: str) -> None:
    _, record = watched(interface, [order(Spec("T0", "mixin"))], path)
    names = [stage.name for stage in record.server.stages]
    start = "start_response" if interface == "wsgi" else "http.response.start"
    told = ["handler called", "set_script_prefix", "request_started", "request object made", "get_response"]
    told += ["response made", start, "first byte"]
    assert [name for name in names if name in told] == told
    assert names[-2:] == ["close", "request_finished"]
    moments = [stage.at_ns for stage in record.server.stages]
    assert moments == sorted(moments)


def test_a_tape_given_up_before_the_answer_starts_keeps_nothing_of_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(tape: Tape) -> None:
        recorder.running.pop(tape.number, None)
        recorder.clear(tape)

    def fail(*_: Any) -> None:
        raise RuntimeError("on purpose")

    with site([]), record_pipeline():
        handler = WSGIHandler()
        expected = through_wsgi(handler, "/").plain
        monkeypatch.setattr(recorder, "finish", give_up)
        monkeypatch.setattr(layers, "snapshot", fail)
        assert through_wsgi(handler, "/").plain == expected


def test_the_script_prefix_is_told_with_the_moment_it_was_set() -> None:
    with site([]), record_pipeline() as records:
        through_wsgi(WSGIHandler(), "/", SCRIPT_NAME="/shop")
        through_wsgi(WSGIHandler(), "/")
    told = [stage.value for record in records for stage in record.server.stages if stage.name == "set_script_prefix"]
    assert told == ["/shop/", "/"]


def test_the_script_prefix_under_asgi_is_that_of_its_own_request() -> None:
    async def all_at_once() -> None:
        handler = ASGIHandler()
        await asyncio.gather(*(asked(handler, number) for number in range(20)))

    async def asked(handler: ASGIHandler, number: int) -> None:
        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            await handler({**scope, "root_path": f"/mount{number}"}, receive, send)

        await through_asgi(mounted, f"/mount{number}/many/{number}/")

    with site([order(Spec("T0", "mixin"))]), record_pipeline() as records:
        asyncio.run(all_at_once())
    assert len(records) == 20
    for record in records:
        (prefix,) = [stage.value for stage in record.server.stages if stage.name == "set_script_prefix"]
        assert record.request.path.startswith(f"{prefix}many/")


def test_the_script_prefix_that_others_set_is_none_of_a_handlers() -> None:
    def view(request: Any) -> HttpResponse:
        set_script_prefix("/other/")
        return HttpResponse()

    with site([]), urls(view), record_pipeline() as records:
        try:
            through_wsgi(WSGIHandler(), "/failing/")
        finally:
            set_script_prefix("/")
    assert [stage.value for stage in only(records).server.stages if stage.value] == ["/"]


def _moment(record: RequestRecord, name: str) -> int | None:
    return next((stage.at_ns for stage in record.server.stages if stage.name == name), None)


def test_the_first_byte_under_wsgi_is_when_the_server_asks_for_the_body() -> None:
    started: list[int] = []
    with site([]), record_pipeline() as records:
        begin = now()
        environ = RequestFactory()._base_environ(PATH_INFO="/big/")
        response: Any = WSGIHandler()(environ, lambda *args: started.append(now()))
        asked = now()
        chunks = iter(response)
        got = now()
        assert type(chunks) is type(iter([]))
        assert len(b"".join(chunks)) == len(b"".join(response)) == 1_000_000
        response.close()
    record = only(records)
    first, start = _moment(record, "first byte"), _moment(record, "start_response")
    assert first is not None
    assert start is not None
    assert asked - started[0] <= first - start <= got - begin
    assert record.response is not None
    assert record.response.first_byte_ns == first
    assert record.response.last_byte_ns == _moment(record, "close")


def test_a_layer_that_reads_the_body_sends_no_byte() -> None:
    with site([HERE + "Reading"]), record_pipeline() as records:
        environ = RequestFactory()._base_environ(PATH_INFO="/")
        response: Any = WSGIHandler()(environ, lambda *args: None)
        response.close()
    assert _moment(only(records), "first byte") is None


@pytest.mark.parametrize("path", ["/redirect/", "/file/"])
def test_an_empty_body_has_no_first_byte_and_a_file_in_the_servers_hand_none_that_is_seen(path: str) -> None:
    _, record = watched("wsgi", [], path)
    assert _moment(record, "first byte") is None


def test_each_body_is_asked_for_in_its_own_record() -> None:
    def asking(request: Any) -> HttpResponse:
        return HttpResponse(through_wsgi(WSGIHandler(), "/template/").body)

    with site([]), urls(asking), record_pipeline() as records:
        through_wsgi(WSGIHandler(), "/failing/")
    for record in records:
        first, start = _moment(record, "first byte"), _moment(record, "start_response")
        assert start is not None
        assert first is not None
        assert start < first


def test_responses_of_other_kinds_keep_their_own_iterator() -> None:
    class Own(HttpResponse):
        def __iter__(self) -> Any:
            return iter([b"own"])

    with site([]), urls(lambda request: Own("text")), record_pipeline() as records:
        assert through_wsgi(WSGIHandler(), "/failing/").body == b"own"
    assert _moment(only(records), "first byte") is None


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


@pytest.mark.django_db  # its signals close old connections
def test_a_request_of_the_test_client_inside_a_view_leaves_the_moments_of_the_one_around_it() -> None:
    def asking(request: Any) -> HttpResponse:
        return HttpResponse(Client().get("/template/").content)

    with site([]), urls(asking), record_pipeline() as records:
        through_wsgi(WSGIHandler(), "/failing/")
    (around,) = (record for record in records if record.request.path == "/failing/")
    started = _moment(around, "request_started")
    assert started is not None
    assert started < 0  # before its own chain began
