"""A layer switched off for one browser is never off in another's request, however their requests interleave."""

import threading
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from pipeline_inspector import middleware
from pipeline_inspector.control import toggles
from pipeline_inspector.recording import pacing, recorder
from pipeline_inspector.store.base import Store
from tests.scenarios.driving import Answer, through_wsgi
from tests.security.conftest import api

LAYER = "tests.security.layers.EveryHook"

pytestmark = pytest.mark.django_db


def test_the_switches_of_one_browser_stay_out_of_a_request_that_runs_beside_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    toggles.switch(store, LAYER, enabled=False, browser="mine")
    handler = WSGIHandler()
    read, go_on = threading.Event(), threading.Event()
    asked = middleware.surroundings.layers_off

    def layers_off(request: Any) -> frozenset[str]:
        off = asked(request)
        if request.path == "/logs/":
            read.set()
            assert go_on.wait(10)
        return off

    monkeypatch.setattr(middleware.surroundings, "layers_off", layers_off)
    answers: list[Answer] = []
    other = threading.Thread(target=lambda: answers.append(through_wsgi(handler, "/logs/")))
    other.start()
    assert read.wait(10)
    mine = through_wsgi(handler, "/", HTTP_COOKIE=f"{toggles.COOKIE}=mine")
    go_on.set()
    other.join(10)
    assert "X-Every-Hook" not in dict(mine.headers)
    assert dict(answers[0].headers)["X-Every-Hook"] == "yes"
    assert "X-Every-Hook" in dict(through_wsgi(handler, "/").headers)


def test_what_is_off_stays_off_in_requests_that_are_not_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = WSGIHandler()
    monkeypatch.setattr(pacing, "QUEUE_LIMIT", 0)
    monkeypatch.setattr(recorder, "room", 0)
    assert "X-Every-Hook" in dict(through_wsgi(handler, "/").headers)
    toggles.switch(store, LAYER, enabled=False)
    assert "X-Every-Hook" not in dict(through_wsgi(handler, "/").headers)
    assert recorder.flush()
    assert api("requests/")["requests"] == []
