"""The event stream: what it carries, when there is none, and that a thread is given back."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_inspector import faults, live
from pipeline_inspector.page import door, events, hub, tail
from pipeline_inspector.store.base import StoreError
from tests.page.conftest import Client, Kept
from tests.page.test_consumers import Update
from tests.page.test_views import asgi

PATIENCE = 10.0


def in_a_thread(name: str, work: Callable[[], Any]) -> Any:
    """The result of ``work`` done in a thread of that name, as a server would do it."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), name=name)
    thread.start()
    thread.join(PATIENCE)
    assert results, "the thread did not come to its end"
    return results[0]


@contextmanager
def stream(path: str = "events/", thread: str = "Thread-1 (process_request_thread)", **headers: str) -> Iterator[Any]:
    """An open stream, its parts as an iterator."""
    client = Client()
    client.factory.defaults["wsgi.multithread"] = True
    response = in_a_thread(thread, lambda: client.get(path, **headers))
    assert response.status_code == 200, response.content
    try:
        yield iter(response)
    finally:
        response.close()


def news(parts: Iterator[bytes]) -> Update:
    """The next update that a stream carries."""
    for part in parts:
        lines = part.decode().split("\n")
        if part != events.HEARTBEAT and any(line.startswith("data: ") for line in lines):
            update = Update("\n".join(line[6:] for line in lines if line.startswith("data: ")))
            assert f"id: {update.upto}" in lines
            return update
    raise AssertionError("the stream ended")


def test_the_stream_carries_new_requests(kept: Kept) -> None:
    kept.add()
    with stream() as parts:
        assert next(parts) == events.HELLO
        record = kept.add()
        update = news(parts)
        assert (update.ids, update.upto) == ([record.id], 2)
        another = kept.add()
        assert news(parts).ids == [another.id]
    assert events.seats.count() == 0


def test_the_stream_is_never_kept_nor_buffered(kept: Kept) -> None:
    client = Client()
    client.factory.defaults["wsgi.multithread"] = True
    response = in_a_thread("Thread-1 (process_request_thread)", lambda: client.get("events/"))
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Accel-Buffering"] == "no"
    response.close()


@pytest.mark.parametrize(("path", "headers"), [("events/?after=1", {}), ("events/?after=0", {"Last-Event-ID": "1"})])
def test_a_page_that_was_away_misses_nothing(kept: Kept, path: str, headers: dict[str, str]) -> None:
    records = [kept.add() for _ in range(3)]
    with stream(path, **headers) as parts:
        assert news(parts).ids == [records[2].id, records[1].id]


def test_the_filter_and_the_pause_stand_in_the_address(kept: Kept) -> None:
    with stream("events/?after=0&status=5xx") as parts, stream("events/?after=0&paused=1") as waiting:
        kept.add()
        bad = kept.add("raised")
        assert news(parts).ids == [bad.id]
        assert news(waiting).data["waiting"] == "2"


@pytest.mark.parametrize("after", ["x", "-1", "9" * 1000])
def test_a_place_that_cannot_be_read_is_a_400(client: Client, kept: Kept, after: str) -> None:
    assert client.get(f"events/?after={after}").status_code == 400
    assert client.get("events/", Last_Event_ID=after).status_code == 400


@pytest.mark.parametrize(
    ("multithread", "thread"),
    [(False, "Thread-1 (process_request_thread)"), (False, "worker"), (True, "django-main-thread")],
)
def test_where_the_server_has_one_thread_there_is_no_stream(
    client: Client, kept: Kept, multithread: bool, thread: str
) -> None:
    client.factory.defaults["wsgi.multithread"] = multithread
    response = in_a_thread(thread, lambda: client.get("events/"))
    assert response.status_code == 409
    page = in_a_thread(thread, client.get)
    assert b'data-live="poll"' in page.content


