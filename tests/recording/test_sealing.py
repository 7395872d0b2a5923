"""Sealing: whatever a site leaves on a tape becomes plain, bounded data, or the record tells less; it never fails."""

import logging
from typing import Any

import pytest
from django.apps import apps
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.utils.safestring import mark_safe
from django.utils.translation import trans_real

from pipeline_inspector import faults, wiring
from pipeline_inspector.assembly.record import assemble
from pipeline_inspector.recording import recorder, sealing
from pipeline_inspector.recording.heads import HEADERS_KEPT
from pipeline_inspector.recording.secret_texts import MASK
from pipeline_inspector.records import RequestRecord, from_json, to_json
from pipeline_inspector.store.base import StoreError
from pipeline_inspector.testing import record_pipeline
from tests.scenarios.comparing import urls
from tests.scenarios.driving import site, through_wsgi, watched
from tests.scenarios.made import Spec, order


class Odd:
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text today")

    __repr__ = __str__


class OddError(Exception):
    """Neither can this one's."""

    def __str__(self) -> str:
        raise RuntimeError("no text today")


def odd_log(request: Any) -> HttpResponse:
    """Logs what cannot be written."""
    logger = logging.getLogger("tests.odd")
    logger.warning("%s %s", "one")
    logger.warning(Odd())
    logger.warning("%d", "not a number")
    return HttpResponse()


def odd_error(request: Any) -> HttpResponse:
    """Raises what cannot be written."""
    raise OddError


def odd_cause(request: Any) -> HttpResponse:
    """Raises from something else, in a circle."""
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


def odd_path(request: Any) -> HttpResponse:
    """Changes what the request says of itself."""
    request.path = request.path_info = mark_safe("/safe/")
    request.method = None
    request.META["REMOTE_ADDR"] = 5
    request.META["HTTP_ODD"] = 7
    request.resolver_match.url_name = 5
    request.resolver_match.kwargs["odd"] = "\ud800"
    return HttpResponse(status=299, reason="Very good", headers={"X-Odd": "ä"})


def long_text(request: Any) -> HttpResponse:
    """Leaves long texts."""
    request.long = "x" * 1_000_000
    logging.getLogger("tests.odd").warning("y" * 1_000_000)
    raise ValueError("z" * 1_000_000)


def deep(request: Any) -> HttpResponse:
    """Fails deep down."""

    def further(level: int) -> None:
        if level:
            further(level - 1)
        raise ValueError("deep")

    further(300)
    return HttpResponse()


