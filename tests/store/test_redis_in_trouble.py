"""The Redis store when the server goes away and comes back, and what it tells people."""

import threading
import time
from collections.abc import Callable

import pytest
import redis

from pipeline_inspector.records import Plan, Process
from pipeline_inspector.store.base import PATIENCE, Control, Store, StoreError
from tests.store.places import Place, RedisServer, batch, ids, sealed

Opener = Callable[..., Store]
Eventually = Callable[..., None]


@pytest.fixture
def place(own_redis: RedisServer) -> Place:
    return Place("redis", own_redis.address, "shop")


def _append_in_patience(store: Store, count: int) -> list[str]:
    made = batch(count)
    began = time.monotonic()
    store.append(made)
    assert time.monotonic() - began <= PATIENCE
    return ids([one.summary for one in made])


def test_all_keys_lie_under_the_projects_prefix(store: Store, own_redis: RedisServer, eventually: Eventually) -> None:
    store.append(batch(3))
    store.put_plan(Plan("chain", "wsgi", []))
    store.put_running("p", [sealed().summary])
    store.watch(60)
    store.token()
    store.change_control(lambda state: Control(state.version, ("a.B",)))
    with redis.Redis(port=own_redis.port) as client:
        keys = client.keys("*")
    assert len(keys) >= 8
    assert all(key.startswith(b"pipeline-inspector:shop:") for key in keys)


def test_projects_on_one_server_do_not_see_each_other(own_redis: RedisServer, open_at: Opener) -> None:
    one, two = open_at(Place("redis", own_redis.address, "one")), open_at(Place("redis", own_redis.address, "two"))
    one.append(batch(3))
    assert two.append(batch(1)) == 1
    two.clear()
    assert len(one.after(0, 10)) == 3


def test_records_wait_while_the_server_is_away_and_are_written_in_order_when_it_is_back(
    store: Store, place: Place, own_redis: RedisServer, open_at: Opener, eventually: Eventually
) -> None:
    store.put_plan(Plan("chain", "wsgi", []))
    store.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z"))
    store.change_control(lambda state: Control(state.version, ("a.B",)))
    before = _append_in_patience(store, 2)
    own_redis.stop()
    meanwhile = _append_in_patience(store, 3) + _append_in_patience(store, 250)
    assert store.last_seq() == 255
    assert ids(store.after(2, 1000)) == meanwhile
    assert ids(list(store.newest()))[::-1] == meanwhile
    assert store.read(meanwhile[0]) is not None
    assert any(
        "253 records wait" in problem and f"127.0.0.1:{own_redis.port}" in problem for problem in store.problems()
    )
    assert store.control().off == ("a.B",)
    assert [plan.id for plan in store.plans()] == ["chain"]
    own_redis.start()
    eventually(lambda: store.problems() == [])
    other = open_at(place)
    rows = other.after(0, 1000)
    assert ids(rows) == meanwhile, "the server came back empty: what it had kept is gone, what waited is not"
    assert rows[0].seq > 255
    assert not set(before) & set(ids(rows))
    eventually(lambda: other.control().off == ("a.B",))
    assert [plan.id for plan in other.plans()] == ["chain"]
    assert [process.id for process in other.processes()] == ["p"]
    assert store.append(batch(1)) == rows[-1].seq + 1


def test_a_server_that_is_not_there_at_the_start_is_met_later(
    store: Store, own_redis: RedisServer, eventually: Eventually
) -> None:
    own_redis.stop()
    made = _append_in_patience(store, 3)
    assert ids(store.after(0, 10)) == made
    assert not store.watched()
    with pytest.raises(StoreError, match="switches could not be changed"):
        store.change_control(lambda state: state)
    with pytest.raises(StoreError, match="could not be cleared"):
        store.clear()
    with pytest.raises(StoreError, match="token"):
        store.token()
    made += _append_in_patience(store, 2)
    own_redis.start()
    eventually(lambda: store.problems() == [])
    assert ids(store.after(0, 10)) == made[-2:], "what was held when clear() was asked for is gone"


def test_memory_holds_the_newest_while_the_server_is_away(
    place: Place, own_redis: RedisServer, open_at: Opener, eventually: Eventually
) -> None:
    store = open_at(place, limit=30)
    own_redis.stop()
    made = [name for _ in range(10) for name in _append_in_patience(store, 7)]
    assert any("30 records wait in memory, 40 older ones are lost" in problem for problem in store.problems())
    own_redis.start()
    eventually(lambda: store.problems() == [])
    assert ids(store.after(0, 100)) == made[-30:]


