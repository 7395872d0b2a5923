"""Records in tests: with every client, in any order, whatever the setting says, and nothing in the store."""

import gc
import urllib.request
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncClient, Client, RequestFactory, override_settings

from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.testing import Records, record_pipeline
from tests.scenarios import layers
from tests.scenarios.comparing import HERE, OFF
from tests.scenarios.driving import site, watched
from tests.scenarios.made import Spec, order
from tests.scenarios.reading import assert_adds_up, outcomes


def chain() -> list[str]:
    """Two layers."""
    return [order(Spec("T0", "mixin")), order(Spec("T1", "class"))]


def seen(records: Records) -> list[tuple[str, str, dict[str, str]]]:
    """Interface, path and outcomes of each."""
    return [(record.server.interface, record.request.path, outcomes(record)) for record in records]


PASSED = {"T0": "passed", "T1": "passed"}


def test_the_fixture_records_what_the_client_asks(pipeline: Records, client: Client) -> None:
    with site(chain()):
        assert client.get("/template/").content == b"rendered"
    assert seen(pipeline) == [("wsgi", "/template/", PASSED)]
    assert [template.name for template in pipeline[0].templates] == ["<string>"]
    assert_adds_up(pipeline[0])


def test_the_order_of_the_fixtures_does_not_matter(client: Client, pipeline: Records) -> None:
    with site(chain()):
        client.get("/")
    assert seen(pipeline) == [("wsgi", "/", PASSED)]


async def test_the_fixture_records_what_the_async_client_asks(pipeline: Records, async_client: AsyncClient) -> None:
    with site(chain()):
        assert (await async_client.get("/async/")).content == b"hello"
        assert (await async_client.get("/template/")).content == b"rendered"
    assert seen(pipeline) == [("asgi", "/async/", PASSED), ("asgi", "/template/", PASSED)]
    for record in pipeline:
        assert_adds_up(record)


@pytest.mark.django_db(transaction=True)
def test_the_fixture_records_what_a_live_server_serves(pipeline: Records, live_server: Any) -> None:
    with site([]), urllib.request.urlopen(f"{live_server.url}/") as answer:
        assert answer.read() == b"hello"
        pipeline.wait(1)
    assert [layer.path for layer in pipeline[0].layers] == list(settings.MIDDLEWARE)
    assert set(outcomes(pipeline[0]).values()) == {"passed"}
    assert pipeline[0].response is not None
    assert pipeline[0].response.body_bytes == 5


def test_a_client_that_was_used_before_is_recorded_too() -> None:
    client = Client()
    with site(chain(), PIPELINE_INSPECTOR={"ENABLED": False}):
        client.get("/")
        with record_pipeline() as records:
            client.get("/class/")
        client.get("/")
    assert seen(records) == [("wsgi", "/class/", PASSED)]


def test_a_handler_that_nobody_has_any_more_does_not_load_its_layers_again() -> None:
    made: list[int] = []

    class Counted:
        def __init__(self, get_response: Any) -> None:
            made.append(1)
            self.get_response = get_response

        def __call__(self, request: Any) -> Any:
            return self.get_response(request)

    layers.Counted = Counted  # type: ignore[attr-defined]
    gc.disable()  # it hangs on a circle, and stays until Python looks for such
    try:
        with site([HERE + "Counted"], **OFF):
            WSGIHandler()
            assert made == [1]
            with record_pipeline():
                assert made == [1]
    finally:
        gc.enable()


def test_nothing_recorded_for_a_test_reaches_the_store() -> None:
    store = MemoryStore(lambda: 100)
    with configured.use(store), site(chain()), record_pipeline() as records:
        Client().get("/")
    assert len(records) == 1
    assert store.last_seq() == 0


def test_blocks_inside_each_other_take_their_own() -> None:
    with site(chain()), record_pipeline() as outer:
        Client().get("/")
        with record_pipeline() as inner:
            Client().get("/class/")
        Client().get("/redirect/")
    assert [record.request.path for record in inner] == ["/class/"]
    assert [record.request.path for record in outer] == ["/", "/redirect/"]


def test_records_behave_as_a_sequence() -> None:
    with site(chain()), record_pipeline() as records:
        assert list(records) == []
        for path in ("/", "/class/", "/redirect/"):
            Client().get(path)
        assert len(records) == 3
        assert [record.seq for record in records[1:]] == [2, 3]
        assert records[-1].request.path == "/redirect/"
        assert repr(records) == "<3 records: GET /, GET /class/, GET /redirect/>"


def test_waiting_for_what_does_not_come_says_what_came() -> None:
    with site(chain()), record_pipeline() as records:
        Client().get("/")
        with pytest.raises(TimeoutError, match=r"1 of 2 records after 0.01 s: <1 records: GET />"):
            records.wait(2, seconds=0.01)


def test_a_response_that_is_never_closed_is_recorded_at_the_end_of_the_block() -> None:
    with site(chain()), record_pipeline() as records:
        WSGIHandler().get_response(RequestFactory().get("/"))
        assert len(records) == 0
    assert seen(records) == [("wsgi", "/", PASSED)]
    assert records[0].response is not None
    assert not records[0].response.closed


def test_with_debug_off_and_the_inspector_off_a_test_still_gets_its_records() -> None:
    with override_settings(DEBUG=False, PIPELINE_INSPECTOR={}):
        _, record = watched("wsgi", chain())
    assert outcomes(record) == PASSED


def test_the_switches_of_the_store_hold_in_tests_too() -> None:
    layers = chain()
    _, record = watched("wsgi", layers, off=layers[:1])
    assert outcomes(record) == {"T0": "off", "T1": "passed"}
    assert record.toggles == layers[:1]
