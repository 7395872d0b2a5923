"""The socket of an open page: who is let in, what it is sent, and that nothing the other side does breaks it."""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest
from channels.testing import ApplicationCommunicator
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline_inspector import faults, live
from pipeline_inspector.page import hub
from pipeline_inspector.page.asgi import application
from pipeline_inspector.page.consumers import AHEAD_MAX, FRAME_MAX
from pipeline_inspector.page.viewer import ROWS_MAX
from pipeline_inspector.store.base import StoreError
from tests import samples
from tests.page.conftest import Kept

OWN = [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:8000")]
PATIENCE = 10.0


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that is a coroutine in an event loop of its own; afterwards nobody looks any more."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))
        assert hub.seated() == 0
        assert live.viewers() == 0

    return run


def scope(
    headers: list[tuple[bytes, bytes]] = OWN, query: bytes = b"", client: Any = ("127.0.0.1", 4)
) -> dict[str, Any]:
    """What the server says about a socket that a page on this machine opens."""
    return {
        "type": "websocket",
        "path": "/__inspector__/live/",
        "headers": headers,
        "query_string": query,
        "client": client,
        "server": ("127.0.0.1", 8000),
    }


class Page:
    """The other end of an open socket."""

    def __init__(self, end: ApplicationCommunicator) -> None:
        self.end = end

    async def say(self, **frame: Any) -> None:
        """Send a frame."""
        await self.send(text=json.dumps(frame))

    async def send(self, **message: Any) -> None:
        """Send a raw message."""
        await self.end.send_input({"type": "websocket.receive", **message})

    async def next(self) -> "Update":
        """The next update."""
        message = await self.end.receive_output(PATIENCE)
        assert message["type"] == "websocket.send", message
        return Update(message["text"])

    async def closed(self) -> int:
        """The code that the socket is closed with."""
        message = await self.end.receive_output(PATIENCE)
        assert message["type"] == "websocket.close", message
        return int(message["code"])

    async def silent(self, seconds: float = 0.3) -> bool:
        """Does nothing come?"""
        return bool(await self.end.receive_nothing(seconds, 0.02))


class Update:
    """One update, taken apart."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.ids = re.findall(r'<li id="r-([\w-]+)"', html)
        self.data = dict(re.findall(r'data-(upto|more|running|waiting|from|round)="([^"]*)"', html.partition(">")[0]))
        self.upto = int(self.data.get("upto", 0))


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Page]:
    """A page with its socket open."""
    end = ApplicationCommunicator(application, scope(**options))
    await end.send_input({"type": "websocket.connect"})
    assert (await end.receive_output(PATIENCE))["type"] == "websocket.accept"
    yield Page(end)
    await end.send_input({"type": "websocket.disconnect", "code": 1001})
    await end.wait(PATIENCE)


async def refusal(**options: Any) -> int:
    """The code that a handshake is refused with."""
    end = ApplicationCommunicator(application, scope(**options))
    await end.send_input({"type": "websocket.connect"})
    code = await Page(end).closed()
    await end.send_input({"type": "websocket.disconnect", "code": code})
    await end.wait(PATIENCE)
    return code


async def until(true: Callable[[], Any]) -> None:
    """Return when ``true()`` is."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


# -- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"client": ("203.0.113.9", 4)},
        {"client": None},
        {"headers": [(b"host", b"evil.example"), (b"origin", b"http://evil.example")]},
        {"headers": [(b"host", b"localhost:8000"), (b"origin", b"http://evil.example")]},
        {"headers": [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:8001")]},
        {"headers": [(b"host", b"localhost:8000"), (b"origin", b"null")]},
        {"headers": [(b"host", b"localhost:8000"), (b"origin", b"\xff")]},
        {"headers": [(b"host", b"localhost:8000")]},
        {"headers": [*OWN, (b"origin", b"http://evil.example")]},
        {"headers": [(b"host", b"localhost:8000"), (b"x-inspector-token", b"wrong")]},
        {"headers": [(b"origin", b"http://localhost:8000")]},
        {"headers": [*OWN, (b"x-forwarded-for", b"127.0.0.1")], "client": ("203.0.113.9", 4)},
    ],
)
def test_a_stranger_is_refused_at_the_handshake(kept: Kept, options: dict[str, Any]) -> None:
    in_a_loop(_is_refused)(options)


async def _is_refused(options: dict[str, Any]) -> None:
    assert await refusal(**options) == 4403


@in_a_loop
async def test_a_program_shows_the_api_token_in_place_of_an_origin(kept: Kept) -> None:
    headers = [(b"host", b"localhost"), (b"x-inspector-token", kept.store.token().encode())]
    async with opened(headers=headers) as page:
        record = kept.add()
        assert (await page.next()).ids == [record.id]


@in_a_loop
async def test_a_store_that_fails_at_the_handshake_refuses_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise StoreError("no")

    monkeypatch.setattr(kept.store, "last_seq", fail)
    assert await refusal() == 4403
    assert [fault.where for fault in faults.seen()] == ["page: socket"]
    faults.forget()


# -- what is sent -----------------------------------------------------------------------------------------------------


@in_a_loop
async def test_new_requests_come_newest_first(kept: Kept) -> None:
    kept.add()
    async with opened() as page:
        assert await page.silent()
        first, second = kept.add(), kept.add("raised")
        update = await page.next()
        while update.ids == [first.id]:
            update = await page.next()
        assert update.ids[0] == second.id
        assert update.upto == 3
        assert update.data["more"] == "0"


@in_a_loop
async def test_a_page_that_was_away_misses_nothing(kept: Kept) -> None:
    records = [kept.add() for _ in range(5)]
    async with opened(query=b"after=2") as page:
        assert (await page.next()).ids == [records[4].id, records[3].id, records[2].id]
    async with opened() as page:
        await page.say(after=4, shown=4)
        assert (await page.next()).ids == [records[4].id]


@in_a_loop
async def test_after_a_long_absence_the_newest_rows_come_with_a_count_of_the_rest(kept: Kept) -> None:
    for _ in range(ROWS_MAX + 30):
        kept.add()
    async with opened(query=b"after=10") as page:
        update = await page.next()
        assert (len(update.ids), update.data["more"], update.upto) == (ROWS_MAX, "20", ROWS_MAX + 30)


@in_a_loop
async def test_a_store_that_begins_anew_is_followed(kept: Kept) -> None:
    record = kept.add()
    async with opened(query=b"after=5000") as page:
        assert (await page.next()).ids == [record.id]


@in_a_loop
async def test_each_page_has_its_own_filter(kept: Kept) -> None:
    async with opened(query=b"status=5xx") as one, opened() as other:
        await other.say(filter={"method": "POST", "unknown": "x"})
        assert (await other.next()).ids == []
        good, bad = kept.add("passed"), kept.add("raised")
        assert (await one.next()).ids == [bad.id]
        assert (await other.next()).ids == [bad.id]
        await other.say(filter={}, after=0)
        assert (await other.next()).ids == [bad.id, good.id]


@in_a_loop
async def test_while_paused_only_the_number_of_new_rows_comes(kept: Kept) -> None:
    async with opened() as page:
        await page.say(paused=True)
        records = [kept.add() for _ in range(3)]
        update = await page.next()
        while update.data["waiting"] != "3":
            update = await page.next()
        assert (update.ids, update.upto) == ([], 0)
        await page.say(paused=False)
        assert (await page.next()).ids == [record.id for record in reversed(records)]


@in_a_loop
async def test_a_page_is_told_when_another_process_cleared_the_list(kept: Kept) -> None:
    async with opened() as page:
        for _ in range(2):
            kept.add()
        update = await page.next()
        while update.upto < 2:
            update = await page.next()
        kept.store.clear()
        update = await page.next()
        assert (update.ids, update.data["from"]) == ([], "3")
        await page.say(paused=True)
        assert (await page.next()).data["waiting"] == "0"
        kept.add()
        assert (await page.next()).data["waiting"] == "1"
        kept.store.clear()
        update = await page.next()
        while update.data["from"] != "4":
            update = await page.next()
        assert update.data["waiting"] == "0"


@in_a_loop
async def test_a_request_in_hand_is_shown_moves_and_is_finished(kept: Kept) -> None:
    running = samples.record("running")
    row = samples.summary(running)
    async with opened() as page:
        kept.store.put_running("p-1", [row])
        first = await page.next()
        assert (first.ids, first.data["running"]) == ([row.id], row.id)
        row.layer_now = "shop.later.LaterMiddleware"
        kept.store.put_running("p-1", [row])
        moved = await page.next()
        assert moved.ids == [row.id]
        assert "Later" in moved.html
        kept.store.put_running("p-1", [])
        finished = kept.add("passed", as_id=row.id)
        update = await page.next()
        while finished.id not in update.ids:
            update = await page.next()
        assert 'data-state="finished"' in update.html
        assert update.data["running"] == ""


@in_a_loop
async def test_a_request_that_is_finished_is_not_shown_as_running_any_more(kept: Kept) -> None:
    async with opened() as page:
        finished = kept.add()
        assert (await page.next()).ids == [finished.id]
        stale = samples.summary(samples.record("running"))
        stale.id = finished.id
        kept.store.put_running("p-1", [stale])
        assert await page.silent()


@in_a_loop
async def test_a_published_seq_wakes_the_page_and_is_joined_with_others(kept: Kept) -> None:
    async with opened() as page:
        assert await page.silent(0.15)
        for _ in range(50):
            kept.add()
            await asyncio.to_thread(live.publish, kept.store.last_seq())
        seen: list[str] = []
        updates = 0
        while len(seen) < 50:
            seen += (await page.next()).ids
            updates += 1
        assert len(set(seen)) == 50
        assert updates < 25


@in_a_loop
async def test_beyond_fifty_pages_each_is_sent_fewer_updates(kept: Kept) -> None:
    async with opened() as page:
        kept.add()
        await page.next()
        (eyes,) = hub._hubs.values()
        assert eyes.tick() == hub.TICK
        others = {asyncio.Event() for _ in range(99)}
        eyes.seats |= others
        assert len(eyes.seats) / eyes.tick() == hub.UPDATES_MAX
        eyes.seats -= others


async def test_while_a_page_is_open_the_store_knows_that_somebody_looks(kept: Kept) -> None:
    async with opened() as page:
        assert await page.silent(0.3)
        assert kept.store.watched()


@in_a_loop
async def test_a_page_that_does_not_keep_up_is_not_sent_more_and_holds_up_nobody(kept: Kept) -> None:
    async with opened() as slow, opened() as quick:
        await slow.say(shown=0)
        seen: list[str] = []
        total = 2 * AHEAD_MAX
        for _ in range(total):
            record = kept.add()
            while record.id not in seen:
                seen += (await quick.next()).ids
        waiting = 0
        while not await slow.silent(0.25):
            await slow.next()
            waiting += 1
        assert waiting == AHEAD_MAX
        caught_up: list[str] = []
        await slow.say(shown=1)
        caught_up += (await slow.next()).ids
        assert len(caught_up) == total - AHEAD_MAX


# -- odd frames -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"bytes": b"\x00\x01"}, 1003),
        ({"bytes": b""}, 1003),
        ({}, 1003),
        ({"text": None, "bytes": None}, 1003),
        ({"text": ""}, 1007),
        ({"text": "{"}, 1007),
        ({"text": "[]"}, 1007),
        ({"text": "null"}, 1007),
        ({"text": '{"after": "1"}'}, 1007),
        ({"text": '{"after": -1}'}, 1007),
        ({"text": '{"after": 1e400}'}, 1007),
        ({"text": '{"after": ' + "9" * 1000 + "}"}, 1007),
        ({"text": '{"filter": {"status": "9xx"}}'}, 1007),
        ({"text": '{"filter": {"path": 1}}'}, 1007),
        ({"text": '{"paused": 1}'}, 1007),
        ({"text": "\ud800"}, 1007),
        ({"text": "[" * FRAME_MAX}, 1007),
        ({"text": '"' + "x" * FRAME_MAX + '"'}, 1009),
    ],
)
def test_an_odd_frame_closes_the_socket_and_logs_nothing(
    kept: Kept, caplog: pytest.LogCaptureFixture, message: dict[str, Any], code: int
) -> None:
    in_a_loop(_is_closed)(message, code)
    assert caplog.records == []


