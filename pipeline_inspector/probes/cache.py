"""Cache: each call of a cache backend by the site, as one event, however many methods the backend calls of itself.

Methods are wrapped in the class that defines them, not on the instance: Django compares ``cache.get_many.__func__`` with
``BaseCache.get_many``, and both stay what they were to each other. Values are never looked at; a hit is a result that is
not the very object given as default.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, wraps
from inspect import iscoroutinefunction
from itertools import islice
from sys import _getframe
from threading import get_ident
from types import CodeType, FrameType, FunctionType
from typing import Any

from django.core.cache import CacheHandler, caches

from pipeline_inspector import clock, faults
from pipeline_inspector.probes.base import belongs_to_user, users_place
from pipeline_inspector.recording.kinds import CACHE
from pipeline_inspector.recording.tape import Tape, tape_in_hand

KEY_KEPT = 200
KEYS_KEPT = 5

Method = Callable[..., Any]

_PLAIN = ("add", "get", "set", "touch", "delete", "incr", "decr", "has_key", "incr_version", "decr_version")
_OPERATIONS = (*_PLAIN, "get_or_set", "get_many", "set_many", "delete_many", "clear")
_OF_MANY = frozenset({"get_many", "set_many", "delete_many"})
_LOOKUPS = frozenset({"get", "has_key", "get_or_set"})
_METHODS = {name: operation for operation in _OPERATIONS for name in (operation, f"a{operation}")}
_ALIAS = "_pipeline_inspector_alias"
_NOTHING = object()

_now = clock.now


class _Call:
    """One call of the site's in hand: what its own first look-up found."""

    found: bool | None = None


_in_hand: ContextVar[_Call | None] = ContextVar("pipeline_inspector_cache_call", default=None)
_watched: set[type] = set()
_wrappers: set[Any] = set()
_backends_code: set[CodeType] = set()


@cache
def install() -> None:
    """Watch every cache from its making on, and those that this thread has made already."""
    CacheHandler.create_connection = _create_connection(CacheHandler.create_connection)  # type: ignore[method-assign]
    try:
        for alias in caches:
            made = getattr(caches._connections, alias, None)  # type: ignore[attr-defined]
            if made is not None:
                _watch(made, alias)
    except Exception as fault:  # CACHES may be wrong: that is for Django to say, when it is used
        faults.note("probes: caches", fault)


def _create_connection(original: Method) -> Method:
    @wraps(original)
    def create_connection(self: CacheHandler, alias: str) -> Any:
        try:
            made = original(self, alias)
        except BaseException as error:
            _hide(error)
            raise
        _watch(made, alias)
        return made

    return create_connection


def _watch(backend: Any, alias: str) -> None:
    try:
        for kind in type(backend).__mro__:
            if kind not in _watched:
                _watched.add(kind)
                _wrap(kind)
        vars(backend)[_ALIAS] = alias
    except Exception as fault:
        faults.note("probes: cache", fault)


def _wrap(kind: type) -> None:
    for name, method in list(vars(kind).items()):
        if type(method) is FunctionType and method not in _wrappers:
            _backends_code.update(_codes(method.__code__))
            operation = _METHODS.get(name)
            if operation is not None:
                wrapper = (_acall if iscoroutinefunction(method) else _call)(method, operation)
                _wrappers.add(wrapper)
                setattr(kind, name, wrapper)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _call(original: Method, operation: str) -> Method:
    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, *args, **kwargs)
        outer = _in_hand.get()
        if outer is not None and not _is_the_sites(_getframe(1)):
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                _hide(error)
                raise
            _learn(outer, operation, args, kwargs, result)
            return result
        mine = _Call()
        token = _in_hand.set(mine)
        result = _NOTHING
        start = _now()
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            _hide(error)
            raise
        finally:
            end = _now()
            _in_hand.reset(token)
            _keep(tape, start, end, self, operation, args, kwargs, result, mine, _getframe(1))
        return result

    return call


def _acall(original: Method, operation: str) -> Method:
    @wraps(original)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return await original(self, *args, **kwargs)
        outer = _in_hand.get()
        if outer is not None and not _is_the_sites(_getframe(1)):
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as error:
                _hide(error)
                raise
            _learn(outer, operation, args, kwargs, result)
            return result
        mine = _Call()
        _in_hand.set(mine)
        result = _NOTHING
        start = _now()
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            _hide(error)
            raise
        finally:
            end = _now()
            # No token: a coroutine that is thrown away may be closed in another context than it was begun in.
            _in_hand.set(outer)
            _keep(tape, start, end, self, operation, args, kwargs, result, mine, _getframe(1))
        return result

    return call


def _learn(outer: _Call, operation: str, args: Any, kwargs: Any, result: Any) -> None:
    """A backend calls its own method: no event, but what it found answers whether the call around it hit."""
    if outer.found is None and operation == "get":
        outer.found = result is not _default(args, kwargs)


def _is_the_sites(frame: FrameType) -> bool:
    """Does code of the site's own stand there, other than a backend of its own? (The default of ``get_or_set``.)"""
    try:
        code = frame.f_code
        return belongs_to_user(code.co_filename) and code not in _backends_code
    except Exception as fault:
        faults.note("probes: cache call", fault)
        return False


def _keep(
    tape: Tape,
    start: int,
    end: int,
    backend: Any,
    operation: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Any,
    call: _Call,
    frame: FrameType,
) -> None:
    try:
        key, hit = _told(operation, args, kwargs, result, call)
        alias = backend.__dict__.get(_ALIAS, "")
        code, place = users_place(frame)
        tape.add((CACHE, start, end, get_ident(), alias, operation, key, hit, code, place))
    except Exception as fault:
        faults.note("probes: cache call", fault)


def _told(
    operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, call: _Call
) -> tuple[str, bool | None]:
    """The key or keys as bounded text, and whether it hit (None: no look-up, or it failed)."""
    if operation in _OF_MANY:
        return _many(operation, args, kwargs, result)
    key = _text(args[0] if args else kwargs.get("key", ""))
    if operation not in _LOOKUPS or result is _NOTHING:
        return key, None
    if operation == "get":
        return key, result is not _default(args, kwargs)
    return key, result is True if operation == "has_key" else call.found


def _many(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> tuple[str, bool | None]:
    given = args[0] if args else kwargs.get("data" if operation == "set_many" else "keys", ())
    found = result if type(result) is dict and operation == "get_many" else None
    asked = given if type(given) in _SIZED else found or ()  # an iterator is used up, and was not ours to use
    text = ", ".join(_text(key) for key in islice(asked, KEYS_KEPT)) + (", …" if len(asked) > KEYS_KEPT else "")
    if found is None:
        return text[:KEY_KEPT], None
    if asked is given:
        text = f"{text[: KEY_KEPT - 30]} ({len(found)} of {len(asked)} found)"
    return text[:KEY_KEPT], bool(found) and len(found) >= len(asked)


_SIZED: tuple[type, ...] = (list, tuple, set, frozenset, dict, type({}.keys()))


def _default(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[1] if len(args) > 1 else kwargs.get("default")


def _text(key: Any) -> str:
    kind = type(key)
    if kind is str:
        return str(key[:KEY_KEPT])
    return str(key) if kind is int else f"<{kind.__name__}>"


def _hide(error: BaseException) -> None:
    """Our frame, the first of the traceback here, was never there."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
