"""The compiled steps around a sync chain: from its second request on they do what the Python half does."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import msgspec
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.http import HttpResponse
from django.test import RequestFactory

from pipeline_inspector import compiled, faults, middleware
from pipeline_inspector.control import toggles
from pipeline_inspector.recording import chain, recorder
from pipeline_inspector.recording.attributes import sieves
from pipeline_inspector.recording.tape import tape_in_hand
from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey, layers
from tests.scenarios.comparing import HERE, urls
from tests.scenarios.driving import Answer, site, through_wsgi

half: Any = compiled.half

PATHS = [
    *(
        "/",
        "/class/",
        "/redirect/",
        "/missing/",
        "/forbidden/",
        "/broken/",
        "/nothing/",
        "/template/",
        "/no/such/page/",
    ),
    *("/broken-render/", "/stream/", "/unread/", "/in-pieces/", "/file/", "/big/", "/many/3/", "/async/"),
]


class Met:
    """Handlers whose chain has met a request before, made by the half that is to be tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def handler(self, by: Any = half, learn_again: int = 1_000_000) -> Any:
        """A handler, its outermost middleware made by the half ``by``, that learns of one request in ``learn_again``."""
        with self.monkeypatch.context() as patched:
            patched.setattr(middleware, "compiled", type("Compiled", (), {"half": by}))
            patched.setattr(middleware, "LEARN_AGAIN", learn_again)
            patched.setattr(chain, "LEARNING", 0)
            handler = WSGIHandler()
        through_wsgi(handler, "/")
        journey.steps.clear()
        return handler


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> Iterator[Met]:
    """The same, with the scenarios' site behind three layers, while requests are recorded."""
    with configured.use(MemoryStore(lambda: 100)), site([HERE + "Both"] * 3), record_pipeline():
        recorder.flush()
        faults.forget()
        yield Met(monkeypatch)
        faults.forget()


def told() -> list[str]:
    """What failed of ours."""
    return [f"{fault.where}: {fault.message}" for fault in faults.seen()]


def end_of_recorder_thread() -> None:
    """The recorder thread comes to its end; who finishes a request next and finds it asleep starts another."""
    thread, recorder._thread = recorder._thread, None
    if thread is not None:
        recorder._wake.set()
        thread.join(10)
        assert not thread.is_alive()
    recorder.asleep = True


def answer_and_record(handler: Any, path: str) -> tuple[Answer | str, Any]:
    """What a request of ``path`` gives, or raises, and its record without what differs from request to request."""
    with record_pipeline() as records:
        try:
            answer: Answer | str = through_wsgi(handler, path)
        except Exception as error:
            answer = repr(error)
    (record,) = records
    return answer, lasting(msgspec.to_builtins(record))


def lasting(value: Any) -> Any:
    """``value`` without times, numbers of requests and names of threads."""
    if isinstance(value, dict):
        return {
            name: lasting(one)
            for name, one in value.items()
            if not name.endswith("_ns") and name not in ("id", "seq", "started_at", "thread")
        }
    if isinstance(value, list):
        return [lasting(one) for one in value]
    return re.sub(r"0x[0-9a-f]+", "0x", value) if isinstance(value, str) else value


# -- the same ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_both_halves_record_the_same(path: str, met: Met) -> None:
    ours, pure = answer_and_record(met.handler(), path), answer_and_record(met.handler(None), path)
    assert ours == pure
    assert told() == []


def test_whoever_asks_finds_the_function(met: Met) -> None:
    ours, pure = met.handler()._middleware_chain, met.handler(None)._middleware_chain
    assert type(pure) is FunctionType
    assert type(ours) is not FunctionType
    assert isinstance(ours, FunctionType)
    assert ours._pipeline_inspector is True
    assert (ours.__name__, ours.__qualname__, ours.__module__) == (pure.__name__, pure.__qualname__, pure.__module__)
    assert type(ours.__wrapped__) is type(pure.__wrapped__)


def test_switches_are_read_when_they_changed(met: Met) -> None:
    store = configured.store()
    handler = met.handler()
    seen = []
    for enabled in (True, False, False, True):
        toggles.switch(store, HERE + "Both", enabled=enabled)
        _, record = answer_and_record(handler, "/")
        seen.append([layer["enabled"] for layer in record["layers"]])
    off = [False, True, True]
    assert seen == [[True] * 3, off, off, [True] * 3]


def test_requests_without_room_are_counted_and_answered(met: Met, monkeypatch: pytest.MonkeyPatch) -> None:
    handler, before = met.handler(), recorder.dropped()
    with monkeypatch.context() as full:
        full.setattr(recorder, "diversions", [])
        full.setattr(recorder, "room", 0)
        assert through_wsgi(handler, "/").status == 200
    assert recorder.dropped() == before + 1
    assert not recorder.running


