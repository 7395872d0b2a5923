"""The packed tape: what sealing writes and assembly reads. Positional, so that it is small; new fields go to the end.

Sealing writes the stamps of the way as the clock gave them, 0 where a moment did not come: taking the request's start off
each is left to whoever reads. Once opened, all times are nanoseconds from the start, and ``NEVER`` stands for a moment
that did not come. ``text`` numbers point into ``texts``, ``thread`` numbers into ``threads`` (0: the thread it began in).
Positions count from the inside: 0 is the core.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

NEVER = -(1 << 62)
SKIPPED = -1
"""The entry of a layer that was off."""


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
    """The view."""

    name: str
    kind: str
    file: str
    line: int
    atomic: bool
    method: str
    decorators: list[str]
    is_async: bool = False


class PackedRoute(msgspec.Struct, array_like=True):
    """The match."""

    pattern: str
    name: str | None
    namespaces: list[str]
    kwargs: dict[str, str]
    converters: dict[str, str]


class PackedServer(msgspec.Struct, array_like=True):
    """Who served."""

    interface: str
    pid: int
    process: str
    process_started_at: str


class PackedRequest(msgspec.Struct, array_like=True):
    """What came in."""

    scheme: str
    http_version: str
    client: str
    headers: list[tuple[str, str]]
    body_bytes: int | None


class Packed(msgspec.Struct, array_like=True):
    """One request's tape as plain data. ``entries`` and ``exits`` hold a stamp for each position; ``hops`` those of all
    hops' starts, then of their ends; empty where no hop is. What was and is in ``changes`` may be told by a number: from 0
    on in ``values``, from -1 down in ``response_headers``; once opened it is told in words. What was done to it is packed as
    a number (``shortened()``)."""

    start: int
    entries: list[int]
    exits: list[int]
    hops: list[int]
    opened: int
    end: int
    closed: int
    finished: int
    resolve_start: int
    resolve_end: int
    view_made: int
    view_start: int
    view_end: int
    called: int
    started: int
    response_started: int
    first_byte: int
    last_byte: int
    prefixed: int
    chunk_stamps: list[int]
    chunks: int
    prefix: str
    own_cost: int
    server: PackedServer
    request: PackedRequest
    response_headers: list[tuple[str, str]]
    response_bytes: int | None
    streaming: bool
    changes: list[Any]
    values: list[str]
    route: PackedRoute | None
    urlconf: str
    urlconf_set_by: int | None
    tried: list[str]
    view: PackedView | None
    view_thread: int
    errors: list[PackedError]
    hooks: list[tuple[int, int, int, int, str, bool, int, int, str | None]]
    renders: list[tuple[int, int, int]]
    again: list[tuple[int, int]]
    queries: list[tuple[Any, ...]]
    templates: list[tuple[Any, ...]]
    cache_calls: list[tuple[Any, ...]]
    logs: list[tuple[Any, ...]]
    dropped: tuple[int, int, int]
    texts: list[str]
    threads: list[str]


_MOMENTS = (
    *("opened", "end", "closed", "finished", "resolve_start", "resolve_end", "view_made", "view_start", "view_end"),
    *("called", "started", "response_started", "first_byte", "last_byte", "prefixed"),
)
_SHORT = 200
_STAMPS = "exits", "hops", "chunk_stamps"
DONE = [
    *(("request", "attribute", kind) for kind in ("added", "changed", "removed")),
    *(("response", what, kind) for what in ("status", "header", "cookie") for kind in ("added", "changed", "removed")),
]
"""What can be done to a thing of a request or an answer: on which of both, to what, how. A change holds its place here."""
_NUMBERS = {done: number for number, done in enumerate(DONE)}


def _plain(value: Any) -> str:
    """Text of what a layer or view left that is no plain data (Django's ``SafeString`` is a ``str`` of its own kind)."""
    return str.__str__(value) if isinstance(value, str) else f"<{type(value).__name__}>"


encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_decode = msgspec.msgpack.Decoder(Packed).decode


_SHORT_LIST, _HEAD = 15, 3
"""A list of so many is packed behind one byte, a longer one behind three: MessagePack's ``fixarray`` and ``array 16``."""
_WHOLE = b"\xdc" + len(Packed.__struct_fields__).to_bytes(_HEAD - 1)


Part = bytes | tuple[Any, ...]
"""Some fields of a ``Packed``, one after the other: packed, or their values."""


def pack(part: Part) -> bytes:
    """The fields of ``part``, packed. Raises ``UnicodeEncodeError`` where a text among them cannot be written."""
    if type(part) is bytes:
        return part
    return encode(part)[1 if len(part) <= _SHORT_LIST else _HEAD :]


def joined(parts: Iterable[Part]) -> bytes:
    """A ``Packed`` whose fields stand in ``parts``, all of them and in their order. Raises as ``pack()``."""
    return _WHOLE + b"".join(map(pack, parts))


def decode(data: bytes) -> Packed:
    """The tape held in ``data``, its times from the start on. Raises ``msgspec.MsgspecError``."""
    tape = _decode(data)
    start = tape.start
    if start:
        for name in _MOMENTS:
            stamp = getattr(tape, name)
            setattr(tape, name, stamp - start if stamp else NEVER)
        for name in _STAMPS:
            setattr(tape, name, [stamp - start if stamp else NEVER for stamp in getattr(tape, name)])
        tape.entries = [stamp - start if stamp > 0 else stamp or NEVER for stamp in tape.entries]
        try:
            tape.changes = [_opened(tape, change) for change in tape.changes]
        except (IndexError, TypeError, ValueError) as error:
            raise msgspec.ValidationError(f"changes: what was packed cannot be told ({error})") from error
        tape.start = 0
    return tape


def shortened(changes: list[Any]) -> list[tuple[Any, ...]]:
    """``changes`` (position, on, what, name, kind, before, after) as they are packed: position, what was done by number,
    name, before, after."""
    return [
        (position, _NUMBERS[on, what, kind], name, before, after)
        for position, on, what, name, kind, before, after in changes
    ]


def _opened(tape: Packed, change: tuple[Any, ...]) -> tuple[Any, ...]:
    """A change in full and in words. An earlier version did not shorten it."""
    if len(change) == 5:
        on, what, kind = DONE[change[1]]
        change = change[0], on, what, change[2], kind, *change[3:]
    return (*change[:5], _told(tape, change[5]), _told(tape, change[6]))


def _told(tape: Packed, value: str | int | None) -> str | None:
    """A value of a change that may stand elsewhere."""
    if not isinstance(value, int):
        return value
    return tape.values[value] if value >= 0 else tape.response_headers[-1 - value][1][:_SHORT]
