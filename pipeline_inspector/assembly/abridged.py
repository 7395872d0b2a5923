"""Packed tape to as much of the record as statistics take: its layers and its duration, without what ran inside them."""

from pipeline_inspector import packed
from pipeline_inspector.assembly.way import Way
from pipeline_inspector.records import Change, Plan, RequestRecord, Sealed


def abridged(sealed: Sealed, plan: Plan | None) -> RequestRecord:
    """The record of ``sealed`` with its layers as ``assemble()`` gives them, though their queries are not counted, and
    nothing else but the duration. ``plan`` is the chain it ran through."""
    row, tape = sealed.summary, packed.decode(sealed.payload)
    way = Way(tape, plan or Plan(id="", interface="wsgi", layers=[]), row.state)
    for position, on, what, name, kind, before, after in tape.changes:
        layer = way.layer(position)
        if layer is not None:
            layer.changes.append(Change(on, what, name, kind, before, after))
    return RequestRecord(row.id, row.seq, row.state, row.started_at, way.end, layers=way.layers)
