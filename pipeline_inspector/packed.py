"""The packed tape: what sealing writes and assembly reads. Positional, so that it is small; new fields go to the end.

Times are nanoseconds from the request's start; ``NEVER`` stands for a moment that did not come. ``text`` numbers point
into ``texts``, ``thread`` numbers into ``threads``. Positions count from the inside: 0 is the core.
"""

from typing import Any

import msgspec

NEVER = -(1 << 62)

NOT_REACHED, REACHED, SKIPPED = range(3)


class PackedSlot(msgspec.Struct, array_like=True):
    """One layer's or the core's stamps. ``reached`` is NOT_REACHED, REACHED or SKIPPED (off)."""

    reached: int = NOT_REACHED
    entry: int = NEVER
    exit: int = NEVER
    hop_start: int = NEVER
    hop_end: int = NEVER


class PackedError(msgspec.Struct, array_like=True):
    """One exception; ``frames`` are (function, text, line), ``chain_frames`` those of each cause in ``chain``."""

    at: int
    where: tuple[str, int]
    rescued_by: tuple[str, int] | None
    rescued_at: int
    type: str
    message: str
    frames: list[tuple[str, int, int]]
    chain: list[str]
    chain_frames: list[list[tuple[str, int, int]]] = []


class PackedView(msgspec.Struct, array_like=True):
    """The view and its stamps."""

    name: str
    kind: str
    file: str
    line: int
    atomic: bool
    method: str
    decorators: list[str]
    made: int
    start: int
    end: int
    thread: int
    is_async: bool = False


class PackedRoute(msgspec.Struct, array_like=True):
    """The match."""

    pattern: str
    name: str | None
    namespaces: list[str]
    kwargs: dict[str, str]
    converters: dict[str, str]


class Packed(msgspec.Struct, array_like=True):
    """One request's tape as plain data."""

    slots: list[PackedSlot]
    opened: int
    end: int
    closed: int
    finished: int
    own_cost: int
    interface: str
    pid: int
    process: str
    process_started_at: str
    thread: str
    scheme: str
    http_version: str
    client: str
    request_headers: list[tuple[str, str]]
    body_bytes: int | None
    response_headers: list[tuple[str, str]]
    response_bytes: int | None
    streaming: bool
    changes: list[tuple[int, str, str, str, str, str | None, str | None]]
    resolve: tuple[int, int]
    route: PackedRoute | None
    urlconf: str
    tried: list[str]
    view: PackedView | None
    errors: list[PackedError]
    hooks: list[tuple[int, int, int, int, str, bool, int, int, str | None]]
    renders: list[tuple[int, int, int]]
    again: list[tuple[int, int]]
    queries: list[tuple[Any, ...]]
    templates: list[tuple[Any, ...]]
    cache_calls: list[tuple[Any, ...]]
    logs: list[tuple[Any, ...]]
    way: tuple[int, int, int, int, int, int, int] | None
    chunk_stamps: list[int]
    dropped: tuple[int, int, int]
    texts: list[str]
    threads: list[str]
    urlconf_set_by: int | None = None
    prefixed: tuple[int, str] | None = None


def _plain(value: Any) -> str:
    """Text of what a layer or view left that is no plain data (Django's ``SafeString`` is a ``str`` of its own kind)."""
    return str.__str__(value) if isinstance(value, str) else f"<{type(value).__name__}>"


encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
decode = msgspec.msgpack.Decoder(Packed).decode
