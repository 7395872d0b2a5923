"""The three lists of hooks that a handler calls around the view, each entry timed and able to stand aside.

The entries are wrapped after Django adapted them, in the mode the list needs. Where Django put an adapter between loop
and thread, the adapted method is wrapped inside it too, so that the switch itself can be told from the hook's own work;
the number of switches stays.
"""

from collections.abc import Callable
from functools import update_wrapper
from threading import get_ident
from typing import Any

from asgiref.sync import SyncToAsync, iscoroutinefunction, sync_to_async

from pipeline_inspector import faults
from pipeline_inspector.probes.base import met
from pipeline_inspector.probes.layers import in_core
from pipeline_inspector.recording.chain import LoadedChain, LoadedLayer
from pipeline_inspector.recording.fields import snapshot
from pipeline_inspector.recording.kinds import HOOK
from pipeline_inspector.recording.slots import ENTRY, OFF, STRIDE
from pipeline_inspector.recording.tape import Tape, now

Hook = Callable[..., Any]


def wrap_lists(handler: Any, chain: LoadedChain) -> None:
    """Wrap the entries of the handler's hook lists; they belong, in Django's order, to the layers that have the hook."""
    outside_in = chain.layers[::-1]
    lists = (
        ("_view_middleware", "process_view", outside_in),
        ("_template_response_middleware", "process_template_response", chain.layers),
        ("_exception_middleware", "process_exception", chain.layers),
    )
    for attribute, name, layers in lists:
        hooks = getattr(handler, attribute)
        owners = [layer for layer in layers if hasattr(layer.instance, name)]
        if len(owners) != len(hooks):
            faults.note("probes: hooks", f"{attribute} has {len(hooks)} entries for {len(owners)} layers")
            continue
        hooks[:] = [_timed(hook, chain, owner, name) for hook, owner in zip(hooks, owners, strict=True)]


def _timed(hook: Hook, chain: LoadedChain, layer: LoadedLayer, name: str) -> Hook:
    if iscoroutinefunction(hook):
        wrapper = _async_hook(hook, chain, layer.position, name)
    elif name == "process_view":
        wrapper = _sync_view_hook(hook, chain, layer.position)
    else:
        wrapper = _sync_hook(hook, chain, layer.position, name)
    timed = update_wrapper(wrapper, hook)
    if hasattr(hook, "__self__"):
        timed.__self__ = hook.__self__  # type: ignore[attr-defined]
    return timed


def _sync_view_hook(hook: Hook, chain: LoadedChain, position: int) -> Hook:
    """The hook that nearly every chain has, in as few frames as it can be."""
    entry = position * STRIDE + ENTRY

    def timed(request: Any, view: Any, args: Any, kwargs: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            tape = None
        if tape is None or tape.chain is not chain:
            return hook(request, view, args, kwargs)
        if tape.off and tape.slots[entry] == OFF:
            return None
        start = now()
        try:
            answer = hook(request, view, args, kwargs)
        except Exception as error:
            _failed(tape, error, position, "process_view", start)
            raise
        try:
            tape.hooked(request.__dict__, start, position, answer is not None)
        except Exception as fault:
            faults.note("probes: hook", fault)
        return answer

    return timed


def _sync_hook(hook: Hook, chain: LoadedChain, position: int, name: str) -> Hook:
    entry = position * STRIDE + ENTRY

    def timed(request: Any, *args: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            tape = None
        if tape is None or tape.chain is not chain:
            return hook(request, *args)
        if tape.off and tape.slots[entry] == OFF:
            return _neutral(name, args)
        _before(tape, name, args, position)
        start = now()
        try:
            answer = hook(request, *args)
        except Exception as error:
            _failed(tape, error, position, name, start)
            raise
        _after(tape, request, answer, position, name, start, (0, 0))
        return answer

    return timed


def _async_hook(hook: Hook, chain: LoadedChain, position: int, name: str) -> Hook:
    entry = position * STRIDE + ENTRY
    is_view_hook = name == "process_view"
    adapted = isinstance(hook, SyncToAsync)
    called = sync_to_async(_stamped(hook.func), thread_sensitive=True) if isinstance(hook, SyncToAsync) else hook

    async def timed(request: Any, *args: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            tape = None
        if tape is None or tape.chain is not chain:
            return await hook(request, *args)
        if tape.off and tape.slots[entry] == OFF:
            return _neutral(name, args)
        if not is_view_hook:
            _before(tape, name, args, position)
        start = now()
        try:
            answer = await called(request, *args)
        except Exception as error:
            _failed(tape, error, position, name, start)
            raise
        _after(tape, request, answer, position, name, start, tape.inside if adapted else (0, 0))
        return answer

    return timed


def _stamped(method: Hook) -> Hook:
    def in_thread(request: Any, *args: Any) -> Any:
        start = now()
        try:
            return method(request, *args)
        finally:
            tape = getattr(request, "_pipeline_tape", None)
            if tape is not None:
                tape.inside = (start, now())

    return update_wrapper(in_thread, method)


def _neutral(name: str, args: tuple[Any, ...]) -> Any:
    return args[0] if name == "process_template_response" else None


def _before(tape: Tape, name: str, args: tuple[Any, ...], position: int) -> None:
    try:
        if name == "process_exception":
            met(tape, args[0], in_core(tape))
        elif name == "process_template_response":
            moment = now()
            tape.add((HOOK, moment, moment, 0, position, "", False, None, snapshot(args[0]), 0, 0, None))
    except Exception as fault:
        faults.note("probes: hook", fault)


def _after(
    tape: Tape, request: Any, answer: Any, position: int, name: str, start: int, inside: tuple[int, int]
) -> None:
    end = now()
    try:
        attributes = response = None
        if name == "process_exception":
            if answer is not None and tape.errors:
                tape.errors[-1].rescued_by = ("hook:process_exception", position)
                tape.errors[-1].rescued_at = end
        else:
            own = request.__dict__
            attributes = None if len(own) == tape.width else tape.looked(own)
            response = None if name == "process_view" else snapshot(answer)
        answered = answer is not None
        tape.add((HOOK, start, end, get_ident(), position, name, answered, attributes, response, *inside, None))
    except Exception as fault:
        faults.note("probes: hook", fault)


def _failed(tape: Tape, error: Exception, position: int, name: str, start: int) -> None:
    met(tape, error, (f"hook:{name}", position))
    try:
        tape.add((HOOK, start, now(), get_ident(), position, name, False, None, None, 0, 0, type(error).__name__))
    except Exception as fault:
        faults.note("probes: hook", fault)
