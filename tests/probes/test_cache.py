"""Each call of a cache is one event, with its key and whether it hit, and caches answer as if nobody watched."""

import asyncio
import inspect
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

import django
import pytest
from django.core.cache import CacheHandler, cache, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from pipeline_inspector import faults
from pipeline_inspector.probes import cache as probe
from pipeline_inspector.recording.frames import line_at
from pipeline_inspector.recording.kinds import CACHE
from pipeline_inspector.recording.tape import Tape
from tests.probes.taping import events, taping

LOCAL = "django.core.cache.backends.locmem.LocMemCache"


class Seen(NamedTuple):
    start: int
    end: int
    thread: int
    alias: str
    operation: str
    key: str
    hit: bool | None
    code: Any
    line: int


class OwnCache(LocMemCache):
    """A backend of the site's own, which calls itself in its own ways."""

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return super().get(key, default, version)

    def get_many(self, keys: Any, version: Any = None) -> dict[Any, Any]:
        return {key: value for key, value in [(key, self.get(key)) for key in keys] if value is not None}

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self.get(key, default, version)


class FailingCache(LocMemCache):
    """A backend whose server is away."""

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        raise ConnectionError("the server is away")


class Moody:
    """A value that nobody may compare, count or ask for its truth."""

    def _fail(self, *_: Any) -> Any:
        raise AssertionError("looked at")

    __bool__ = __eq__ = __len__ = __str__ = __repr__ = _fail  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __reduce__(self) -> Any:
        return Moody, ()


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    probe.install()
    faults.forget()
    own = {"BACKEND": f"{__name__}.OwnCache", "LOCATION": "own"}
    failing = {"BACKEND": f"{__name__}.FailingCache"}
    with override_settings(CACHES={"default": {"BACKEND": LOCAL}, "own": own, "failing": failing}):
        yield
        cache.clear()
        caches["own"].clear()
    assert faults.seen() == []


def calls(tape: Tape) -> list[Seen]:
    return [Seen(*event[:-1], line_at(*event[-2:])) for event in events(tape, CACHE)]


def told(tape: Tape) -> list[tuple[str, str, bool | None]]:
    return [(call.operation, call.key, call.hit) for call in calls(tape)]


def test_a_call_knows_its_cache_key_line_and_time() -> None:
    with taping() as tape:
        cache.get("news")
    (call,) = calls(tape)
    assert (call.alias, call.operation, call.key, call.hit) == ("default", "get", "news", False)
    assert call.code is test_a_call_knows_its_cache_key_line_and_time.__code__
    assert call.line == call.code.co_firstlineno + 2
    assert 0 < call.start <= call.end


def test_hits_and_misses_are_told_apart() -> None:
    with taping() as tape:
        cache.set("a", "x")
        cache.get("a")
        cache.get("b", "fallback")
        cache.get(key="b", default="fallback")
        cache.get(version=1, key="a")
        cache.has_key("a")
        cache.has_key("b")
        "a" in cache  # noqa: B015
    assert told(tape) == [
        ("set", "a", None),
        ("get", "a", True),
        ("get", "b", False),
        ("get", "b", False),
        ("get", "a", True),
        ("has_key", "a", True),
        ("has_key", "b", False),
        ("has_key", "a", True),
    ]


def test_values_are_never_looked_at() -> None:
    value = Moody()
    with taping() as tape:
        cache.set("moody", value)
        assert type(cache.get("moody")) is Moody
        assert cache.get("nothing", value) is value
        assert type(cache.get_or_set("moody", value)) is Moody
    assert [call.hit for call in calls(tape)] == [None, True, False, True]


def test_a_call_that_calls_others_is_one_event() -> None:
    with taping() as tape:
        cache.get_or_set("a", 1)
        cache.get_or_set("a", 1)
        cache.incr("a")
        cache.decr("a")
        cache.touch("a")
        cache.incr_version("a")
        cache.delete("a", version=2)
        cache.add("b", 1)
        cache.clear()
    assert told(tape) == [
        ("get_or_set", "a", False),
        ("get_or_set", "a", True),
        ("incr", "a", None),
        ("decr", "a", None),
        ("touch", "a", None),
        ("incr_version", "a", None),
        ("delete", "a", None),
        ("add", "b", None),
        ("clear", "", None),
    ]


