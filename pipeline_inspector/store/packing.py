"""How a record lies on the shelf: MessagePack for the row, the packed tape as given, compressed when that pays."""

import zlib
from typing import Final

import msgspec

from pipeline_inspector.records import Sealed, Summary

_WORTH_IT: Final = 2048
_PLAIN: Final = b"P"
_DEFLATED: Final = b"Z"

_encode_row = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(Summary).decode


class Unreadable(Exception):  # noqa: N818
    """Kept bytes that this version cannot open."""


def pack_row(row: Summary) -> bytes:
    """``row`` as bytes; its ``seq`` is not part of it but given by the store."""
    return _encode_row(row)


def unpack_row(data: bytes, seq: int) -> Summary:
    """The row held in ``data``, with its ``seq``. Raises ``Unreadable``."""
    try:
        row = _decode_row(data)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"row {seq} cannot be read: {error}") from error
    row.seq = seq
    return row


def pack_payload(payload: bytes) -> bytes:
    """``payload`` with one byte in front that says how it is kept."""
    if len(payload) > _WORTH_IT:
        small = zlib.compress(payload, 1)
        if len(small) < len(payload) * 0.9:
            return _DEFLATED + small
    return _PLAIN + payload


def unpack_payload(data: bytes) -> bytes:
    """The payload held in ``data``. Raises ``Unreadable``."""
    kind, rest = data[:1], data[1:]
    if kind == _PLAIN:
        return rest
    try:
        if kind == _DEFLATED:
            return zlib.decompress(rest)
    except zlib.error as error:
        raise Unreadable(f"a record's payload cannot be read: {error}") from error
    raise Unreadable(f"a record's payload begins with {kind!r}, which this version does not know.")


def unpack(seq: int, row: bytes, payload: bytes, plan_id: str) -> Sealed:
    """The whole kept record. Raises ``Unreadable``."""
    return Sealed(unpack_row(row, seq), unpack_payload(payload), plan_id)
