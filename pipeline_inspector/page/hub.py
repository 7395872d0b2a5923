"""Wakes the viewers of one event loop when there is something new: one pair of eyes on the store for all of them.

It listens to the Channels group, and looks for itself ten times a second, so that requests of processes that share no
channel layer with this one are seen as well. It lives only while somebody looks.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from pipeline_inspector import faults, live
from pipeline_inspector.page.tail import Tail
from pipeline_inspector.page.viewer import Update, Viewer

TICK = 0.1
"""Seconds: no viewer is sent more than one update in this time."""
UPDATES_MAX = 500
"""Updates a second to all viewers of one event loop together: beyond fifty, each is sent fewer, with more in them."""
SILENCE = 2.0
"""Seconds after which a viewer for whom there is nothing is told so."""
REST = 1.0
"""Seconds to wait after the store, or a channel layer, failed."""


class Hub:
    """The viewers of one ``tail`` in the running event loop."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.seats: set[asyncio.Event] = set()
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look now, or as soon as a tick has passed since there was last something to see."""
        self._wake.set()

    def tick(self) -> float:
        """Seconds between two updates while there is always something to see."""
        return max(TICK, len(self.seats) / UPDATES_MAX)

    async def stop(self) -> None:
        """Stop looking and listening."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        with live.joined() as layer:
            listening = asyncio.create_task(self._listen(layer))
            try:
                while True:
                    await self._look()
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening

    async def _look(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._wake.wait()
        self._wake.clear()
        try:
            new = await asyncio.to_thread(self.tail.refresh)
        except Exception as error:
            faults.note("page: looking at the store", error)
            await asyncio.sleep(REST)
            return
        if new:
            for seat in self.seats:
                seat.set()
            await asyncio.sleep(self.tick())

    async def _listen(self, layer: Any) -> None:
        """Be woken by the group. A layer that fails is tried again later; looking goes on without it."""
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(live.GROUP, channel)
                try:
                    while True:
                        await _message(layer, channel)
                        self.wake()
                finally:
                    async with asyncio.timeout(live.PATIENCE):
                        await layer.group_discard(live.GROUP, channel)
            except Exception as error:
                faults.note("live: listening", error)
                await asyncio.sleep(REST)


async def _message(layer: Any, channel: str) -> None:
    """Wait for a message, or until the layer's client gives up waiting: a Redis client may do so every few seconds."""
    try:
        await layer.receive(channel)
    except Exception as error:
        if type(error).__name__ != "TimeoutError":
            raise


_hubs: dict[tuple[asyncio.AbstractEventLoop, Tail], Hub] = {}


def seated() -> int:
    """How many viewers listen in this process."""
    return sum(len(hub.seats) for hub in _hubs.values())


async def updates(viewer: Viewer, changed: asyncio.Event | None = None) -> AsyncGenerator[Update | None]:
    """The HTML updates of ``viewer``, each as soon as there is one, at most one a tick; None every few seconds in which
    there is none. Set ``changed`` when the viewer was changed. Must be closed."""
    changed = changed or asyncio.Event()
    key = (asyncio.get_running_loop(), viewer.tail)
    hub = _hubs.get(key) or _hubs.setdefault(key, Hub(viewer.tail))
    hub.seats.add(changed)
    changed.set()
    try:
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    await changed.wait()
            except TimeoutError:
                yield None
                continue
            changed.clear()
            update = viewer.update() if viewer.is_at_hand() else await asyncio.to_thread(viewer.update)
            if update is not None:
                yield update
                await asyncio.sleep(TICK)
    finally:
        hub.seats.discard(changed)
        if not hub.seats:
            _hubs.pop(key, None)
            await hub.stop()
