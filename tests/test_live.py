"""Publishing: from any thread or loop, with layers in memory and shared ones; it wakes viewers and never fails or waits."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from django.test import override_settings
from redis.asyncio import Redis

from pipeline_inspector import conf, faults, live
from pipeline_inspector.page import hub
from pipeline_inspector.page.tail import Tail
from pipeline_inspector.page.viewer import NONE_SHOWN, Viewer
from pipeline_inspector.reader import Filter, Reader
from pipeline_inspector.store.base import Store
from tests.store.places import Place, RedisServer

IN_MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
SHARED = {"default": {"BACKEND": f"{__name__}.Shared"}}
PATIENCE = 10.0


class Shared:
    """A layer that processes share, as far as sending goes."""

    sent: list[tuple[str, dict[str, Any]]] = []
    loops: list[asyncio.AbstractEventLoop] = []
    failure: Exception | None = None
    stuck = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.loops.append(asyncio.get_running_loop())
        if self.failure:
            raise self.failure
        if self.stuck:
            await asyncio.Event().wait()
        self.sent.append((group, message))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin and end without failures and without a loop of our own."""
    for name, value in (("sent", []), ("loops", []), ("failure", None), ("stuck", False)):
        monkeypatch.setattr(Shared, name, value)
    live.close()
    faults.forget()
    yield
    live.close()
    assert faults.seen() == []
    assert live.viewers() == 0


def _from_a_thread(seq: int) -> None:
    thread = threading.Thread(target=live.publish, args=[seq])
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


async def _hear(publish: Any) -> list[int]:
    """What a viewer in this loop hears, up to seq 3, when ``publish(3)`` is called."""
    with live.joined() as layer:
        channel = await layer.new_channel()
        await layer.group_add(live.GROUP, channel)
        await publish(3)
        heard = []
        async with asyncio.timeout(PATIENCE):
            while not heard or heard[-1] < 3:
                message = await layer.receive(channel)
                assert message["type"] == live.TYPE
                heard.append(message["seq"])
        await layer.group_discard(live.GROUP, channel)
        return heard


async def _in_a_thread(seq: int) -> None:
    await asyncio.to_thread(live.publish, seq)


async def _here(seq: int) -> None:
    live.publish(seq)


@pytest.mark.parametrize("publish", [_in_a_thread, _here])
@pytest.mark.parametrize("layers", [{}, IN_MEMORY])
def test_a_viewer_hears_what_a_thread_or_a_loop_publishes(layers: dict[str, Any], publish: Any) -> None:
    with override_settings(CHANNEL_LAYERS=layers):
        assert asyncio.run(_hear(publish)) == [3]


def test_the_configured_layer_in_memory_is_the_one_that_is_used() -> None:
    async def listen() -> dict[str, Any]:
        layer = get_channel_layer()
        assert layer is not None
        with live.joined() as own:
            assert own is layer
            await layer.group_add(live.GROUP, "test.channel!1")
            await _in_a_thread(7)
            async with asyncio.timeout(PATIENCE):
                message: dict[str, Any] = await layer.receive("test.channel!1")
            return message

    with override_settings(CHANNEL_LAYERS=IN_MEMORY):
        assert asyncio.run(listen()) == {"type": "pipeline.upto", "seq": 7}


