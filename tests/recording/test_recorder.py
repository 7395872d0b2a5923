"""The recorder: what is finished is kept once, and nothing of a request outlives its record."""

import asyncio
import copy
import gc
import logging
import pickle
import weakref
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory

from pipeline_inspector import wiring
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.outlets import Outlets
from pipeline_inspector.records import Plan, Process, Sealed, Summary
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import layers
from tests.scenarios.comparing import HERE, HOOKS, OFF, urls
from tests.scenarios.driving import INTERFACES, ask, site, through_asgi, through_wsgi, watched
from tests.scenarios.made import Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)


def _ask(handler: Any, interface: str, path: str) -> None:
    if interface == "wsgi":
        through_wsgi(handler, path)
    else:
        asyncio.run(through_asgi(handler, path))


@both
@pytest.mark.parametrize("path", ["/", "/template/", "/stream/", "/class/", "/redirect/", "/big/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_request_is_let_go_as_soon_as_in_django_alone(interface: str, path: str) -> None:
    layers.Weakly.kept.clear()
    with site([HERE + "Weakly", order(Spec("T1", "mixin", hooks=HOOKS))]), record_pipeline() as records:
        handler = WSGIHandler() if interface == "wsgi" else ASGIHandler()
        gc.collect()
        gc.disable()
        try:
            _ask(handler, interface, path)
            assert len(records) == 1
            alive = _alive()
        finally:
            gc.enable()
    layers.Weakly.kept.clear()
    with site([HERE + "Weakly", order(Spec("T1", "mixin", hooks=HOOKS))], **OFF):
        handler = WSGIHandler() if interface == "wsgi" else ASGIHandler()
        gc.collect()
        gc.disable()
        try:
            _ask(handler, interface, path)
            assert alive == _alive()
        finally:
            gc.enable()


def _alive() -> list[str]:
    """What Python has not let go by itself, without its collector."""
    assert len(layers.Weakly.kept) == 2
    return [type(kept()).__name__ for kept in layers.Weakly.kept if kept() is not None]


@both
def test_nothing_of_a_failed_request_is_kept(interface: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        logging.getLogger("django.request"), "disabled", True
    )  # pytest keeps log records, and what they hold
    layers.Weakly.kept.clear()
    with site([HERE + "Weakly"]), record_pipeline() as records:
        ask(interface, "/broken/")
        assert len(records) == 1
        gc.collect()
        assert [kept() for kept in layers.Weakly.kept if kept() is not None] == []


def test_the_recorder_keeps_nothing_either() -> None:
    layers.Weakly.kept.clear()
    with site([HERE + "Weakly"], PIPELINE_INSPECTOR={**settings.PIPELINE_INSPECTOR, "ENABLED": True}):
        ask("wsgi")
        assert recorder.flush()
        gc.collect()
        assert [kept() for kept in layers.Weakly.kept if kept() is not None] == []


def test_a_request_can_be_copied_and_pickled_on_its_way() -> None:
    made: list[Any] = []

    def view(request: Any) -> Any:
        request.environ = request.META = {name: value for name, value in request.META.items() if isinstance(value, str)}
        request.resolver_match = None  # Django's own refuses
        again = pickle.loads(pickle.dumps(request))
        made.extend((copy.copy(request), copy.deepcopy(again), again))
        return HttpResponse()

    with urls(view):
        answer, record = watched("wsgi", [order(Spec("T0", "mixin"))], "/failing/")
    assert answer.status == 200
    assert record.state == "finished"
    assert [one.path for one in made] == ["/failing/"] * 3


def test_a_chain_is_let_go_with_its_handler() -> None:
    with site([order(Spec("T0", "mixin", hooks=HOOKS))]), record_pipeline() as records:
        handler = WSGIHandler()
        through_wsgi(handler, "/")
        assert len(records) == 1
        gone = weakref.ref(handler)
        del handler
        gc.collect()
        assert gone() is None


def test_the_chain_of_a_running_first_request_is_kept_before_its_row() -> None:
    kept: list[str] = []

    class Store(MemoryStore):
        def put_plan(self, plan: Plan) -> None:
            kept.append(plan.id)

        def put_running(self, process: str, rows: list[Summary]) -> None:
            kept.extend(f"row of {row.plan_id}" for row in rows)

    store = Store(lambda: 10)
    outlets = Outlets(wiring.sealer, lambda: store, lambda seq: None, wiring.process)
    keeper = recorder.Keeper()

    def view(request: Any) -> Any:
        for _ in range(2):
            keeper._show_running(outlets, watched=True)
        return HttpResponse()

    with urls(view):
        watched("wsgi", [order(Spec("T0", "mixin"))], "/failing/")
    (plan, *rows) = kept
    assert rows == [f"row of {plan}"] * 2


def test_a_response_that_no_server_closes_is_recorded_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(lambda: 10)
    outlets = Outlets(wiring.sealer, lambda: store, lambda seq: None, wiring.process)
    with site([order(Spec("T0", "mixin"))]), record_pipeline() as records:
        WSGIHandler()(RequestFactory()._base_environ(PATH_INFO="/"), lambda *_: None)
        recorder.Keeper()._housekeep(outlets)
        assert len(records) == 0
        monkeypatch.setattr(recorder, "NOT_CLOSED_AFTER", 0.0)
        recorder.Keeper()._housekeep(outlets)
        assert len(records) == 1
        assert records[0].response is not None
        assert records[0].response.status == 200


def test_what_is_known_of_the_process_is_kept_before_the_records_that_it_made() -> None:
    kept: list[str] = []

    class Store(MemoryStore):
        def put_process(self, process: Process) -> None:
            kept.append(process.id)

        def append(self, batch: list[Sealed]) -> int:
            kept.extend("record" for _ in batch)
            return 1

    before = msgspec.structs.replace(wiring.process(), id="before")
    told = [before, before, msgspec.structs.replace(before, id="after its first request")]
    outlets = Outlets(wiring.sealer, lambda: Store(lambda: 10), lambda seq: None, lambda: told.pop(0))
    keeper = recorder.Keeper()
    with site([]), recorder.diverted() as tapes:
        for _ in range(3):
            through_wsgi(WSGIHandler(), "/")
            keeper._sealed = [wiring.sealer().seal(tapes.pop())]
            keeper._keep(outlets)
    assert kept == ["before", "record", "record", "after its first request", "record"]