def test_a_page_that_asks_now_and_then_is_told_the_same(client: Client, kept: Kept) -> None:
    records = [kept.add() for _ in range(3)]
    update = Update(client.get("rows/?after=1").content.decode())
    assert (update.ids, update.upto) == ([records[2].id, records[1].id], 3)
    again = Update(client.get(f"rows/?after={update.upto}").content.decode())
    assert again.ids == []
    assert Update(client.get("rows/?after=0&paused=1").content.decode()).data["waiting"] == "3"
    assert kept.store.watched()


def test_a_page_that_asks_now_and_then_is_told_when_the_list_was_cleared(
    client: Client, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_FRESH_NS", 0)
    kept.add()
    client.get("rows/?after=1")
    kept.store.clear()
    assert Update(client.get("rows/?after=1").content.decode()).data["from"] == "2"


def test_the_stream_tells_when_the_list_was_cleared(kept: Kept) -> None:
    kept.add()
    with stream() as parts:
        kept.store.clear()
        assert news(parts).data["from"] == "2"


def test_in_a_pool_of_threads_one_is_held_and_the_newest_page_has_it(kept: Kept) -> None:
    with stream(thread="ThreadPoolExecutor-0_1") as first:
        assert next(first) == events.HELLO
        with stream(thread="ThreadPoolExecutor-0_2") as second:
            assert next(second) == events.HELLO
            assert list(first) == [events.POLL_INSTEAD]
            record = kept.add()
            assert news(second).ids == [record.id]


def test_a_browser_has_a_few_streams_and_its_newest_pages_have_them(kept: Kept) -> None:
    with ExitStack() as stack:
        another = stack.enter_context(stream(User_Agent="another"))
        opened = [stack.enter_context(stream()) for _ in range(events.PER_BROWSER + 1)]
        for parts in (another, *opened):
            assert next(parts) == events.HELLO
        first, *newer = opened
        assert list(first) == [events.POLL_INSTEAD]
        record = kept.add()
        assert [news(parts).ids for parts in (another, *newer)] == [[record.id]] * (events.PER_BROWSER + 1)


def test_a_stream_says_something_now_and_then_so_that_a_closed_tab_is_noticed(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_NS", 0)
    with stream() as parts:
        news(parts)
        assert next(parts) == events.HEARTBEAT
        assert events.seats.count() == 1
    assert events.seats.count() == 0


def test_a_stream_ends_by_itself_after_a_while(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIFETIME_NS", 150_000_000)
    with stream() as parts:
        assert len(list(parts)) >= 1
    assert events.seats.count() == 0


def test_a_store_that_fails_for_a_while_does_not_end_the_stream(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with stream() as parts:
        next(parts)
        calls = []

        def fail() -> list[Any]:
            calls.append(1)
            if len(calls) < 3:
                raise StoreError("no")
            return []

        monkeypatch.setattr(kept.store, "running", fail)
        record = kept.add()
        assert news(parts).ids == [record.id]
    assert [fault.where for fault in faults.seen()] == ["page: event stream"]
    faults.forget()


def test_under_asgi_the_stream_is_asynchronous_and_holds_no_thread(kept: Kept) -> None:
    async def listen() -> None:
        response: Any = await door.aanswer(asgi("events/?after=0"))
        parts = aiter(response)
        assert await anext(parts) == events.HELLO
        record = kept.add()
        async with asyncio.timeout(PATIENCE):
            update = await anext(parts)
            while record.id.encode() not in update:
                update = await anext(parts)
        assert hub.seated() == 1
        await parts.aclose()
        del parts, response
        async with asyncio.timeout(PATIENCE):
            while hub.seated():
                await asyncio.sleep(0.01)

    asyncio.run(listen())
    assert events.seats.count() == 0
    assert live.viewers() == 0


@given(html=st.text(), upto=st.integers(0, 10**9))
def test_no_text_can_break_out_of_its_event(html: str, upto: int) -> None:
    sent = events.event(html.encode("utf-8", "replace").decode(), upto).decode()
    assert "\r" not in sent
    first, *data, last, end = sent.split("\n")
    assert (first, last, end) == (f"id: {upto}", "", "")
    assert all(line.startswith("data: ") for line in data)
