"""The compiled half of the request path: it is there, does what its Python counterparts do, and nobody can tell."""

import copy
import gc
import inspect
import logging
import pickle
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_inspector import compiled, faults
from pipeline_inspector.probes.layers import pure_snapshot
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.attributes import sieves
from pipeline_inspector.recording.fields import PureFields
from pipeline_inspector.recording.slots import COOKIES, HEADERS, STATUS, STRIDE
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey, layers
from tests.scenarios.comparing import HERE, urls
from tests.scenarios.driving import site, through_wsgi, watched
from tests.sites import Site

half: Any = compiled.half


class PureTape(PureFields):
    """Notes what is asked of it beyond its fields."""

    __slots__ = ()

    def all_of(self, attributes: dict[str, Any]) -> Any:
        """Like a tape's."""
        self.only_added = False
        self.width, self.newest = 1_000_000_000, None
        return {**attributes}


CompiledTape: Any = type("CompiledTape", (half.Fields,), {"__slots__": (), "all_of": PureTape.all_of}) if half else None


@pytest.fixture(autouse=True)
def _keep() -> Iterator[None]:
    yield
    for name in ("Handed", "Odd"):
        if hasattr(layers, name):
            delattr(layers, name)


def test_it_was_built_and_is_used(site: Site) -> None:
    assert half is not None, "it was not built, or PIPELINE_INSPECTOR_PURE is set"
    assert issubclass(Tape, half.Fields)
    asked = "from pipeline_inspector.recording.tape import Tape; print(Tape.__mro__[1].__module__)"
    assert site.run("-c", asked).stdout.strip() == "pipeline_inspector._compiled"
    site.env[compiled.PURE] = "1"
    assert site.run("-c", asked).stdout.strip() == "pipeline_inspector.recording.fields"


# -- the fields -------------------------------------------------------------------------------------------------------

names = st.sampled_from(["one", "two", "three", "four", "resolver_match"])
things = st.sampled_from([None, True, 7, "text", (1, 2), [3]])
deeds = st.one_of(
    st.tuples(st.just("set"), names, things), st.tuples(st.just("take away"), names, st.none()), st.just("look")
)


def _played(kind: Any, deeds: list[Any], match: Any) -> list[Any]:
    request = SimpleNamespace(META={}, path="/", method="GET", resolver_match=None, one="there before")
    tape = kind(None, [0] * STRIDE, 1, request)
    request._pipeline_tape = tape
    own = request.__dict__
    told = [tape.width, tape.first, tape.newest, tape.method, tape.path, tape.slots]
    for deed in deeds:
        if deed == "look":
            if len(own) != tape.width:
                looked = tape.looked(own)
                told.append({**looked, "_pipeline_tape": 0} if isinstance(looked, dict) else looked)
            told += [tape.width, tape.newest, [*tape.came], tape.only_added]
        elif deed[0] == "set":
            own[deed[1]] = deed[2]
        else:
            own.pop(deed[1], None)
    return [*told, tape.left_behind(own, match, sieves)]


@settings(max_examples=500)
@given(st.lists(deeds, max_size=14), things)
def test_attributes_are_kept_and_left_behind_as_the_python_half_does(deeds: list[Any], match: Any) -> None:
    assert _played(CompiledTape, deeds, match) == _played(PureTape, deeds, match)


texts = st.text("abcXYZ-019", min_size=1, max_size=5)


@settings(max_examples=200)
@given(st.dictionaries(texts, texts), st.dictionaries(texts, texts), st.integers(200, 599), st.booleans())
def test_an_answer_is_kept_as_the_python_half_does(
    headers: dict[str, str], cookies: dict[str, str], status: int, again: bool
) -> None:
    response = HttpResponse(status=status, headers=headers)
    for name, value in cookies.items():
        response.set_cookie(name, value)
    told = []
    for kind in (CompiledTape, PureTape):
        tape = kind(None, [0] * STRIDE * 2, 1, RequestFactory().get("/"))
        tape.answered(STRIDE, response)
        if again:
            tape.answered(0, response)
        told.append((tape.slots, tape.headers, tape.status))
        assert tape.slots[STRIDE + HEADERS] == response.headers._store
        assert tape.slots[STRIDE + HEADERS] is not response.headers._store
    assert told[0] == told[1]
    assert told[0][0][STRIDE + STATUS] == status
    assert told[0][0][STRIDE + COOKIES] == (cookies or 0)
    assert half.snapshot(response) == pure_snapshot(response) == (status, response.headers._store, cookies or 0)
    known = response.headers._store.copy()
    assert half.snapshot(response, known)[1] is known
    assert half.snapshot(response, {})[1] is not response.headers._store


