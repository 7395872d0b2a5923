"""How a record lies on the shelf: MessagePack for the row, without the names of its fields, and the packed tape as given,
compressed when that pays.
"""

import zlib
from typing import Final

import msgspec
from msgspec.structs import astuple

from pipeline_inspector.records import Sealed, Summary

_WORTH_IT: Final = 2048
_PLAIN: Final = b"P"
_DEFLATED: Final = b"Z"
_KINDS: Final = _PLAIN, _DEFLATED

_encode = msgspec.msgpack.Encoder().encode


class _Row(Summary, array_like=True):
    """A row as it is kept: the values alone. Fields that are new to it go to the end."""


_decode_row = msgspec.msgpack.Decoder(_Row).decode
_decode_named = msgspec.msgpack.Decoder(Summary).decode
_NAMED: Final = frozenset(range(0x80, 0x90)) | {0xDE, 0xDF}
"""How a row begins that has the names of its fields in it: those that an earlier version left in Redis."""


class Unreadable(Exception):  # noqa: N818
    """Kept bytes that this version cannot open."""


def pack_row(row: Summary) -> bytes:
    """``row`` as bytes; its ``seq`` is not part of it but given by the store."""
    return _encode(astuple(row))


def unpack_row(data: bytes, seq: int) -> Summary:
    """The row held in ``data``, with its ``seq``. Raises ``Unreadable``."""
    try:
        row = _decode_named(data) if data[0] in _NAMED else Summary(*astuple(_decode_row(data)))
    except (msgspec.MsgspecError, IndexError) as error:
        raise Unreadable(f"row {seq} cannot be read: {error}") from error
    row.seq = seq
    return row


def pack_payload(payload: bytes) -> bytes:
    """``payload``, or what ``unpack_payload()`` makes it of again, with one byte in front that says so."""
    if len(payload) > _WORTH_IT:
        small = zlib.compress(payload, 1)
        if len(small) < len(payload) * 0.9:
            return _DEFLATED + small
    return _PLAIN + payload if payload[:1] in _KINDS else payload


def unpack_payload(data: bytes) -> bytes:
    """The payload held in ``data``. Raises ``Unreadable``."""
    kind = data[:1]
    if kind == _PLAIN:
        return data[1:]
    if kind != _DEFLATED:
        return data
    try:
        return zlib.decompress(data[1:])
    except zlib.error as error:
        raise Unreadable(f"a record's payload cannot be read: {error}") from error


def unpack(seq: int, row: bytes, payload: bytes, plan_id: str) -> Sealed:
    """The whole kept record. Raises ``Unreadable``."""
    return Sealed(unpack_row(row, seq), unpack_payload(payload), plan_id)