def test_many_keys_are_one_event_that_counts_what_it_found() -> None:
    with taping() as tape:
        cache.set_many({"a": 1, "b": 2})
        assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
        cache.get_many({"a", "b"})
        cache.get_many(keys=["x"])
        cache.delete_many(["a", "b"])
    set_many, some, both, none, delete = told(tape)
    assert set_many == ("set_many", "a, b", None)
    assert some == ("get_many", "a, b, c (2 of 3 found)", False)
    assert both[2] is True
    assert none == ("get_many", "x (0 of 1 found)", False)
    assert delete == ("delete_many", "a, b", None)


def test_keys_from_an_iterator_all_arrive() -> None:
    cache.set("a", 1)
    with taping() as tape:
        assert cache.get_many(key for key in "ab") == {"a": 1}
        cache.delete_many(key for key in "ab")
    assert cache.get("a") is None
    assert told(tape) == [("get_many", "a", True), ("delete_many", "", None)]


def test_keys_are_bounded() -> None:
    with taping() as tape:
        cache.get("k" * 240, version=1)
        cache.get_many([f"{number:0100}" for number in range(100)])
        cache.get(5)
    assert all(len(call.key) <= probe.KEY_KEPT for call in calls(tape))
    assert calls(tape)[2].key == "5"


def test_a_cache_used_to_make_a_default_is_an_event_of_its_own() -> None:
    def compute() -> int:
        cache.get("inner")
        return 1

    with taping() as tape:
        cache.get_or_set("outer", compute)
    assert told(tape) == [("get", "inner", False), ("get_or_set", "outer", False)]


def test_a_backend_of_the_sites_own_is_one_event_per_call_too() -> None:
    own = caches["own"]
    with taping() as tape:
        own.set("a", 1)
        own.get("a")
        own.get_many(["a", "b"])
        own.get_or_set("c", 2)
    assert [(call.alias, call.operation, call.hit) for call in calls(tape)] == [
        ("own", "set", None),
        ("own", "get", True),
        ("own", "get_many", False),
        ("own", "get_or_set", False),
    ]


def test_an_exception_leaves_as_without_us() -> None:
    def fail() -> BaseException:
        with pytest.raises(ConnectionError, match="away") as caught:
            caches["failing"].get_or_set("a", 1)
        return caught.value

    fail()
    bare = fail()
    with taping() as tape:
        watched = fail()
    lines = [[(line.filename, line.name) for line in traceback.extract_tb(e.__traceback__)] for e in (bare, watched)]
    assert lines[1] == [line for line in lines[0] if "pipeline_inspector/probes" not in line[0]]
    assert told(tape) == [("get_or_set", "a", None)]


def test_a_key_that_is_missing_still_raises() -> None:
    with taping() as tape, pytest.raises(ValueError, match="not found"):
        cache.incr("missing")
    assert told(tape) == [("incr", "missing", None)]


def test_nothing_is_kept_outside_a_request() -> None:
    with taping() as tape:
        pass
    cache.get_or_set("a", 1)
    asyncio.run(cache.aget("a"))
    assert tape.events == []


def test_a_backend_made_by_hand_is_watched_through_the_classes_it_inherits() -> None:
    class Unseen(LocMemCache):
        pass

    backend = Unseen("unseen", {})
    with taping() as tape:
        backend.set("a", 1)
    assert told(tape) == [("set", "a", None)]


