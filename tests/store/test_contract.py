"""What every store promises: one suite, run on each."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_inspector.faults import Fault
from pipeline_inspector.records import Plan, PlanLayer, Process, Segments, Summary
from pipeline_inspector.store.base import Control, Store
from tests.store import workers
from tests.store.places import Place, batch, ids, sealed

Opener = Callable[..., Store]
Eventually = Callable[..., None]

_spawn = multiprocessing.get_context("spawn")


def test_records_get_rising_numbers_in_the_order_of_the_batch(store: Store) -> None:
    first, second = batch(3), batch(2)
    assert store.append(first) == 3
    assert store.append(second) == 5
    assert [one.summary.seq for one in first + second] == [1, 2, 3, 4, 5]
    assert store.last_seq() == 5


def test_an_empty_batch_changes_nothing(store: Store) -> None:
    assert store.append([]) == 0
    assert store.append(batch(1)) == 1
    assert store.append([]) == 1


@pytest.mark.parametrize("payload", [b"", b"short", b"Zip", b"Plain", b"much the same " * 1000, bytes(range(256)) * 20])
def test_a_record_comes_back_as_it_was_kept(store: Store, payload: bytes) -> None:
    kept = sealed("é ' \" \n%s", payload, segments=Segments(1, 2, 3, 4), toggles=("a.B",), status=404, note="x")
    store.append([sealed(), kept, sealed()])
    found = store.read(kept.summary.id)
    assert found == kept
    assert found is not None
    assert found.summary.seq == 2


@pytest.mark.parametrize("name", ["", "unknown", "' OR 1=1 --", "*", "\x00"])
def test_an_unknown_id_is_answered_with_none(store: Store, name: str) -> None:
    store.append(batch(1))
    assert store.read(name) is None


def test_nothing_is_found_in_an_empty_store(store: Store) -> None:
    assert store.last_seq() == 0
    assert store.after(0, 10) == []
    assert list(store.newest()) == []
    assert (store.plans(), store.processes(), store.running(), store.faults()) == ([], [], [], [])
    assert store.problems() == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 30), max_size=6), start=st.integers(0, 120), limit=st.integers(1, 60))
def test_pages_forward_and_backward_show_every_row_once(store: Store, sizes: list[int], start: int, limit: int) -> None:
    start += store.last_seq() - 10
    for size in sizes:
        store.append(batch(size))
    every = [row.seq for row in store.newest()]
    assert every == sorted(every, reverse=True)
    after = store.after(start, limit)
    assert [row.seq for row in after] == sorted(seq for seq in every if seq > start)[:limit]
    assert [row.seq for row in store.newest(start)] == [seq for seq in every if seq < start]
    seen, seq = [], 0
    while page := store.after(seq, limit):
        seq = page[-1].seq
        seen += page
    assert [row.seq for row in seen] == every[::-1]
    store.clear()


def test_newest_goes_through_more_rows_than_fit_in_one_piece(store: Store) -> None:
    store.append(batch(450))
    assert [row.seq for row in store.newest()] == list(range(450, 0, -1))
    assert [row.seq for row in islice(store.newest(before=10), 3)] == [9, 8, 7]


def test_newest_may_be_left_in_the_middle_while_records_come(store: Store) -> None:
    store.append(batch(300))
    rows = iter(store.newest())
    begun = [row.seq for row in islice(rows, 250)]
    store.append(batch(300))
    assert begun + [row.seq for row in rows] == list(range(300, 0, -1))


def test_after_clear_all_is_gone_and_the_numbers_go_on(place: Place, open_at: Opener) -> None:
    store = open_at(place)
    store.change_control(lambda state: Control(state.version, ("a.B",)))
    gone = batch(5)
    store.append(gone)
    store.clear()
    assert list(store.newest()) == []
    assert store.after(0, 10) == []
    assert store.read(gone[0].summary.id) is None
    assert store.control().off == ("a.B",)
    assert store.append(batch(1)) == 6


def test_numbers_go_on_after_clear_and_restart(common_place: Place, open_at: Opener) -> None:
    store = open_at(common_place)
    store.append(batch(5))
    store.clear()
    store.close()
    again = open_at(common_place)
    assert again.append(batch(1)) == 6


def test_prune_forgets_the_oldest_and_says_how_many(store: Store) -> None:
    kept = batch(10)
    store.append(kept)
    assert store.prune(4) == 6
    assert [row.seq for row in store.newest()] == [10, 9, 8, 7]
    assert store.read(kept[0].summary.id) is None
    assert store.read(kept[9].summary.id) == kept[9]
    assert store.prune(4) == 0


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_there_are_never_more_records_than_the_limit_and_a_tenth(place: Place, open_at: Opener, limit: int) -> None:
    store = open_at(place, limit)
    for _ in range(40):
        store.append(batch(9))
        assert min(limit, store.last_seq()) <= len(list(store.newest())) <= limit * 1.1
    assert [row.seq for row in islice(store.newest(), min(limit, 50))] == list(range(360, 360 - min(limit, 50), -1))


def test_a_lowered_limit_takes_effect_with_the_next_record(common_place: Place, open_at: Opener) -> None:
    open_at(common_place, 500).append(batch(300))
    lower = open_at(common_place, 20)
    lower.append(batch(1))
    assert 20 <= len(list(lower.newest())) <= 22


def test_a_row_handed_out_is_the_readers_own(store: Store) -> None:
    store.append([sealed("one")])
    store.after(0, 1)[0].note = "scribbled"
    next(iter(store.newest())).note = "scribbled"
    assert store.after(0, 1)[0].note == ""


def test_the_chain_put_last_is_the_newest(common_place: Place, open_at: Opener, eventually: Eventually) -> None:
    store = open_at(common_place)
    for name in ("a", "b", "a"):
        store.put_plan(Plan(name, "wsgi", [PlanLayer(0, "x.Y", "x.Y", "Y")]))
        time.sleep(0.002)
    assert [plan.id for plan in store.plans()] == ["a", "b"]
    other = open_at(common_place)
    eventually(lambda: [plan.id for plan in other.plans()] == ["a", "b"])
    assert other.plan("b") == store.plan("b")
    assert other.plan("b") == Plan("b", "wsgi", [PlanLayer(0, "x.Y", "x.Y", "Y")])
    assert other.plan("c") is None


def test_chains_and_processes_are_kept_without_a_shared_place_too(store: Store) -> None:
    store.put_plan(Plan("a", "asgi", []))
    store.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z"))
    assert store.plans() == [Plan("a", "asgi", [])]
    assert [process.id for process in store.processes()] == ["p"]


def test_the_fifty_newest_processes_are_kept(common_place: Place, open_at: Opener) -> None:
    for number in range(53):
        writer = common_place.open()
        writer.put_process(Process(f"p{number}", number, f"2024-01-01T00:00:{number:02}.000000Z"))
        writer.close()
        time.sleep(0.002)
    found = open_at(common_place).processes()
    assert [process.id for process in found] == [f"p{number}" for number in range(52, 2, -1)]


def test_a_process_put_again_is_replaced(common_place: Place, open_at: Opener, eventually: Eventually) -> None:
    writer, reader = open_at(common_place), open_at(common_place)
    writer.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z"))
    writer.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z", software="gunicorn", changed_files=["a.py"]))
    eventually(lambda: [(one.software, one.changed_files) for one in reader.processes()] == [("gunicorn", ["a.py"])])


def test_requests_in_hand_are_seen_by_all_oldest_first(common_place: Place, open_at: Opener) -> None:
    one, two, reader = open_at(common_place), open_at(common_place), open_at(common_place)
    two.put_running("two", [Summary("c", started_at="3"), Summary("a", started_at="1")])
    one.put_running("one", [Summary("b", started_at="2", state="running")])
    assert ids(reader.running()) == ["a", "b", "c"]
    two.put_running("two", [])
    assert ids(reader.running()) == ["b"]


def test_requests_in_hand_of_a_silent_process_are_left_out(
    common_place: Place, open_at: Opener, eventually: Eventually
) -> None:
    writer, reader = open_at(common_place), open_at(common_place)
    writer.put_running("p", [Summary("a")])
    assert ids(reader.running()) == ["a"]
    eventually(lambda: reader.running() == [] and writer.running() == [])


def test_failures_are_seen_by_all_and_replaced(common_place: Place, open_at: Opener) -> None:
    writer, reader = open_at(common_place), open_at(common_place)
    writer.put_faults("p", [Fault("probes", "broken", 1, 5)])
    writer.put_faults("p", [Fault("probes", "broken", 2, 7), Fault("page", "bent", 1, 9)])
    assert [(name, fault.where, fault.count) for name, fault in reader.faults()] == [
        ("p", "page", 1),
        ("p", "probes", 2),
    ]
    writer.put_faults("p", [])
    assert reader.faults() == []


def test_a_viewer_is_noticed_and_forgotten(store: Store, eventually: Eventually) -> None:
    assert not store.watched()
    store.watch(0.3)
    assert store.watched()
    eventually(lambda: not store.watched())


def test_a_viewer_is_noticed_by_all_and_a_shorter_look_does_not_end_a_longer(
    common_place: Place, open_at: Opener, eventually: Eventually
) -> None:
    looking, serving = open_at(common_place), open_at(common_place)
    looking.watch(60)
    looking.watch(0.001)
    eventually(serving.watched)
    assert looking.watched()


def test_a_switch_changes_the_state_and_its_version(store: Store) -> None:
    before = store.control_version()
    made = store.change_control(lambda state: Control(state.version, (*state.off, "a.B"), {"me": ("c.D",)}))
    assert (made.off, made.off_for) == (("a.B",), {"me": ("c.D",)})
    assert store.control_version() == made.version > before
    assert store.control() == made


def test_a_switch_is_seen_by_other_processes_and_they_add_to_it(
    common_place: Place, open_at: Opener, eventually: Eventually
) -> None:
    here = open_at(common_place)
    version = here.control_version()
    other = _spawn.Process(target=workers.switch_off, args=(common_place, "a.B"))
    other.start()
    other.join()
    eventually(lambda: here.control_version() > version)
    eventually(lambda: here.control().off == ("a.B",))
    made = here.change_control(lambda state: Control(state.version, (*state.off, "c.D")))
    assert made.off == ("a.B", "c.D")
    assert here.control_version() == made.version


def test_switches_of_many_threads_are_all_kept(common_place: Place, open_at: Opener) -> None:
    stores = [open_at(common_place) for _ in range(3)]

    def switch(store: Store, name: str) -> None:
        for number in range(10):
            layer = f"{name}{number}"
            store.change_control(lambda state, layer=layer: Control(state.version, (*state.off, layer)))

    threads = [threading.Thread(target=switch, args=(store, str(n))) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = stores[0].change_control(lambda state: state)
    assert sorted(state.off) == sorted(f"{name}{number}" for name in "012" for number in range(10))


def test_switches_outlive_a_restart(common_place: Place, open_at: Opener, eventually: Eventually) -> None:
    store = open_at(common_place)
    store.change_control(lambda state: Control(state.version, ("a.B",)))
    store.close()
    again = open_at(common_place)
    eventually(lambda: again.control_version() > 0 and again.control().off == ("a.B",))


def test_the_token_is_long_and_the_same_for_all(common_place: Place, open_at: Opener) -> None:
    token = open_at(common_place).token()
    assert len(token) >= 43
    assert open_at(common_place).token() == token


def test_the_token_does_not_change(store: Store) -> None:
    assert store.token() == store.token()


def test_a_closed_store_opens_again(place: Place, open_at: Opener) -> None:
    store = open_at(place)
    store.append(batch(2))
    store.close()
    store.close()
    assert store.append(batch(1)) == 3
    assert len(store.after(0, 10)) == 3


def test_threads_append_and_read_at_once(store: Store) -> None:
    failed: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                last = store.append(batch(3))
                assert [row.seq for row in store.after(last - 1, 1)]
                assert len(list(islice(store.newest(), 3))) == 3
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(row.seq for row in store.newest()) == list(range(1, 241))


def test_a_reader_misses_nothing_of_what_several_processes_write(common_place: Place, open_at: Opener) -> None:
    reader = open_at(common_place, 100_000)
    go = _spawn.Event()
    writers = [
        _spawn.Process(target=workers.append_batches, args=(common_place, f"w{number}", 40, 7, go))
        for number in range(3)
    ]
    for writer in writers:
        writer.start()
    go.set()
    seen: list[Summary] = []
    deadline = time.monotonic() + 60
    while len(seen) < 3 * 280 and time.monotonic() < deadline:
        seen += reader.after(seen[-1].seq if seen else 0, 50)
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    numbers = [row.seq for row in seen]
    assert numbers == sorted(set(numbers)), "a writer that had to wait long gives new numbers: they rise all the same"
    assert sorted(ids(seen)) == sorted(f"w{writer}-{number}" for writer in range(3) for number in range(280))
    for number in range(3):
        mine = [int(row.id.partition("-")[2]) for row in seen if row.id.startswith(f"w{number}-")]
        assert mine == list(range(280))


def test_after_kill_9_of_a_writer_everything_opens_and_the_numbers_go_on(common_place: Place, open_at: Opener) -> None:
    started = _spawn.Event()
    writer = _spawn.Process(target=workers.append_until_killed, args=(common_place, started))
    writer.start()
    assert started.wait(30)
    writer.kill()
    writer.join()
    store = open_at(common_place, 100_000)
    rows = list(store.newest())
    assert len(rows) > 50
    assert len(rows) % 5 == 0, "a batch is kept whole or not at all"
    assert [row.seq for row in rows] == list(range(len(rows), 0, -1))
    assert store.append(batch(1)) == len(rows) + 1
    assert store.problems() == []


def test_what_was_appended_before_kill_9_is_kept(common_place: Place, open_at: Opener) -> None:
    writer = _spawn.Process(target=workers.append_and_die, args=(common_place, 12))
    writer.start()
    writer.join()
    assert writer.exitcode == -9
    store = open_at(common_place)
    assert len(store.after(0, 100)) == 12


def test_a_forked_child_writes_beside_its_parent(common_place: Place, open_at: Opener) -> None:
    store = open_at(common_place)
    store.append([sealed("parent")])
    assert workers.opened_by_fork(store, "child") == 0
    store.append([sealed("parent again")])
    assert ids(store.after(0, 10)) == ["parent", "child", "parent again"]