@pytest.mark.parametrize("thing", [None, 3, "text", object(), SimpleNamespace(headers=3), HttpResponse])
def test_what_is_no_response_has_no_snapshot(thing: Any) -> None:
    assert half.snapshot(thing) is None
    assert pure_snapshot(thing) is None


def test_a_tape_that_is_let_go_of_is_as_it_began() -> None:
    tape = Tape(None, [0] * STRIDE, 1, RequestFactory().get("/"))
    names = [name for name in vars(PureFields) if not name.startswith("_") and not callable(getattr(PureFields, name))]
    begun = {name: getattr(tape, name) for name in names if name not in PureFields.__slots__}
    assert begun == {name: getattr(PureFields, name) for name in begun}
    assert len(begun) > 25
    for name in begun:
        setattr(tape, name, "written")
    tape.forget()
    assert {name: getattr(tape, name) for name in begun} == begun


class Aside(deque[Tape]):
    """A queue that the recorder thread finds empty."""

    def __len__(self) -> int:
        return 0


def test_a_tape_that_waits_is_left_out_of_the_collectors_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_queue", queue := Aside())
    with site([HERE + "Both"] * 3):
        handler = WSGIHandler()
        through_wsgi(handler, "/")
        handler._middleware_chain = None
    tape = queue.popleft()
    assert [gc.is_tracked(one) for one in (tape, tape.slots, tape.events, tape.transport, tape.response)] == [False] * 5
    recorder.clear(tape)
    assert gc.is_tracked(tape.slots)
    gc.collect()
    assert sys.getrefcount(tape) == 2, "somebody besides this test holds it still"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda tape: Tape(None, (), 1, RequestFactory().get("/")), TypeError),
        (lambda tape: Tape(None, [], 1, object()), AttributeError),
        (lambda tape: tape.looked(3), TypeError),
        (lambda tape: tape.answered(0), TypeError),
        (lambda tape: tape.answered(-1, HttpResponse()), IndexError),
        (lambda tape: tape.answered(0, None), AttributeError),
        (lambda tape: tape.left_behind({}, None), TypeError),
        (lambda tape: tape.left_behind([], None, {}), TypeError),
        (lambda tape: half.seam(None), TypeError),
        (lambda tape: half.seam(*[None] * 3, -1, *[None] * 4), ValueError),
        (lambda tape: half.snapshot(), TypeError),
    ],
)
def test_wrong_arguments_are_errors(call: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(Tape(None, [], 1, RequestFactory().get("/")))


# -- the functions around what Django calls -----------------------------------------------------------------------------


@pytest.fixture
def handed() -> Any:
    """What a layer is handed as ``get_response``."""

    class Handed(layers.Both):
        def __init__(self, get_response: Any) -> None:
            super().__init__(get_response)
            kept.append(get_response)

    kept: list[Any] = []
    layers.Handed = Handed  # type: ignore[attr-defined]
    with site([HERE + "Handed", HERE + "Both"]), record_pipeline():
        WSGIHandler()
    return kept[0]


def test_whoever_asks_finds_a_function(handed: Any) -> None:
    assert type(handed) is not FunctionType
    assert isinstance(handed, FunctionType)
    assert inspect.isfunction(handed)
    assert inspect.isroutine(handed)
    assert callable(handed)
    assert not inspect.iscoroutinefunction(handed)
    assert type(handed).__name__ == "function"
    assert repr(handed).startswith("<function convert_exception_to_response")
    assert str(inspect.signature(handed)) == "(request: Any) -> Any"
    assert isinstance(handed.__wrapped__, layers.Both)
    assert handed.__code__.co_argcount == 1
    assert copy.copy(handed) is handed
    assert copy.deepcopy(handed) is handed
    assert weakref.ref(handed)() is handed
    assert {handed: 1}[handed] == 1
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(handed)


def test_whoever_marks_it_finds_the_mark(handed: Any) -> None:
    handed.marked = True
    assert handed.marked is True
    assert vars(handed)["marked"] is True
    del handed.marked
    assert not hasattr(handed, "marked")


def test_as_an_attribute_of_a_class_it_is_a_method(handed: Any) -> None:
    kept = type("Kept", (), {"respond": handed})
    assert kept.respond is handed
    instance = kept()
    assert instance.respond.__self__ is instance
    with pytest.raises(TypeError):
        instance.respond(RequestFactory().get("/"))


class Around:
    """Stands for a request: asked for what it has not, it asks the request."""

    def __init__(self, request: Any) -> None:
        self.request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self.request, name)


class Hung(layers.Both):
    """Hands on something that stands for the request."""

    def __call__(self, request: Any) -> Any:
        return self.get_response(Around(request))