def test_a_process_that_was_cut_off_meets_what_others_wrote_meanwhile(
    place: Place, own_redis: RedisServer, open_at: Opener, eventually: Eventually
) -> None:
    store, other = open_at(Place("redis", f"unix://{own_redis.socket}", "shop")), open_at(place)
    store.append([sealed("before")])
    seen = store.after(0, 10)
    with own_redis.cut():
        store.append([sealed("held 1"), sealed("held 2")])
        seen += store.after(seen[-1].seq, 10)
        assert ids(seen) == ["before", "held 1", "held 2"]
        other.append([sealed("other 1"), sealed("other 2"), sealed("other 3")])
        there = other.after(0, 10)
        assert ids(there) == ["before", "other 1", "other 2", "other 3"]
    eventually(lambda: store.problems() == [])
    seen += store.after(seen[-1].seq, 100)
    assert {row.id for row in seen} == {"before", "held 1", "held 2", "other 1", "other 2", "other 3"}
    there += other.after(there[-1].seq, 100)
    assert {row.id for row in there} == {row.id for row in seen}
    for rows in (seen, there):
        assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    assert sorted(ids(list(store.newest()))) == sorted({row.id for row in seen})


def test_a_script_sent_twice_keeps_a_record_once(store: Store) -> None:
    one = sealed("one")
    assert store.append([one]) == 1
    assert store.append([one, sealed("two")]) == 2
    assert ids(store.after(0, 10)) == ["one", "two"]


def test_an_emptied_server_is_told_again_and_numbers_and_versions_go_on(
    store: Store, own_redis: RedisServer, open_at: Opener, place: Place, eventually: Eventually
) -> None:
    store.put_plan(Plan("chain", "wsgi", []))
    store.append(batch(5))
    version = store.change_control(lambda state: Control(state.version, ("a.B",))).version
    with redis.Redis(port=own_redis.port) as client:
        client.flushall()
    other = open_at(place)
    eventually(lambda: [plan.id for plan in other.plans()] == ["chain"] and other.control().off == ("a.B",))
    assert store.append(batch(1)) == 6
    assert store.change_control(lambda state: Control(state.version)).version > version


def test_what_is_put_while_an_emptied_server_is_told_again_is_not_overwritten(
    store: Store, own_redis: RedisServer, open_at: Opener, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, told_again = store._put_script, threading.Event()  # type: ignore[attr-defined]
    emptied = threading.Event()

    def late(*given: object) -> object:
        if threading.current_thread().name != "pipeline-redis" or not emptied.is_set():
            return put(*given)
        emptied.clear()
        store.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z", software="newer"))
        done = put(*given)
        told_again.set()
        return done

    store.put_process(Process("p", 1, "2024-01-01T00:00:00.000000Z", software="older"))
    store.append(batch(1))
    monkeypatch.setattr(store, "_put_script", late)
    with redis.Redis(port=own_redis.port) as client:
        client.flushall()
        emptied.set()
        if not told_again.wait(2):  # it was told again between the two
            client.flushall()
            assert told_again.wait(10)
    reader = open_at(Place("redis", own_redis.address, "shop"))
    eventually(lambda: [process.software for process in reader.processes()] == ["newer"])


def test_a_password_is_never_shown(own_redis: RedisServer, open_at: Opener, eventually: Eventually) -> None:
    address = own_redis.address.replace("redis://", "redis://user:s3cr3t@")
    store = open_at(Place("redis", address, "shop"))
    store.append(batch(1))
    eventually(lambda: store.problems())
    assert "s3cr3t" not in store.location() + "".join(store.problems())
    assert str(own_redis.port) in store.location()


def test_another_process_hears_of_a_switch_and_a_viewer_without_asking_the_server(
    store: Store, place: Place, open_at: Opener, eventually: Eventually, own_redis: RedisServer
) -> None:
    other = open_at(place)
    other.change_control(lambda state: Control(state.version, ("a.B",)))
    other.watch(60)
    other.append(batch(3))
    eventually(lambda: store.control_version() == 1 and store.watched() and store.last_seq() == 3)
    own_redis.stop()
    assert (store.control().off, store.watched(), store.last_seq()) == (("a.B",), True, 3)