def test_whoever_hands_over_a_tape_wakes_the_thread_that_sleeps(met: Met, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = met.handler()
    woken: list[int] = []
    end_of_recorder_thread()
    with monkeypatch.context() as alone:
        alone.setattr(recorder, "diversions", [])
        alone.setattr(recorder, "waiting", deque())
        alone.setattr(recorder, "wake", lambda: woken.append(len(recorder.waiting)))
        alone.setattr(recorder, "asleep", False)
        for _ in range(recorder.BATCH + 1):
            through_wsgi(handler, "/")
        assert woken == [recorder.BATCH]
        alone.setattr(recorder, "asleep", True)
        through_wsgi(handler, "/")
    assert woken == [recorder.BATCH, recorder.BATCH + 2]


# -- faults -----------------------------------------------------------------------------------------------------------


class Refusing(dict[Any, Any]):
    """Takes nothing."""

    def __setitem__(self, name: Any, value: Any) -> None:
        raise LookupError("it takes nothing")


def test_a_tape_that_cannot_be_opened_is_told_and_the_request_is_answered(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = met.handler()
    with monkeypatch.context() as broken:
        broken.setattr(recorder, "running", Refusing())
        answer = through_wsgi(handler, "/")
    assert (answer.status, told()) == (200, ["middleware: opening the tape: LookupError: it takes nothing"])
    assert tape_in_hand() is None


@pytest.mark.parametrize("name", ["numbers", "running", "waiting", "room"])
def test_where_something_is_missing_the_request_is_answered(
    name: str, met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = met.handler()
    with monkeypatch.context() as broken:
        broken.delattr(recorder, name)
        assert through_wsgi(handler, "/").status == 200
    assert tape_in_hand() is None
    assert told()


def test_a_tape_that_cannot_be_closed_is_told_and_the_request_is_answered(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    def new(self: object, _: object) -> None:
        raise LookupError("no sieve")

    def view(request: Any) -> HttpResponse:
        request.never_seen_before = True
        return HttpResponse("here")

    with urls(view), monkeypatch.context() as broken:
        handler = met.handler()
        broken.setattr(type(sieves), "__missing__", new)
        answer = through_wsgi(handler, "/failing/")
    assert (answer.status, answer.body) == (200, b"here")
    assert told() == ["middleware: closing the tape: LookupError: no sieve"]
    assert not recorder.running


def test_switches_that_cannot_be_asked_are_told_and_the_request_is_answered(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise LookupError("no version")

    handler = met.handler()
    monkeypatch.setattr(middleware.surroundings, "control_version", fail)
    assert through_wsgi(handler, "/").status == 200
    assert told() == ["middleware: opening the tape: LookupError: no version"]


# -- what is no fault -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_our_own_code_passes(
    kind: type[BaseException], met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Any:
        raise kind("now")

    def view(request: Any) -> HttpResponse:
        request.never_seen_before = True
        return HttpResponse("here")

    with urls(view):
        for owner, name, learn_again in (
            (middleware.surroundings, "control_version", 1_000_000),
            (middleware.OutermostMiddleware, "learn", 1),
            (type(sieves), "__missing__", 1_000_000),
        ):
            handler = met.handler(learn_again=learn_again)
            with monkeypatch.context() as interrupted:
                interrupted.setattr(owner, name, interrupt)
                with pytest.raises(kind, match="now"):
                    through_wsgi(handler, "/failing/")
            assert tape_in_hand() is None, name
    assert told() == []


def test_what_the_chain_raises_passes_with_its_context_and_the_tape_ends(met: Met) -> None:
    class Interrupted(layers.Both):
        def __call__(self, request: Any) -> Any:
            try:
                raise LookupError("inner")
            except LookupError:
                raise KeyboardInterrupt("outer")  # noqa: B904

    layers.Interrupted = Interrupted  # type: ignore[attr-defined]
    try:
        with site([HERE + "Interrupted"]):
            handler = WSGIHandler()
            for _ in range(2):
                with record_pipeline() as records, pytest.raises(KeyboardInterrupt, match="outer") as raised:
                    through_wsgi(handler, "/")
                assert isinstance(raised.value.__context__, LookupError)
                assert tape_in_hand() is None
                (record,) = records
                assert record.state == "aborted"
    finally:
        del layers.Interrupted  # type: ignore[attr-defined]
    assert told() == []


def test_an_answer_that_is_no_response_goes_where_it_went_before(met: Met) -> None:
    class Odd(layers.Both):
        def __call__(self, request: Any) -> Any:
            self.get_response(request)
            return ["no", "response"]

    layers.Odd = Odd  # type: ignore[attr-defined]
    try:
        with site([HERE + "Odd"]):
            handler = WSGIHandler()
            for _ in range(2):
                with record_pipeline():
                    assert handler._middleware_chain(RequestFactory().get("/")) == ["no", "response"]
    finally:
        del layers.Odd  # type: ignore[attr-defined]
    assert told() == []


def test_a_request_that_is_finished_twice_is_handed_over_once(met: Met) -> None:
    handler = met.handler()
    with record_pipeline() as records:
        through_wsgi(handler, "/")
        request_finished.send(sender=object)
    assert len(records) == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: half.outermost(None), TypeError),
        (lambda: half.outermost(*[None] * 10, 0), ValueError),
        (lambda: half.outermost(*[None] * 10, "often"), TypeError),
        (lambda: half.request_finished(None), TypeError),
        (lambda: half.request_finished(None, {}, "many"), TypeError),
    ],
)
def test_wrong_arguments_are_errors(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
