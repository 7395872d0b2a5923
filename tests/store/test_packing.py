"""How a record lies on the shelf: short, and readable by this version and for as long as it may lie there."""

import msgspec
import pytest

from pipeline_inspector.records import Segments, Summary
from pipeline_inspector.store.packing import Unreadable, pack_row, unpack_row

ROW = Summary(
    id="abc-1f",
    state="aborted",
    started_at="2026-01-02T03:04:05.000006Z",
    path="/é/",
    status=404,
    duration_ns=1 << 40,
    segments=Segments(1, 2, 3, 4),
    toggles=("a.B",),
    began=["site.py"],
)


def test_a_row_comes_back_with_the_number_that_the_store_gave_it() -> None:
    assert unpack_row(pack_row(ROW), 7) == msgspec.structs.replace(ROW, seq=7)


def test_a_row_is_kept_without_the_names_of_its_fields() -> None:
    kept = pack_row(ROW)
    assert not [name for name in Summary.__struct_fields__ if len(name) > 4 and name.encode() in kept]


def test_a_row_with_the_names_of_its_fields_as_an_earlier_version_left_it_in_redis_is_read() -> None:
    assert unpack_row(msgspec.msgpack.encode(ROW), 7) == msgspec.structs.replace(ROW, seq=7)
    assert unpack_row(msgspec.msgpack.encode({"id": "abc-1f"}), 7) == Summary(id="abc-1f", seq=7)


def test_a_row_that_lacks_the_newest_fields_is_read() -> None:
    values = msgspec.structs.astuple(ROW)[:-3]
    assert unpack_row(msgspec.msgpack.encode(values), 7) == msgspec.structs.replace(ROW, seq=7, began=None)


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x80", b"\xc1", msgspec.msgpack.encode({"id": 5}), b"\x91\x05"])
def test_a_row_that_cannot_be_read_is_told(data: bytes) -> None:
    with pytest.raises(Unreadable, match="row 7 cannot be read"):
        unpack_row(data, 7)
