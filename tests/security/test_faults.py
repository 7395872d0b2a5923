"""Nothing of ours breaks a request: with a fault in every part, the site answers the same and the page tells of it."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from pipeline_inspector import clock, compiled, faults, live, middleware, packed, reader, wiring
from pipeline_inspector.page import fragments
from pipeline_inspector.probes import (
    access_log,
    cache,
    database,
    layers,
    loader,
    logs,
    server,
    startup,
    templates,
)
from pipeline_inspector.probes import view as view_probe
from pipeline_inspector.recording import chain, errors, frames, recorder, sealing
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.recording.transport import Transport
from pipeline_inspector.store import configured
from pipeline_inspector.store import database as sqlite
from pipeline_inspector.store.base import Store, StoreError
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.store.sqlite import SqliteStore
from tests.scenarios.driving import INTERFACES, Answer, ask
from tests.security.conftest import api, look, text_of
from tests.security.urls import PATHS

pytestmark = pytest.mark.django_db

WRONG = "broken inside the inspector"


class InspectorError(Exception):
    """A fault of ours."""


def fail(*_: Any, **__: Any) -> Any:
    """Stands in the place of something of ours."""
    raise InspectorError(WRONG)


@pytest.fixture(scope="module")
def bare() -> dict[tuple[str, str], Answer]:
    """What Django alone answers, by interface and path."""
    return {}


def same_as_bare(bare: dict[tuple[str, str], Answer], interface: str = "wsgi", paths: tuple[str, ...] = ()) -> None:
    """Ask the site at ``paths`` (none: at all of them), and compare with what the uninstrumented site says."""
    for path in paths or PATHS[interface]:
        if (interface, path) not in bare:
            with override_settings(PIPELINE_INSPECTOR={"ENABLED": False}):
                bare[interface, path] = ask(interface, path)
        assert ask(interface, path).plain == bare[interface, path].plain, path


IN_PROBES: dict[str, tuple[object, str]] = {
    "writing on the tape": (Tape, "add"),
    "keeping attributes": (Tape, "looked"),
    "keeping all attributes": (Tape, "all_of"),
    "keeping what came out": (Tape, "came_out"),
    "noting an exception": (errors, "note"),
    "cleaning a traceback": (frames, "without_ours"),
    "the line of a query": (database, "users_place"),
    "the line of a cache call": (cache, "users_place"),
    "who calls the cache": (cache, "belongs_to_user"),
    "the names of a context": (templates, "_names"),
    "keeping a log line": (logs, "get_ident"),
    "timing the view": (view_probe, "_learn"),
    "making a seam": (layers, "seam"),
    "timing a hop": (layers, "hop"),
    "timing the hooks": (loader, "wrap_lists"),
    "the way of the server": (server, "arrived"),
    "counting what goes out": (Transport, "note_chunk"),
    "the first request": (startup, "first_request"),
    "opening the tape": (middleware, "begun"),
    "seeing the answer, letting go of attributes": (Tape, "through"),
    "the end of a hook": (Tape, "hooked"),
    "hearing that it was sent": (Tape, "sent"),
    "following a stream": (middleware.OutermostMiddleware, "follow"),
}


NOT_ASKED_BY_COMPILED = {"keeping what came out"}
"""What a compiled seam does by itself; its own faults are in ``tests/test_compiled.py``."""


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("part", IN_PROBES)
def test_a_fault_in_a_probe_changes_no_answer_and_is_told(
    part: str, interface: str, store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(*IN_PROBES[part], fail)
        if part in NOT_ASKED_BY_COMPILED:
            broken.setattr(compiled, "half", None)
        broken.setattr(view_probe, "_known", {})
        same_as_bare(bare, interface, (*PATHS[interface], *(["/query/"] if interface == "wsgi" else [])))
        assert recorder.flush()
    met = part not in NOT_BEHIND.get(interface, ())
    assert (WRONG in text_of(look())) is met
    same_as_bare(bare, interface, ("/",))


NOT_BEHIND = {
    "wsgi": ("timing a hop", "hearing that it was sent"),
    "asgi": ("the end of a hook", "the line of a query", "hearing that it was sent"),
}
"""What does not happen behind one of the interfaces, or where Django itself looks away from a closer that fails."""


IN_THE_RECORDER: dict[str, tuple[object, str]] = {
    "sealing": (sealing.Sealer, "seal"),
    "hiding secrets": (Redactor, "header"),
    "packing": (packed, "encode"),
    "describing the chain": (chain.LoadedChain, "plan"),
    "making a sealer": (sealing.Sealer, "__init__"),
    "keeping": (MemoryStore, "append"),
    "keeping the chain": (MemoryStore, "put_plan"),
    "asking for viewers": (MemoryStore, "watched"),
    "waking the viewers": (live, "_configured_layer"),
}


@pytest.mark.parametrize("part", IN_THE_RECORDER)
def test_a_fault_behind_the_request_changes_no_answer_and_is_told(
    part: str, store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(*IN_THE_RECORDER[part], fail)
        wiring._sealer.cache_clear()
        same_as_bare(bare)
        assert recorder.flush()
        wait_until(lambda: any(WRONG in fault.message for fault in faults.seen()))
    wiring._sealer.cache_clear()
    assert WRONG in text_of(look())
    ask("wsgi", "/logs/")
    assert recorder.flush()
    assert "/logs/" in [row["path"] for row in api("requests/")["requests"]]


def test_the_switches_cannot_be_read(
    store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(store, "control", fail)
        same_as_bare(bare)
        assert recorder.flush()
    assert "middleware: reading the switches" in text_of(look())
    assert len(api("requests/")["requests"]) == len(PATHS["wsgi"])


def test_a_fault_in_the_filter_of_the_access_log_loses_no_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, store: Store
) -> None:
    monkeypatch.setattr(access_log, "_parts", fail)
    with caplog.at_level("INFO", logger="django.server"):
        logging.getLogger("django.server").info("GET / 200")
    assert "GET / 200" in caplog.messages


# -- the store ------------------------------------------------------------------------------------------------------


class Hanging(MemoryStore):
    """A store that does not come back from ``append()`` until it is let go."""

    def __init__(self) -> None:
        super().__init__(lambda: 500)
        self.reached = threading.Event()
        self.let_go = threading.Event()

    def append(self, batch: Any) -> int:
        self.reached.set()
        self.let_go.wait(30)
        return super().append(batch)


@pytest.fixture
def hanging(store: Store) -> Iterator[Hanging]:
    """A store that hangs, in use; it is let go at the end."""
    made = Hanging()
    with configured.use(made):
        yield made
        made.let_go.set()
        assert recorder.flush()


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_store_that_hangs_holds_up_no_request_and_is_told(
    interface: str, hanging: Hanging, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    same_as_bare(bare, interface, ("/",))
    assert hanging.reached.wait(10)
    same_as_bare(bare, interface)
    later = clock.now() + 9_000_000_000
    with monkeypatch.context() as ahead:
        ahead.setattr(clock, "now", lambda: later)
        assert "the store has not answered for" in text_of(look())
    hanging.let_go.set()
    assert recorder.flush()
    assert len(api("requests/")["requests"]) == 1 + len(PATHS[interface])
    assert "has not answered" not in text_of(look())


def test_when_too_many_requests_wait_the_rest_is_counted_and_told(
    hanging: Hanging, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = recorder.dropped()
    same_as_bare(bare, "wsgi", ("/",))
    assert hanging.reached.wait(10)
    monkeypatch.setattr(recorder, "room", 3)
    same_as_bare(bare, "wsgi", PATHS["wsgi"][:6])
    assert recorder.dropped() - lost == 3
    told = " ".join(text_of(look()).split())
    assert (
        "recorder: queue failed (it is full: more requests come in than can be recorded, and some are not), 3 times"
        in told
    )


def test_a_full_disk_changes_no_answer_and_is_told(
    tmp_path: Path, store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SqliteStore(tmp_path / "store.sqlite3", lambda: 500)
    full.last_seq()
    full.close()
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "PRAGMA max_page_count = 1"))
    with configured.use(full):
        for _ in range(3):
            same_as_bare(bare)
        assert recorder.flush()
        assert "disk is full" in text_of(look())
        assert len(api("requests/")["requests"]) == 3 * len(PATHS["wsgi"])
        full.close()


def test_a_store_that_cannot_be_read_leaves_the_site_alone_and_says_so(
    store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: Any) -> Any:
        raise StoreError("The store's server is gone.")

    for name in ("after", "newest", "last_seq", "read", "append", "put_plan", "put_process", "put_faults", "watched"):
        monkeypatch.setattr(store, name, unreadable)
    same_as_bare(bare)
    assert recorder.flush()
    answer = look()
    assert answer.status_code == 503
    assert "The store's server is gone." in text_of(answer)
    monkeypatch.undo()


# -- the recorder's thread ------------------------------------------------------------------------------------------


def threads() -> list[threading.Thread]:
    """The recorder's threads that live."""
    return [thread for thread in threading.enumerate() if thread.name == "pipeline-inspector-recorder"]


