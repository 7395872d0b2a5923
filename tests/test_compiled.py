"""The compiled half of the request path: it is there, does what its Python counterparts do, and nobody can tell."""

import copy
import functools
import gc
import inspect
import logging
import pickle
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory

from pipeline_inspector import compiled, faults
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import journey, layers
from tests.scenarios.comparing import HERE, urls
from tests.scenarios.driving import site, through_wsgi, watched
from tests.sites import Site

half: Any = compiled.half


@pytest.fixture(autouse=True)
def _keep() -> Iterator[None]:
    yield
    for name in ("Handed", "Odd"):
        if hasattr(layers, name):
            delattr(layers, name)


def test_it_was_built_and_is_used(site: Site) -> None:
    assert half is not None, "it was not built, or PIPELINE_INSPECTOR_PURE is set"
    assert Tape is half.Fields
    assert (Tape.__module__, Tape.__name__) == ("pipeline_inspector.recording.tape", "Tape")
    asked = "from pipeline_inspector.recording.tape import Tape; print(type(Tape.stamp).__name__)"
    assert site.run("-c", asked).stdout.strip() == "method_descriptor"
    site.env[compiled.PURE] = "1"
    assert site.run("-c", asked).stdout.strip() == "function"


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


def _on(request: Any) -> Any:
    return made[-1].get_response(request)


class _Callable:
    def __call__(self, request: Any) -> Any:
        return _on(request)


made: list[Any] = []


@pytest.mark.parametrize(
    "how",
    [
        lambda self, request: self.get_response(request),
        staticmethod(_on),
        classmethod(lambda _kind, request: _on(request)),
        functools.partialmethod(lambda self, _more, request: self.get_response(request), "more"),
        property(lambda self: self.get_response),
        _Callable(),
    ],
    ids=["function", "staticmethod", "classmethod", "partialmethod", "property", "instance"],
)
def test_a_layer_is_called_as_its_class_says_at_the_time(how: Any) -> None:
    class Odd(layers.Both):
        def __init__(self, get_response: Any) -> None:
            super().__init__(get_response)
            self.__call__ = None  # nobody asks an instance
            made.append(self)

    layers.Odd = Odd  # type: ignore[attr-defined]
    with site([HERE + "Both", HERE + "Odd", HERE + "Both"]):
        handler = WSGIHandler()
        for says in (Odd.__call__, how, Odd.__call__):
            Odd.__call__ = says  # type: ignore[method-assign]
            with record_pipeline() as records:
                assert through_wsgi(handler, "/").status == 200
            [record] = records
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
