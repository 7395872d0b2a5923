"""The stamps of a tape, packed. Runs on the recorder thread only. ``compiled_half/`` does the same in C."""

from collections.abc import Callable

from pipeline_inspector import compiled, packed
from pipeline_inspector.recording.moments import OF_TAPE, OF_WAY
from pipeline_inspector.recording.slots import ENTRY, EXIT, HOP_END, HOP_START, STRIDE
from pipeline_inspector.recording.tape import Tape

_OF_NO_WAY = (0,) * len(OF_WAY)


def pure_stamps(tape: Tape) -> bytes:
    """The stamps of ``tape``: those of its way through the chain, of itself and of its way from server to handler, as the
    fields with which a ``Packed`` begins."""
    slots, way = tape.slots, tape.transport
    hops = slots[HOP_START::STRIDE]
    return packed.pack(
        (
            tape.start or tape.opened_at,
            slots[ENTRY::STRIDE],
            slots[EXIT::STRIDE],
            hops + slots[HOP_END::STRIDE] if any(hops) else (),
            tape.opened_at,
            *[getattr(tape, moment) for moment in OF_TAPE[1:]],
            *(_OF_NO_WAY if way is None else [getattr(way, moment) for moment in OF_WAY]),
        )
    )


stamps: Callable[[Tape], bytes] = getattr(compiled.half, "stamps", pure_stamps)