async def _is_closed(message: dict[str, Any], code: int) -> None:
    async with opened() as page:
        await page.send(**message)
        assert await page.closed() == code
        await page.send(text="{}")
        assert await page.silent(0.1)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(frames=st.lists(st.one_of(st.text(max_size=50), st.binary(max_size=50), st.just('{"after": 0}')), max_size=5))
def test_no_frames_at_all_break_the_socket(kept: Kept, frames: list[str | bytes]) -> None:
    async def send() -> None:
        async with opened() as page:
            for frame in frames:
                await page.send(**({"text": frame} if isinstance(frame, str) else {"bytes": frame}))

    in_a_loop(send)()


# -- ends -------------------------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_socket_that_is_gone_ends_quietly(kept: Kept) -> None:
    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            raise OSError("gone")

    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    task = asyncio.create_task(application(scope(), incoming.get, send))
    await until(hub.seated)
    kept.add()
    await until(lambda: not hub.seated())
    incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await task


@in_a_loop
async def test_a_server_that_cancels_the_socket_leaves_nothing_behind(kept: Kept) -> None:
    end = ApplicationCommunicator(application, scope())
    await end.send_input({"type": "websocket.connect"})
    await end.receive_output(PATIENCE)
    await until(hub.seated)
    end.future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end.future