def test_a_recorder_that_dies_comes_back_with_the_next_request_and_is_told(
    store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    same_as_bare(bare, "wsgi", ("/",))
    assert recorder.flush()
    (first,) = threads()
    with monkeypatch.context() as broken:
        broken.setattr(recorder.Keeper, "turn", lambda keeper: (_ for _ in ()).throw(SystemExit(WRONG)))
        recorder._wake.set()
        first.join(10)
        assert not threads()
    same_as_bare(bare)
    assert recorder.flush()
    assert len(api("requests/")["requests"]) == 1 + len(PATHS["wsgi"])
    assert "recorder: thread failed (SystemExit" in text_of(look())


def test_where_no_thread_can_be_started_the_site_answers_and_records_come_later(
    store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    same_as_bare(bare, "wsgi", ("/",))
    assert recorder.flush()
    (first,) = threads()
    with monkeypatch.context() as broken:
        broken.setattr(recorder.Keeper, "turn", lambda keeper: (_ for _ in ()).throw(SystemExit(WRONG)))
        recorder._wake.set()
        first.join(10)
    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", fail_with(RuntimeError("can't start new thread")))
        same_as_bare(bare, paths=("/", "/logs/"))
    assert "can't start new thread" in text_of(look())
    same_as_bare(bare, "wsgi", ("/",))
    assert recorder.flush()
    assert len(api("requests/")["requests"]) == 4


def fail_with(error: Exception) -> Callable[..., Any]:
    """Raises ``error``."""

    def failing(*_: Any, **__: Any) -> Any:
        raise error

    return failing


# -- the channel layer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["BrokenLayer", "HangingLayer"])
def test_a_channel_layer_in_trouble_changes_no_answer_and_is_told(
    backend: str, store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.02)
    monkeypatch.setattr(live, "_state", live._State())
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": f"tests.security.layers.{backend}"}}):
        same_as_bare(bare)
        assert recorder.flush()
        assert "live: publish failed" in text_of(look())
        live.close()


# -- showing ----------------------------------------------------------------------------------------------------------


def test_a_record_that_cannot_be_put_together_is_told_and_the_others_are_shown(
    store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    same_as_bare(bare, "wsgi", ("/", "/logs/"))
    assert recorder.flush()
    first, second = api("requests/")["requests"]
    monkeypatch.setattr(reader, "assemble", fail)
    same_as_bare(bare)
    answer = look(f"requests/{first['id']}/")
    assert answer.status_code == 500
    assert WRONG in text_of(answer)
    refused = look(f"api/requests/{second['id']}/")
    assert refused.status_code == 500
    assert refused.headers["Content-Type"] == "application/json"
    page = text_of(look())
    assert "/logs/" in page
    assert WRONG in page


def test_a_fault_in_drawing_is_told_on_the_page_and_changes_no_answer(
    store: Store, bare: dict[tuple[str, str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(fragments, "rows", fail)
        broken.setattr(fragments, "requests_page", fail)
        same_as_bare(bare)
        answer = look()
        assert answer.status_code == 500
        assert WRONG in text_of(answer)
    assert WRONG in text_of(look())


@pytest.mark.parametrize("interface", INTERFACES)
def test_without_a_fault_nothing_is_told_and_the_answers_are_the_same(
    interface: str, store: Store, bare: dict[tuple[str, str], Answer]
) -> None:
    same_as_bare(bare, interface)
    assert recorder.flush()
    assert faults.seen() == []
    assert len(api("requests/")["requests"]) == len(PATHS[interface])


def wait_until(true: Callable[[], bool]) -> None:
    """Return as soon as ``true()``; the recorder keeps house about once a second."""
    patience = threading.Event()
    for _ in range(500):
        if true():
            return
        recorder._wake.set()
        patience.wait(0.01)
    raise AssertionError(f"not after 5 s; seen: {faults.seen()}")