def test_async_calls_are_one_event_each() -> None:
    async def use() -> None:
        await cache.aset("a", 1)
        assert await cache.aget("a") == 1
        assert await cache.aget_many(["a", "b"]) == {"a": 1}
        assert await cache.aget_or_set("b", 2) == 2
        assert await cache.ahas_key("b")
        assert await cache.aincr("a") == 2
        assert await cache.adecr("a") == 1
        await cache.aset_many({"c": 3})
        assert await cache.aadd("c", 4) is False
        assert await cache.atouch("c")
        assert await cache.aincr_version("c") == 2
        assert await cache.adelete("b")
        await cache.adelete_many(["a"])
        await cache.aclear()

    with taping() as tape:
        asyncio.run(use())
    assert told(tape) == [
        ("set", "a", None),
        ("get", "a", True),
        ("get_many", "a, b (1 of 2 found)", False),
        ("get_or_set", "b", False),
        ("has_key", "b", True),
        ("incr", "a", None),
        ("decr", "a", None),
        ("set_many", "c", None),
        ("add", "c", None),
        ("touch", "c", None),
        ("incr_version", "c", None),
        ("delete", "b", None),
        ("delete_many", "a", None),
        ("clear", "", None),
    ]
    assert {call.code.co_name for call in calls(tape)} == {"use"}


def test_tasks_at_the_same_time_do_not_hide_each_others_calls() -> None:
    async def use(key: str) -> None:
        await cache.aget_or_set(key, key)

    async def all_at_once() -> None:
        await asyncio.gather(*(use(key) for key in "abc"))

    with taping() as tape:
        asyncio.run(all_at_once())
    assert sorted(call.key for call in calls(tape)) == ["a", "b", "c"]


def test_an_async_call_that_is_cancelled_ends_as_before() -> None:
    async def use() -> None:
        task = asyncio.ensure_future(cache.aget_or_set("a", 1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await cache.aget("b")

    with taping() as tape:
        asyncio.run(use())
    assert [call.key for call in calls(tape)][-1] == "b"


def test_identity_and_nature_of_methods_are_what_they_were() -> None:
    backend = caches["default"]
    own = caches["own"]
    for name in ("get_many", "get_or_set", "has_key", "incr", "set_many", "delete_many", "incr_version"):
        overridden = name in vars(LocMemCache)
        assert (getattr(backend, name).__func__ is getattr(BaseCache, name)) is not overridden
    assert own.get_many.__func__ is not BaseCache.get_many
    assert "get_many" not in vars(LocMemCache)
    assert inspect.iscoroutinefunction(BaseCache.aget)
    assert not inspect.iscoroutinefunction(BaseCache.get)
    assert LocMemCache.get.__qualname__ == "LocMemCache.get"
    assert list(inspect.signature(BaseCache.get).parameters) == ["self", "key", "default", "version"]


def test_a_backend_with_a_method_for_many_is_asked_once_by_the_async_one() -> None:
    caches["own"].set("a", 1)
    asked: list[Any] = []

    class Counting(OwnCache):
        def get_many(self, keys: Any, version: Any = None) -> dict[Any, Any]:
            asked.append(keys)
            return super().get_many(keys, version)

    with override_settings(CACHES={"default": {"BACKEND": LOCAL}}), taping() as tape:
        backend = Counting("own", {})
        probe._watch(backend, "counting")
        assert asyncio.run(backend.aget_many(["a", "b"])) == {"a": 1}
    assert len(asked) == (1 if django.VERSION >= (6, 1) else 0)
    assert [(call.alias, call.operation) for call in calls(tape)] == [("counting", "get_many")]


def test_installing_twice_keeps_each_call_once() -> None:
    probe.install()
    caches["default"].get("warm")
    del caches["default"]
    with taping() as tape:
        caches["default"].get("a")
    assert len(calls(tape)) == 1


def test_a_cache_that_cannot_be_made_fails_as_before() -> None:
    handler = CacheHandler({"default": {"BACKEND": "no.such.Cache"}})
    with pytest.raises(Exception, match=r"Could not find backend 'no\.such\.Cache'") as caught:
        handler["default"]
    assert all("pipeline_inspector/probes" not in line.filename for line in traceback.extract_tb(caught.tb))