@in_a_loop
async def test_a_store_that_fails_for_a_while_is_waited_for(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "REST", 0.05)
    async with opened() as page:
        with monkeypatch.context() as broken:

            def fail() -> list[Any]:
                raise StoreError("no")

            broken.setattr(kept.store, "running", fail)
            await until(faults.seen)
        record = kept.add()
        assert (await page.next()).ids == [record.id]
    assert [fault.where for fault in faults.seen()] == ["page: looking at the store"]
    faults.forget()


# -- updates that pages share -----------------------------------------------------------------------------------------


@in_a_loop
async def test_pages_that_want_the_same_are_given_one_update_packed_once(kept: Kept) -> None:
    async with opened() as one, opened() as two:
        pages = (one, two)
        for page in pages:
            await page.say(packed=True)
        await until(lambda: hub.seated() == 2)
        assert await one.silent(0.3)
        for _ in range(20):
            kept.add()
        seen: list[str] = []
        sent: list[Any] = []
        while len(seen) < 20:
            messages = [await page.end.receive_output(PATIENCE) for page in pages]
            sent = [message.get("bytes") or message["text"] for message in messages]
            assert sent[0] is sent[1]
            seen += unpacked(sent[0]).ids
        assert isinstance(sent[0], bytes)
        assert len(set(seen)) == 20


@in_a_loop
async def test_who_did_not_ask_for_packed_updates_is_sent_text(kept: Kept) -> None:
    async with opened() as page:
        assert await page.silent(0.3)
        for _ in range(20):
            kept.add()
        seen: list[str] = []
        while len(seen) < 20:
            seen += (await page.next()).ids


@in_a_loop
async def test_short_updates_are_not_packed(kept: Kept) -> None:
    async with opened() as page:
        await page.say(packed=True)
        kept.add()
        assert len((await page.next()).ids) == 1


@in_a_loop
async def test_a_page_that_changed_its_mind_is_told_before_the_first_update_that_knows(kept: Kept) -> None:
    ids = [kept.add().id for _ in range(3)]
    async with opened() as page:
        assert await page.silent(0.3)
        await page.say(after=0, round=7)
        told = await page.next()
        assert (told.ids, told.data) == ([], {"round": "7"})
        assert (await page.next()).ids == ids[::-1]


def unpacked(sent: bytes | str) -> Update:
    """The update in a frame."""
    return Update(sent if isinstance(sent, str) else zlib.decompress(sent, wbits=-zlib.MAX_WBITS).decode())
