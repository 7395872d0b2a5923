"""The Channels group: names, message shapes, publish(). A message only wakes viewers; the store is what they read.

``publish()`` may be called from any plain thread or event loop, and never on the path of a request. Queues in memory
belong to the event loop of the viewers, so a send to them is handed over to that loop; a layer that processes share is
used from a loop of our own. Viewers that are plain threads wait here too.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from channels.layers import InMemoryChannelLayer, channel_layers
from django.conf import settings

from pipeline_inspector import clock, conf, faults

GROUP = "pipeline_inspector"
TYPE = "pipeline.upto"
PATIENCE = 1.0
REST_NS = 5_000_000_000
"""After a failure of a shared layer, nothing is sent for so long: viewers look for themselves meanwhile."""


class _Seat(msgspec.Struct):
    """An event loop with viewers: the layer they listen to, how many there are, and whether a send is under way."""

    layer: Any
    viewers: int = 0
    sending: bool = False


class _State(msgspec.Struct):
    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)
    woken: threading.Condition = msgspec.field(default_factory=threading.Condition)
    seats: dict[asyncio.AbstractEventLoop, _Seat] = msgspec.field(default_factory=dict)
    own_loop: asyncio.AbstractEventLoop | None = None
    rest_until: int = 0
    tasks: set[asyncio.Task[None]] = msgspec.field(default_factory=set)


_state = _State()


def publish(last_seq: int) -> None:
    """Tell all viewers that there are records up to ``last_seq``. Never raises; failures go to ``faults.note``."""
    try:
        with _state.woken:
            _state.woken.notify_all()
        shared = _shared_layer()
        if shared is None:
            for loop, seat in list(_state.seats.items()):
                _hand_over(loop, seat, last_seq)
        elif clock.now() >= _state.rest_until:
            _send_shared(shared, last_seq)
    except Exception as error:
        _state.rest_until = clock.now() + REST_NS
        faults.note("live: publish", error)


def wait(seconds: float) -> None:
    """Block this thread until something is published in this process, or for ``seconds``."""
    with _state.woken:
        _state.woken.wait(seconds)


@contextmanager
def joined() -> Iterator[Any]:
    """The channel layer that viewers of the running event loop listen to, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    with _state.lock:
        _forget_closed_loops()
        seat = _state.seats.get(loop)
        if seat is None:
            seat = _state.seats[loop] = _Seat(_configured_layer() or InMemoryChannelLayer())
        seat.viewers += 1
    try:
        yield seat.layer
    finally:
        with _state.lock:
            seat.viewers -= 1
            if not seat.viewers:
                _state.seats.pop(loop, None)


def viewers() -> int:
    """How many have joined in this process."""
    return sum(seat.viewers for seat in _state.seats.values())


def close() -> None:
    """Let go of the loop that shared layers are used from, and of what went wrong; the next ``publish()`` begins anew."""
    with _state.lock:
        loop, _state.own_loop = _state.own_loop, None
        _state.rest_until = 0
        if loop is not None:
            loop.close()


def message(last_seq: int) -> dict[str, Any]:
    """What is sent to the group."""
    return {"type": TYPE, "seq": last_seq}


def _configured_layer() -> Any:
    """The layer that the settings name; None when they name none, or one that cannot be made."""
    alias = conf.current().channel_layer or "default"
    try:
        return channel_layers[alias] if alias in getattr(settings, "CHANNEL_LAYERS", {}) else None
    except Exception as error:
        faults.note("live: channel layer", error)
        return None


def _shared_layer() -> Any:
    layer = _configured_layer()
    return None if layer is None or isinstance(layer, InMemoryChannelLayer) else layer


def _hand_over(loop: asyncio.AbstractEventLoop, seat: _Seat, last_seq: int) -> None:
    """Have ``loop`` send; one send under way is enough, it wakes the viewers for all that is there."""
    if seat.sending or loop.is_closed():
        return
    seat.sending = True
    sending = _send(seat, last_seq)
    try:
        loop.call_soon_threadsafe(_start, loop, sending)
    except RuntimeError:
        sending.close()
        seat.sending = False


def _start(loop: asyncio.AbstractEventLoop, sending: Coroutine[Any, Any, None]) -> None:
    task = loop.create_task(sending)
    _state.tasks.add(task)
    task.add_done_callback(_state.tasks.discard)


async def _send(seat: _Seat, last_seq: int) -> None:
    seat.sending = False
    try:
        async with asyncio.timeout(PATIENCE):
            await seat.layer.group_send(GROUP, message(last_seq))
    except Exception as error:
        _state.rest_until = clock.now() + REST_NS
        faults.note("live: publish", error)


def _send_shared(layer: Any, last_seq: int) -> None:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    seat = _Seat(layer)
    if running is not None:
        _start(running, _send(seat, last_seq))
        return
    with _state.lock:
        if _state.own_loop is None:
            _state.own_loop = asyncio.new_event_loop()
        _state.own_loop.run_until_complete(_send(seat, last_seq))


def _forget_closed_loops() -> None:
    for loop in [loop for loop in _state.seats if loop.is_closed()]:
        del _state.seats[loop]


def _begin_anew() -> None:
    """In a forked child: locks, loops and tasks are the parent's."""
    global _state
    _state = _State()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