def test_the_setting_names_another_layer() -> None:
    layers = {**IN_MEMORY, "second": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    async def joined() -> Any:
        with live.joined() as layer:
            return layer

    with override_settings(CHANNEL_LAYERS=layers, PIPELINE_INSPECTOR={"CHANNEL_LAYER": "second"}):
        assert conf.current().channel_layer == "second"
        assert asyncio.run(joined()) is channel_layers["second"]
    with override_settings(CHANNEL_LAYERS=layers, PIPELINE_INSPECTOR={"CHANNEL_LAYER": "nobody"}):
        assert isinstance(asyncio.run(joined()), InMemoryChannelLayer)


def test_a_layer_that_cannot_be_made_is_told_and_replaced_by_one_in_memory() -> None:
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": "not.there"}}):
        assert asyncio.run(_hear(_in_a_thread)) == [3]
    assert {fault.where for fault in faults.seen()} == {"live: channel layer"}
    faults.forget()


def test_viewers_of_two_loops_hear_it_both() -> None:
    both = threading.Barrier(3, timeout=PATIENCE)
    heard: list[int] = []

    async def view() -> None:
        async def wait(seq: int) -> None:
            await asyncio.to_thread(both.wait)

        heard.extend(await _hear(wait))

    threads = [threading.Thread(target=lambda: asyncio.run(view())) for _ in range(2)]
    for thread in threads:
        thread.start()
    both.wait()
    _from_a_thread(3)
    for thread in threads:
        thread.join(PATIENCE)
    assert heard == [3, 3]


def test_a_flood_is_joined_into_few_messages() -> None:
    async def count() -> int:
        with live.joined() as layer:
            channel = await layer.new_channel()
            await layer.group_add(live.GROUP, channel)
            for number in range(1, 1000):
                live.publish(number)
            await asyncio.sleep(0.05)
            found = 0
            while channel in layer.channels and not layer.channels[channel].empty():
                await layer.receive(channel)
                found += 1
            return found

    assert asyncio.run(count()) == 1


def test_without_viewers_nothing_is_sent_and_nothing_breaks() -> None:
    _from_a_thread(1)
    live.publish(2)


def test_a_loop_that_ended_without_a_word_is_forgotten() -> None:
    loop = asyncio.new_event_loop()

    async def join() -> Any:
        context = live.joined()
        context.__enter__()
        return context

    context = loop.run_until_complete(join())
    loop.close()
    live.publish(1)
    assert asyncio.run(_hear(_in_a_thread)) == [3]
    context.__exit__(None, None, None)


def test_a_shared_layer_is_used_from_one_loop_of_our_own() -> None:
    with override_settings(CHANNEL_LAYERS=SHARED):
        for seq in (1, 2):
            _from_a_thread(seq)
    assert Shared.sent == [(live.GROUP, live.message(1)), (live.GROUP, live.message(2))]
    assert Shared.loops[0] is Shared.loops[1]


def test_in_a_running_loop_a_shared_layer_is_used_from_that_loop() -> None:
    async def publish() -> None:
        live.publish(4)
        await asyncio.sleep(0.01)
        assert Shared.loops == [asyncio.get_running_loop()]

    with override_settings(CHANNEL_LAYERS=SHARED):
        asyncio.run(publish())
    assert Shared.sent == [(live.GROUP, live.message(4))]


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
def test_a_shared_layer_in_trouble_is_left_alone_for_a_while(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.05)
    if trouble == "fails":
        monkeypatch.setattr(Shared, "failure", OSError("no server"))
    else:
        monkeypatch.setattr(Shared, "stuck", True)
    with override_settings(CHANNEL_LAYERS=SHARED):
        for seq in range(5):
            _from_a_thread(seq)
        assert len(Shared.loops) == 1
        assert [fault.where for fault in faults.seen()] == ["live: publish"]
        faults.forget()
        monkeypatch.setattr(Shared, "failure", None)
        monkeypatch.setattr(Shared, "stuck", False)
        later = live.clock.now() + live.REST_NS + 1
        monkeypatch.setattr(live.clock, "now", lambda: later)
        _from_a_thread(9)
    assert Shared.sent == [(live.GROUP, live.message(9))]


def test_a_thread_that_waits_is_woken() -> None:
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        live.wait(PATIENCE * 3)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait(PATIENCE)
    while thread.is_alive():
        live.publish(1)
        thread.join(0.02)


# -- two processes -------------------------------------------------------------------------------------------------------

PUBLISHER = """
import sys
from pathlib import Path
from django.conf import settings

settings.configure(CHANNEL_LAYERS={"default": {
    "BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [sys.argv[1]]}
}})
import django
django.setup()

from pipeline_inspector import live
from tests.store.places import Place, sealed

sys.stdin.read()
store = Place("sqlite", sys.argv[2]).open()
live.publish(store.append([sealed("from-another-process")]))
store.close()
"""


def test_a_message_by_redis_wakes_a_page_that_another_process_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    file = str(tmp_path / "requests.sqlite3")
    layers = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [server.address]}}}
    monkeypatch.setattr(hub, "TICK", 60.0)
    command = [sys.executable, "-c", PUBLISHER, server.address, file]
    try:
        with override_settings(CHANNEL_LAYERS=layers), subprocess.Popen(command, stdin=subprocess.PIPE) as publisher:
            html = asyncio.run(_next_update(Place("sqlite", file).open(), server, publisher))
        assert 'id="r-from-another-process"' in html
        assert publisher.returncode == 0
    finally:
        server.stop()


async def _next_update(store: Store, server: RedisServer, publisher: "subprocess.Popen[bytes]") -> str:
    """The first update of a page that looks for itself once a minute, after ``publisher`` was let go."""
    assert publisher.stdin is not None
    seen = Tail(Reader(store), lambda row: f'<li id="r-{row.id}"></li>')
    async with (
        asyncio.timeout(PATIENCE * 3),
        aclosing(hub.updates(Viewer(seen, Filter(), shown=NONE_SHOWN))) as updates,
    ):
        waiting = asyncio.ensure_future(anext(updates))
        redis = Redis.from_url(server.address)
        while not await redis.exists(f"asgi:group:{live.GROUP}"):
            await asyncio.sleep(0.01)
        await redis.aclose()
        publisher.stdin.close()
        html = await waiting
        while html is None:
            html = await anext(updates)
    store.close()
    return html


def test_a_client_that_gives_up_waiting_is_no_failure() -> None:
    class TimeoutError(Exception):
        pass

    class Layer:
        waits = 0

        async def receive(self, channel: str) -> None:
            self.waits += 1
            if self.waits == 1:
                raise TimeoutError
            raise ConnectionResetError(channel)

    layer = Layer()
    asyncio.run(hub._message(layer, "a"))
    with pytest.raises(ConnectionResetError):
        asyncio.run(hub._message(layer, "a"))