@pytest.mark.parametrize("view", [odd_log, odd_error, odd_cause, odd_path, long_text, deep])
def test_odd_things_become_a_record_that_can_be_written_and_read(view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.forget()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with urls(view):
        _, record = watched("wsgi", [order(Spec("T0", "mixin"))], "/failing/")
    text = to_json(record)
    assert len(text) < 60_000
    again = from_json(text, RequestRecord)
    assert again.view is not None
    assert again.view.name == f"{__name__}.{view.__name__}"
    assert again.layers[0].outcome == "passed"
    assert faults.seen() == []


def test_an_error_without_text_says_so() -> None:
    with urls(odd_error):
        _, record = watched("wsgi", [], "/failing/")
    assert record.exception is not None
    assert record.exception.type == "OddError"
    assert record.exception.message == "(its text could not be made)"
    assert record.exception.raised_in == "view"


def test_a_circle_of_causes_ends() -> None:
    with urls(odd_cause):
        _, record = watched("wsgi", [], "/failing/")
    assert record.exception is not None
    assert 1 <= len(record.exception.chain) <= 5
    assert record.exception.chain[0].startswith("KeyError")


def _price(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise LookupError("no such price") from error


def caused(request: HttpRequest) -> HttpResponse:
    try:
        return HttpResponse(_price("three"))
    except LookupError as error:
        raise RuntimeError("not saved") from error


def test_each_cause_of_an_exception_keeps_its_own_frames() -> None:
    with urls(caused):
        _, record = watched("wsgi", [], "/failing/")
    assert record.exception is not None
    assert [cause.partition(":")[0] for cause in record.exception.chain] == ["LookupError", "ValueError"]
    told = [[frame.function for frame in frames] for frames in record.exception.chain_frames]
    assert told == [["caused", "_price"], ["_price"]]
    assert {frame.file for frames in record.exception.chain_frames for frame in frames} == {__file__}
    assert from_json(to_json(record), RequestRecord).exception == record.exception


def test_a_deep_traceback_keeps_its_ends() -> None:
    with urls(deep):
        _, record = watched("wsgi", [], "/failing/")
    assert record.exception is not None
    functions = [frame.function for frame in record.exception.frames]
    assert functions[0] == "deep"
    assert functions[-1] == "deep.<locals>.further"
    assert len(functions) <= 64


def test_the_frames_of_an_exception_are_the_lines_of_the_site() -> None:
    def broken(request: Any) -> HttpResponse:
        raise ValueError("here")

    with urls(broken):
        _, record = watched("wsgi", [order(Spec("T0", "mixin"))], "/failing/")
    assert record.exception is not None
    last = record.exception.frames[-1]
    assert (last.file, last.line) == (__file__, broken.__code__.co_firstlineno + 1)


def test_a_store_that_cannot_say_what_ran_before_takes_no_record_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(process_id: str) -> list[str]:
        raise StoreError("The store is away.")

    faults.forget()
    monkeypatch.setattr(wiring, "_changed_before", broken)
    wiring._sealer.cache_clear()
    _, record = watched("wsgi", [])
    assert record.state == "finished"
    assert "recorder: what changed" in [fault.where for fault in faults.seen()]
    faults.forget()


def test_the_patterns_tried_are_told_while_other_apps_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with site([]), recorder.diverted() as tapes:
        through_wsgi(WSGIHandler(), "/nowhere/")
    monkeypatch.setattr(sealing, "_tried", {})
    monkeypatch.setattr(trans_real, "_translations", {})
    monkeypatch.setattr(apps, "apps_ready", False)
    sealed = wiring.sealer().seal(tapes.pop())
    monkeypatch.undo()
    record = assemble(sealed, None)
    assert "class/" in record.tried


def _kept(record: RequestRecord) -> list[tuple[str, str]]:
    assert record.response is not None
    return [(name, value) for name, value in record.response.headers if name.startswith("X-") or name == "Set-Cookie"]


def test_headers_are_those_of_the_answer_however_often_its_view_gave_the_same() -> None:
    given = [{"X-A": "1"}, {"X-A": "1"}, {"X-A": "1"}, {"X-A": "2"}, {"X-A": "2", "X-B": "1"}, {"X-A": "1"}, {}]
    answers = iter(given)

    def view(request: Any) -> HttpResponse:
        return HttpResponse(headers=next(answers))

    with urls(view), site([]), record_pipeline() as records:
        handler = WSGIHandler()
        for _ in given:
            through_wsgi(handler, "/failing/")
    assert [dict(_kept(record)) for record in records] == given


def test_a_cookie_is_told_beside_headers_that_came_before() -> None:
    values = iter(["", "", "", "one", "", "two", "two"])

    def view(request: Any) -> HttpResponse:
        response = HttpResponse(headers={"X-A": "1"})
        if value := next(values):
            response.set_cookie("seen", value)
        return response

    with urls(view), site([]), record_pipeline() as records:
        handler = WSGIHandler()
        for _ in range(7):
            through_wsgi(handler, "/failing/")
    told, cookie = ("X-A", "1"), ("Set-Cookie", f"seen={MASK}")
    assert [_kept(record) for record in records] == [
        *([[told]] * 3),
        *([told, cookie], [told], [told, cookie], [told, cookie]),
    ]


def test_of_very_many_headers_the_first_are_told_each_time() -> None:
    headers = {f"X-{number}": "1" for number in range(400)}
    with urls(lambda request: HttpResponse(headers=headers)), site([]), record_pipeline() as records:
        handler = WSGIHandler()
        for _ in range(4):
            through_wsgi(handler, "/failing/")
    assert {len(record.response.headers) for record in records if record.response} == {HEADERS_KEPT}


def test_a_cookie_is_a_secret_by_the_name_that_the_setting_gives_it_now() -> None:
    def view(request: Any) -> HttpResponse:
        logging.getLogger("tests.odd").warning("seen: plainsecretword")
        return HttpResponse()

    with urls(view), record_pipeline() as records:
        for name in ("one", "other", "one"):
            with override_settings(SESSION_COOKIE_NAME=name), site([]):
                through_wsgi(WSGIHandler(), "/failing/", HTTP_COOKIE="other=plainsecretword")
                len(records)
    assert [record.logs[0].message for record in records] == [
        "seen: plainsecretword",
        f"seen: {MASK}",
        "seen: plainsecretword",
    ]


def test_the_urlconf_is_the_one_that_the_setting_names_now() -> None:
    named = []
    with record_pipeline() as records:
        for module in ("tests.scenarios.urls", "tests.scenarios.other_urls"):
            with site([]), override_settings(ROOT_URLCONF=module):
                through_wsgi(WSGIHandler(), "/class/")
                named.append((records[-1].route.urlconf if records[-1].route else "", module))
    assert [told for told, _ in named] == [module for _, module in named]