def test_a_request_of_an_odd_kind_is_given_to_the_python_half() -> None:
    layers.Odd = Hung  # type: ignore[attr-defined]
    with faults_forgotten():
        answer, record = watched("wsgi", [HERE + "Both", HERE + "Odd", HERE + "Both"], "/")
        assert faults.seen() == []
    assert answer.status == 200
    assert [layer.outcome for layer in record.layers] == ["passed"] * 3


class faults_forgotten:  # noqa: N801
    """What failed before does not count, nor does what fails in the block afterwards."""

    def __enter__(self) -> None:
        recorder.flush()
        faults.forget()

    def __exit__(self, *_: object) -> None:
        faults.forget()


class Broken(HttpResponse):
    """Its cookies do not want to be looked at, once it has left the core."""

    @property
    def cookies(self) -> Any:
        """Some of them."""
        if getattr(self, "ready", False):
            raise RuntimeError("cookies: leave us alone")
        return self._cookies

    @cookies.setter
    def cookies(self, value: Any) -> None:
        self._cookies = value


def test_a_fault_of_our_own_is_told_and_the_answer_comes() -> None:
    def view(request: Any) -> HttpResponse:
        response = Broken("here")
        response.ready = True  # type: ignore[attr-defined]
        return response

    class Calm(layers.Both):
        def after(self, request: Any, response: Any) -> Any:
            response.ready = False
            return response

    layers.Odd = Calm  # type: ignore[attr-defined]
    with faults_forgotten(), urls(view):
        answer, record = watched("wsgi", [HERE + "Both", HERE + "Odd"], "/failing/")
        told = [(fault.where, fault.message) for fault in faults.seen()]
    assert (answer.status, answer.body) == (200, b"here")
    assert record.response.status == 200
    assert told == [("probes: layer", "RuntimeError: cookies: leave us alone")]


@pytest.mark.parametrize("path", ["/", "/broken/", "/missing/", "/forbidden/"])
def test_what_is_handled_when_a_layer_is_called_is_handled_afterwards(path: str) -> None:
    kept: list[Any] = []

    class Handling(layers.Both):
        def __call__(self, request: Any) -> Any:
            kept.append(sys.exc_info()[1])
            response = self.get_response(request)
            kept.append(sys.exc_info()[1])
            mine = KeyError("mine")
            try:
                raise mine
            except KeyError:
                response = self.get_response(request)
                kept.append(sys.exc_info()[1] is mine and mine.__context__)
            kept.append(sys.exc_info()[1])
            return response

    layers.Odd = Handling  # type: ignore[attr-defined]
    watched("wsgi", [HERE + "Odd", HERE + "Both"], path, settings={"LOGGING_CONFIG": None})
    assert kept == [None, None, None, None]


def test_an_error_met_while_another_is_handled_keeps_its_own_context() -> None:
    met: list[BaseException] = []

    def view(request: Any) -> HttpResponse:
        try:
            raise LookupError("inner")
        except LookupError:
            raise ValueError("outer")  # noqa: B904

    class Seeing(layers.Both):
        def __call__(self, request: Any) -> Any:
            try:
                raise KeyError("mine")
            except KeyError:
                return self.get_response(request)

        def process_exception(self, request: Any, error: Exception) -> None:
            met.append(error)

    layers.Odd = Seeing  # type: ignore[attr-defined]
    with urls(view):
        watched("wsgi", [HERE + "Odd", HERE + "Both"], "/failing/")
    (error,) = met
    assert isinstance(error.__context__, LookupError)
    assert isinstance(error.__context__.__context__, KeyError)


PATHS = ["/", "/class/", "/template/", "/missing/", "/forbidden/", "/broken/", "/no/such/page/", "/stream/", "/query/"]


def test_nothing_is_left_of_a_request() -> None:
    def ask() -> None:
        with record_pipeline():
            for path in PATHS:
                through_wsgi(handler, path)
        journey.steps.clear()

    def blocks() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    logging.disable()  # what is logged is kept by pytest
    try:
        with site([HERE + "Both"] * 5):
            handler = WSGIHandler()
            for _ in range(15):
                ask()
            before = blocks()
            for _ in range(25):
                ask()
            assert blocks() - before < 25 * len(PATHS), "one block of memory and more for each request"
            handler._middleware_chain = None
    finally:
        logging.disable(logging.NOTSET)


def test_two_threads_in_one_chain_each_write_their_own_tape() -> None:
    failed: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            for _ in range(50):
                through_wsgi(handler, "/", HTTP_X_NUMBER=str(number))
        except BaseException as error:
            failed.append(error)

    with site([HERE + "Both"] * 5), record_pipeline() as records:
        handler = WSGIHandler()
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        handler._middleware_chain = None
    assert failed == []
    assert len(records) == 200
    for record in records:
        assert [layer.outcome for layer in record.layers] == ["passed"] * 5
        assert record.response.status == 200
