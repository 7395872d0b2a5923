"""The WebSocket of an open page: who may listen, what the page says, and its updates as they come.

The page speaks in small JSON frames, each of which tells all that has changed on its side: ``after`` (the ``seq`` its
list stands at), ``filter`` (as in a query string), ``paused``, ``round`` (a number that is sent back before the first update
made after this frame), ``packed`` (it takes long updates as binary frames: UTF-8 in raw DEFLATE), and ``shown`` (the
``seq`` of the last update it has drawn). A page that sends ``shown`` is not sent more than a few updates ahead of it, and
every few seconds at least one, so that it notices when the connection is dead.
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Any

import msgspec
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import QueryDict

from pipeline_inspector import faults
from pipeline_inspector.page import access, hub, query, source
from pipeline_inspector.page.responses import Refused
from pipeline_inspector.page.viewer import NONE_SHOWN, Change, Update, Viewer, nothing
from pipeline_inspector.reader import Filter

FRAME_MAX = 8 * 1024
AHEAD_MAX = 5
PACKED_FROM = 2000
"""Characters: shorter updates are sent as they are."""

NOT_ALLOWED, NOT_TEXT, NOT_READABLE, TOO_BIG, FAILED = 4403, 1003, 1007, 1009, 1011


class Said(msgspec.Struct):
    """One frame of the page; what it leaves out stays as it was."""

    after: int | None = None
    filter: dict[str, str] | None = None
    paused: bool | None = None
    round: int | None = None
    packed: bool | None = None
    shown: int | None = None


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One open page."""

    channel_layer_alias = ""
    """None: the hub listens to the group, once for all pages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._viewer: Viewer | None = None
        self._changed = asyncio.Event()
        self._seen = asyncio.Event()
        self._ahead = 0
        self._counts = False
        self._takes_packed = False
        self._closed = False
        self._sending: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stop()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """The three messages of a socket. (Channels' own also looks after the site's database connections: not ours.)"""
        if message["type"] == "websocket.connect":
            await self.connect()
        elif message["type"] == "websocket.receive":
            await self.receive(message.get("text"), message.get("bytes"))
        elif message["type"] == "websocket.disconnect":
            raise StopConsumer

    async def connect(self) -> None:
        """Let in who may look and comes from our own page; refuse the handshake of others."""
        try:
            self._viewer = await asyncio.to_thread(self._admit)
        except Exception as error:
            faults.note("page: socket", error)
        if self._viewer is None:
            self._closed = True
            await self.close(NOT_ALLOWED)
            return
        await self.accept()
        self._sending = asyncio.create_task(self._send_updates(self._viewer))

    def _admit(self) -> Viewer | None:
        if not access.may_look(self.scope).ok or not access.may_listen(self.scope, lambda: source.reader().store):
            return None
        try:
            asked = query.read(QueryDict(self.scope.get("query_string", b"")))
        except (Refused, ValueError):
            asked = query.Asked()
        tail = source.newest(source.base_of_scope(self.scope))
        after = tail.reader.store.last_seq() if asked.after is None else asked.after
        return Viewer(tail, asked.wanted, after, asked.paused, NONE_SHOWN)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take a frame of the page; close at one that no page of ours sends."""
        if self._closed or self._viewer is None:
            return
        if text_data is None:
            await self._refuse(NOT_TEXT)
        elif len(text_data) > FRAME_MAX:
            await self._refuse(TOO_BIG)
        else:
            try:
                said = msgspec.json.decode(text_data.encode("utf-8", "replace"), type=Said)
                self._listen_to(said, self._viewer)
            except (msgspec.MsgspecError, Refused):
                await self._refuse(NOT_READABLE)

    def _listen_to(self, said: Said, viewer: Viewer) -> None:
        if said.shown is not None:
            self._counts, self._ahead = True, max(0, self._ahead - 1)
            self._seen.set()
        if said.packed is not None:
            self._takes_packed = said.packed
        if said.after is None and said.filter is None and said.paused is None:
            return
        if said.after is not None and not 0 <= said.after <= query.SEQ_MAX:
            raise Refused(400, "bad_frame", "after is out of range")
        last = viewer.latest()
        viewer.change(
            Change(
                last.wanted if said.filter is None else _filter(said.filter),
                last.after if said.after is None else said.after,
                last.paused if said.paused is None else said.paused,
                last.round if said.round is None else said.round,
            )
        )
        self._changed.set()

    async def _send_updates(self, viewer: Viewer) -> None:
        told = viewer.round
        with suppress(asyncio.CancelledError):
            try:
                async with aclosing(hub.updates(viewer, self._changed)) as updates:
                    async for update in updates:
                        silent = update is None and self._counts
                        if (silent or viewer.round != told) and not await self._sent(nothing(viewer.round)):
                            return
                        told = viewer.round
                        if update is not None and not await self._sent(update):
                            return
            except Exception as error:
                faults.note("page: socket", error)
                await self._refuse(FAILED)

    async def _sent(self, update: str) -> bool:
        """Send, then wait for a page that has fallen behind, so that nothing heaps up for it. A server may raise anything
        when the other side is gone, and tells us of it besides."""
        try:
            if self._takes_packed and isinstance(update, Update) and len(update) >= PACKED_FROM:
                await self.send(bytes_data=update.packed)
            else:
                await self.send(text_data=update)
        except Exception:
            self._closed = True
        self._ahead += 1
        while not self._closed and self._counts and self._ahead >= AHEAD_MAX:
            self._seen.clear()
            await self._seen.wait()
        return not self._closed

    async def _refuse(self, code: int) -> None:
        self._closed = True
        with suppress(Exception):
            await self.close(code)
        await self._stop()

    async def _stop(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None and sending is not asyncio.current_task():
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


def _filter(given: dict[str, str]) -> Filter:
    texts = QueryDict(mutable=True)
    texts.update({name: text for name, text in given.items() if name in query.FILTERS})
    return query.read(texts).wanted
