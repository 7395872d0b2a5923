"""Requests of one shape share what is found out about their changes, and each is told with its own values."""

import datetime as dt
import decimal
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from pipeline_inspector import middleware
from pipeline_inspector.records import Change, RequestRecord
from pipeline_inspector.testing import record_pipeline
from tests.scenarios import layers
from tests.scenarios.comparing import HERE
from tests.scenarios.driving import site, through_wsgi
from tests.scenarios.made import Spec, order


class Counting(layers.Both):
    """Leaves a number, a text and a header of its own with every request; ``alters`` says when it alters a header."""

    turn = 0
    alters = False

    def before(self, request: Any) -> None:
        """An attribute by number, one by text, one that only its type tells of."""
        Counting.turn += 1
        request.turn = Counting.turn
        request.words = f"turn {Counting.turn}"
        request.opaque = object()

    def after(self, request: Any, response: Any) -> Any:
        """A header, and another one altered now and then."""
        response["X-Turn"] = str(Counting.turn)
        if Counting.alters:
            response["Content-Type"] = f"text/turn-{Counting.turn}"
        return response


def changes(record: RequestRecord, layer: str) -> dict[str, Change]:
    """The changes of ``layer`` by name."""
    return {change.name: change for found in record.layers if found.name == layer for change in found.changes}


class Trimming(layers.Both):
    """Takes away the header that came last."""

    def after(self, request: Any, response: Any) -> Any:
        """The header of ``Counting`` is gone."""
        del response["X-Turn"]
        return response


class Signing(layers.Both):
    """Leaves what is told in the same words as something else, or is equal and is not."""

    signs: Any = None

    def before(self, request: Any) -> None:
        """One attribute."""
        request.sign = Signing.signs


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RequestRecord]:
    """Sixty requests beyond what a chain learns from; the last twenty have a header altered."""
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1_000_000)
    monkeypatch.setattr(layers, "Counting", Counting, raising=False)
    Counting.turn, Counting.alters = 0, False
    with site([order(Spec("T0")), HERE + "Counting"]), record_pipeline() as records:
        handler = WSGIHandler()
        for turn in range(60):
            Counting.alters = turn >= 40
            through_wsgi(handler, "/")
    return [*records]


def test_each_request_is_told_with_its_own_values(asked: list[RequestRecord]) -> None:
    for turn, record in enumerate(asked, 1):
        found = changes(record, "Counting")
        assert found["turn"].after == str(turn)
        assert found["words"].after == f"'turn {turn}'"
        assert found["opaque"].after == "object"
        assert (found["X-Turn"].kind, found["X-Turn"].after) == ("added", str(turn))


def test_a_header_that_a_layer_alters_is_told_before_and_after(asked: list[RequestRecord]) -> None:
    for turn, record in enumerate(asked, 1):
        altered = changes(record, "Counting").get("Content-Type")
        if turn <= 40:
            assert altered is None
        else:
            assert altered is not None
            assert (altered.kind, altered.after) == ("changed", f"text/turn-{turn}")
            assert altered.before is not None
            assert altered.before.startswith("text/")
        assert record.dropped.changes == 0


def test_a_header_that_was_taken_away_is_told_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1_000_000)
    for kind in (Counting, Trimming):
        monkeypatch.setattr(layers, kind.__name__, kind, raising=False)
    Counting.turn, Counting.alters = 0, False
    with site([HERE + "Trimming", HERE + "Counting"]), record_pipeline() as records:
        handler = WSGIHandler()
        for _ in range(30):
            through_wsgi(handler, "/")
    for turn, record in enumerate(records, 1):
        trimmed = changes(record, "Trimming")["X-Turn"]
        assert (trimmed.kind, trimmed.before, trimmed.after) == ("removed", str(turn), None)


def test_equal_values_are_told_each_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape is of values of the same kinds; among them there are equal ones that look different."""
    east = dt.timezone(dt.timedelta(hours=2))
    signs = [
        *(1, True, 1.0, "1", None, 0, False, 0.0, -0.0, decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        *(dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 12, tzinfo=east), "", "None", b"1"),
    ]
    monkeypatch.setattr(middleware, "LEARN_AGAIN", 1_000_000)
    monkeypatch.setattr(layers, "Signing", Signing, raising=False)
    told = []
    with site([order(Spec("T0")), HERE + "Signing"]), record_pipeline() as records:
        handler = WSGIHandler()
        for sign in signs * 4:
            Signing.signs = sign
            through_wsgi(handler, "/")
    told = [changes(record, "Signing")["sign"].after for record in records]
    learned, known = told[: len(signs)], told[-len(signs) :]
    assert known == learned
    assert len({*learned}) == len(signs) - 1, "1.0 is told as a decimal number is"
