"""What a request carried is let go of when its chain is through, and what is told of it stays right."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.utils.functional import SimpleLazyObject
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_inspector import middleware
from pipeline_inspector.recording import chain, recorder
from pipeline_inspector.recording.attributes import Told, sieves
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import layers
from tests.scenarios.comparing import HERE
from tests.scenarios.driving import only, site, through_wsgi
from tests.scenarios.made import Spec, order


class Carried:
    """An object that a request carries."""


class Carrying(layers.Both):
    """Puts objects on the request, plain and lazy ones, and remembers them weakly."""

    carried: list[weakref.ref[Any]] = []

    def before(self, request: Any) -> None:
        """One by itself, one in a list, one in a lazy object that was asked, one in a lazy object that holds the request."""
        alone, listed, wrapped = Carried(), Carried(), Carried()
        Carrying.carried = [weakref.ref(one) for one in (alone, listed, wrapped, request)]
        request.alone, request.listed, request.wrapped = alone, [listed], SimpleLazyObject(lambda: wrapped)
        request.wrapped.asked = True
        request.lazy = SimpleLazyObject(lambda: request)
        request.number = 42


@pytest.fixture(autouse=True)
def _learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "LEARNING", 0)
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1_000_000)
    monkeypatch.setattr(layers, "Carrying", Carrying, raising=False)


def test_nothing_that_a_request_carried_waits_to_be_recorded() -> None:
    with site([HERE + "Carrying"]), recorder.diverted() as waiting:
        through_wsgi(WSGIHandler(), "/")
        gc.collect()
        assert len(waiting) == 1
        assert [one() for one in Carrying.carried] == [None] * 4


def test_what_was_let_go_of_is_told_as_if_it_were_there() -> None:
    with site([order(Spec("T0")), HERE + "Carrying"]), record_pipeline() as records:
        through_wsgi(WSGIHandler(), "/")
        record = only(records)
    (layer,) = (layer for layer in record.layers if layer.name == "Carrying")
    told = {change.name: change.after for change in layer.changes if change.what == "attribute"}
    assert told == {
        "alone": "Carried",
        "listed": "list, 1 long",
        "wrapped": "SimpleLazyObject (Carried)",
        "lazy": "SimpleLazyObject",
        "number": "42",
    }


names = st.sampled_from(["one", "two", "three", "four"])
values = st.sampled_from([None, True, 7, "text"])
deeds = st.one_of(
    st.tuples(st.just("set"), names, values),
    st.tuples(st.just("take away"), names, st.none()),
)


@settings(max_examples=500)
@given(st.lists(st.lists(deeds, max_size=3), max_size=6))
def test_a_request_is_let_go_of_only_when_its_attributes_came_one_after_the_other(way: list[list[Any]]) -> None:
    request = SimpleNamespace(META={}, path="/", method="GET", resolver_match=None, one="there before")
    tape = Tape(None, [], 1, request)
    request._pipeline_tape = tape
    own = request.__dict__
    first, seen, came = [*own], {**own}, [*own]
    gone = False
    for between_two_boundaries in way:
        for deed, name, value in between_two_boundaries:
            if deed == "set":
                own[name] = value
            else:
                own.pop(name, None)
        if len(own) != tape.width:
            tape.looked(own)
            gone = gone or not seen.keys() <= own.keys()
            came += [name for name in own if name not in seen]
            seen = {**own, **seen}
    tape.settle(own, sieves)
    if tape.left is None:
        assert tape.attributes == own
        assert gone or [*own] != came or any(own[name] is not value for name, value in seen.items())
    else:
        assert [*first, *tape.left[0]] == [*own]
        assert all(own[name] is value for name, value in seen.items())
        assert tape.attributes == {name: own[name] for name in tape.left[0]}
        assert tape.left[1] == tuple(type(own[name]) for name in tape.left[0])
        assert not any(isinstance(value, Told) for value in tape.attributes.values())
