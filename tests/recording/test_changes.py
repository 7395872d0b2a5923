"""Changes at the boundaries: told without running any code of the site's, and right however often a chain has run."""

from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject

from pipeline_inspector import middleware
from pipeline_inspector.records import RequestRecord
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import layers
from tests.scenarios.comparing import HERE, urls
from tests.scenarios.driving import INTERFACES, only, site, through_wsgi, watched
from tests.scenarios.made import Spec, order

both = pytest.mark.parametrize("interface", INTERFACES)


def told(record: RequestRecord) -> dict[str, set[tuple[str, str]]]:
    """Layer (``core``: none) to the names and kinds of its changes of attributes."""
    of_layers = {layer.name: layer.changes for layer in record.layers} | {"core": record.core_changes}
    return {
        name: {(change.name, change.kind) for change in changes if change.what == "attribute"}
        for name, changes in of_layers.items()
    }


class Touchy:
    """An attribute that does not want to be looked at."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise AssertionError("written out")

    def __bool__(self) -> bool:
        raise AssertionError("asked whether it is true")


class Touchily(layers.Both):
    """Leaves touchy and lazy attributes, and exchanges them on the way out."""

    evaluated: list[str] = []

    def before(self, request: Any) -> None:
        """One of each."""
        request.touchy = Touchy()
        request.lazy = SimpleLazyObject(lambda: Touchily.evaluated.append("lazy"))

    def after(self, request: Any, response: Any) -> Any:
        """Others in their place."""
        request.touchy = Touchy()
        return response


@both
def test_no_attribute_is_compared_written_out_or_evaluated(interface: str) -> None:
    layers.Touchily = Touchily  # type: ignore[attr-defined]
    Touchily.evaluated.clear()
    answer, record = watched(interface, [order(Spec("T0")), HERE + "Touchily", order(Spec("T2"))])
    assert answer.status == 200
    assert {("touchy", "added"), ("lazy", "added"), ("touchy", "changed")} <= told(record)["Touchily"]
    assert Touchily.evaluated == []


class InTurn(layers.Both):
    """Exchanges an attribute, but only in some requests."""

    when: list[bool] = []

    def after(self, request: Any, response: Any) -> Any:
        """As ``when`` says."""
        if InTurn.when[-1]:
            request.seen_by_T0 = "exchanged"
        return response


def test_an_attribute_exchanged_on_the_way_out_is_told_of_its_layer_again_and_again() -> None:
    layers.InTurn = InTurn  # type: ignore[attr-defined]
    with site([order(Spec("T0")), HERE + "InTurn", order(Spec("T2"))]), record_pipeline() as records:
        handler = WSGIHandler()
        for turn in range(12):
            InTurn.when.append(turn % 2 == 0)
            through_wsgi(handler, "/")
    for turn, record in enumerate(records):
        assert told(record)["InTurn"] == ({("seen_by_T0", "changed")} if turn % 2 == 0 else set())
        assert told(record)["T0"] == {("seen_by_T0", "added")}


def test_an_exchange_that_comes_late_is_never_told_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1_000_000)
    layers.InTurn = InTurn  # type: ignore[attr-defined]
    with site([order(Spec("T0")), HERE + "InTurn", order(Spec("T2"))]), record_pipeline() as records:
        handler = WSGIHandler()
        for turn in range(60):
            InTurn.when.append(turn >= 50)
            through_wsgi(handler, "/")
            assert len(records) == turn + 1
    for turn, record in enumerate(records):
        assert told(record)["core"] == {("resolver_match", "changed")}
        assert told(record)["T0"] == {("seen_by_T0", "added")}
        assert record.dropped.changes == (turn == 50)
        assert told(record)["InTurn"] == ({("seen_by_T0", "changed")} if turn > 50 else set())


def test_an_exchange_that_comes_late_is_told_of_its_layer_where_every_boundary_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1)
    layers.InTurn = InTurn  # type: ignore[attr-defined]
    with site([order(Spec("T0")), HERE + "InTurn", order(Spec("T2"))]), record_pipeline() as records:
        handler = WSGIHandler()
        for turn in range(30):
            InTurn.when.append(turn == 29)
            through_wsgi(handler, "/")
    assert told(records[-1])["InTurn"] == {("seen_by_T0", "changed")}
    assert records[-1].dropped.changes == 0


class Swapping(layers.Both):
    """Takes an attribute away and leaves others, more or fewer."""

    leaves: tuple[str, ...] = ()

    def before(self, request: Any) -> None:
        """One goes, some come."""
        del request.seen_by_T0
        for name in Swapping.leaves:
            setattr(request, name, [name])


@pytest.mark.parametrize("leaves", [(), ("one",), ("one", "two")])
def test_what_is_taken_away_is_told_however_often_the_chain_has_run(
    leaves: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1_000_000)
    layers.Swapping, Swapping.leaves = Swapping, leaves  # type: ignore[attr-defined]
    with site([order(Spec("T0")), HERE + "Swapping", order(Spec("T2"))]), record_pipeline() as records:
        handler = WSGIHandler()
        for _ in range(30):
            through_wsgi(handler, "/")
    swapped = {("seen_by_T0", "removed"), *((name, "added") for name in leaves)}
    for record in (records[0], records[-1]):
        both_together = told(record)["Swapping"] | told(record)["T2"] - {("seen_by_T2", "added")}
        if len(leaves) == 1 and record is records[-1]:  # as many came as went: seen at the next boundary that differs
            assert both_together == swapped
        else:
            assert told(record)["Swapping"] == swapped


@both
def test_what_the_view_leaves_is_told_of_the_core(interface: str) -> None:
    def view(request: Any) -> HttpResponse:
        request.left = "by the view"
        return HttpResponse(headers={"X-View": "yes"})

    with urls(view):
        _, record = watched(interface, [order(Spec("T0"))], "/failing/")
    assert ("left", "added") in told(record)["core"]
    assert ("X-View", "added") in {(change.name, change.kind) for change in record.core_changes}
    assert told(record)["T0"] == {("seen_by_T0", "added")}


def test_what_django_keeps_for_itself_is_told_of_nobody() -> None:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.GET}{request.COOKIES}{request.headers}{request.body!r}{request.POST}")

    with urls(view):
        _, record = watched("wsgi", [], "/failing/?a=1")
    assert {name for name, _ in told(record)["core"]} == {"resolver_match"}


def test_a_response_without_headers_of_its_own_kind_passes() -> None:
    class Bare(HttpResponse):
        @property
        def cookies(self) -> Any:
            raise AttributeError("none today")

        @cookies.setter
        def cookies(self, value: Any) -> None:
            pass

    def view(request: Any) -> HttpResponse:
        return Bare("hello")

    with urls(view), site([]), record_pipeline() as records, pytest.raises(AttributeError):
        through_wsgi(WSGIHandler(), "/failing/")
    assert only(records).request.path == "/failing/"


def test_more_changes_than_are_kept_are_counted() -> None:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(headers={f"X-{number}": "yes" for number in range(1000)})

    with urls(view):
        _, record = watched("wsgi", [], "/failing/")
    assert record.dropped.changes > 600
    assert len(record.core_changes) == 1000 + 3 - record.dropped.changes
