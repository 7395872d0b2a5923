"""Assembly: a pure function of what was sealed and of its plan; all is told in terms that add up."""

import msgspec
import pytest

from pipeline_inspector import packed
from pipeline_inspector.assembly.record import assemble
from pipeline_inspector.packed import NEVER
from pipeline_inspector.recording import recorder
from pipeline_inspector.records import Change, Plan, RequestRecord, Sealed
from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from tests.scenarios import journey
from tests.scenarios.comparing import HOOKS
from tests.scenarios.driving import INTERFACES, ask, site
from tests.scenarios.made import Spec, order
from tests.scenarios.reading import assert_adds_up, outcomes, way

both = pytest.mark.parametrize("interface", INTERFACES)


def sealed(interface: str, path: str = "/template/") -> tuple[Sealed, Plan]:
    """What the recorder kept of one request, and its plan."""
    store = MemoryStore(lambda: 100)
    journey.begin()
    chain = [order(Spec(f"T{number}", "mixin", hooks=HOOKS)) for number in range(3)]
    with configured.use(store), site(chain):
        ask(interface, path)
        assert recorder.flush()
        (row,) = store.newest()
        kept = store.read(row.id)
        assert kept is not None
        plan = store.plan(kept.plan_id)
    assert plan is not None
    return kept, plan


@both
def test_the_same_comes_out_each_time(interface: str) -> None:
    kept, plan = sealed(interface)
    before = msgspec.msgpack.encode((kept, plan))
    one, other = assemble(kept, plan), assemble(kept, plan)
    assert one == other
    assert msgspec.msgpack.encode((kept, plan)) == before
    assert way(one) == [("layer_in", "T0"), *way(one)[1:-1], ("layer_out", "T0")]
    assert [step for step in way(one) if step[0] != "resolve"] == journey.told()


@both
def test_without_its_plan_a_record_keeps_its_times_and_its_core(interface: str) -> None:
    kept, plan = sealed(interface)
    record, whole = assemble(kept, None), assemble(kept, plan)
    assert record.layers == []
    assert record.duration_ns == whole.duration_ns
    assert [span.kind for span in record.spans] == [span.kind for span in whole.spans]
    assert record.view == whole.view


@both
def test_a_record_that_broke_off_anywhere_still_adds_up(interface: str) -> None:
    kept, plan = sealed(interface)
    tape = packed.decode(kept.payload)
    for position in range(len(tape.exits)):
        cut = packed.decode(kept.payload)
        cut.exits[position:] = [NEVER] * len(cut.exits[position:])
        record = assemble(msgspec.structs.replace(kept, payload=packed.encode(cut)), plan)
        assert isinstance(record, RequestRecord)
        assert_adds_up(record)
        assert set(outcomes(record).values()) <= {"passed", "answered"}


@both
def test_what_an_earlier_version_packed_in_words_still_opens(interface: str) -> None:
    kept, plan = sealed(interface)
    written = msgspec.msgpack.decode(kept.payload)
    place = packed.Packed.__struct_fields__.index("changes")
    assert {len(change) for change in written[place]} == {5}
    told = {(change.on, change.what, change.kind) for change in all_changes(assemble(kept, plan))}
    in_words = [
        (position, *done, name, kind, *values)
        for position, number, name, *values in written[place]
        for *done, kind in [packed.DONE[number]]
    ]
    assert {(change[1], change[2], change[4]) for change in in_words} == told
    written[place] = in_words
    before = msgspec.structs.replace(kept, payload=msgspec.msgpack.encode(written))
    assert assemble(before, plan) == assemble(kept, plan)


@pytest.mark.parametrize("change", [[0, 99, "name", None, "value"], [0], 7, [0, 0, "name", None, 10_000]])
def test_changes_that_cannot_be_told_are_said_to_be_unreadable(change: object) -> None:
    kept, _ = sealed("wsgi")
    written = msgspec.msgpack.decode(kept.payload)
    written[packed.Packed.__struct_fields__.index("changes")] = [change]
    with pytest.raises(msgspec.ValidationError, match="changes: "):
        packed.decode(msgspec.msgpack.encode(written))


def all_changes(record: RequestRecord) -> list[Change]:
    """What the layers and the core changed."""
    return [*record.core_changes, *(change for layer in record.layers for change in layer.changes)]


@both
def test_times_that_run_backwards_give_no_negative_span(interface: str) -> None:
    kept, plan = sealed(interface)
    tape = packed.decode(kept.payload)
    tape.hooks = [(hook[0] - 10**9, hook[1] - 10**9, *hook[2:]) for hook in tape.hooks]
    record = assemble(msgspec.structs.replace(kept, payload=packed.encode(tape)), plan)
    assert all(span.duration_ns >= 0 for span in record.spans if span.parent is None)
    assert_adds_up(record)


@both
def test_every_span_has_its_own_number_and_a_parent_that_exists(interface: str) -> None:
    kept, plan = sealed(interface)
    record = assemble(kept, plan)
    numbers = [span.id for span in record.spans]
    assert numbers == sorted(set(numbers))
    assert all(span.parent is None or span.parent in numbers for span in record.spans)
    told = {template.span for template in record.templates} | {query.span for query in record.queries}
    assert told <= set(numbers)
