"""One loaded chain, as the request path needs it: a template of slots per set of layers that are off.

Made once per ``load_middleware`` by the loader probe. ``plan()`` describes it as plain data; that looks at sources and so
belongs to the recorder thread.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Literal

import msgspec
from django.utils.deprecation import MiddlewareMixin

from pipeline_inspector import clock
from pipeline_inspector.recording.fields import Slots
from pipeline_inspector.recording.frames import begins_with
from pipeline_inspector.recording.slots import ENTRY, OFF, STRIDE
from pipeline_inspector.records import Frame, Mode, NotUsed, Plan, PlanLayer

LEARNING = 20
"""So many first requests of a chain keep every boundary, to learn which attributes its layers exchange."""

LEARN_AGAIN = 50
"""So does one request in so many afterwards: what layers exchange may depend on the request."""

WATCHED_AT_MOST = 8

HOOKS = ("process_request", "process_view", "process_exception", "process_template_response", "process_response")


class LoadedLayer:
    """One entry of ``MIDDLEWARE`` as loaded: what the setting named, what it made, and what it was given to call."""

    def __init__(self, path: str, factory: Any, import_ns: int) -> None:
        self.path = path
        self.id = path
        self.factory = factory
        self.import_ns = import_ns
        self.construct_ns = 0
        self.position = 0
        self.instance: Any = None
        self.inward: Any = None
        self.is_async = False
        self.hop_inward = False

    @property
    def mode(self) -> Mode:
        """What the factory says it can do, by Django's two marks."""
        can_sync = getattr(self.factory, "sync_capable", True)
        can_async = getattr(self.factory, "async_capable", False)
        return "both" if can_sync and can_async else "async" if can_async else "sync"

    def describe(self, index: int) -> PlanLayer:
        """This layer as plain data, at ``index`` from the outside."""
        is_class = inspect.isclass(self.factory)
        file, line = source_of(self.factory)
        return PlanLayer(
            index=index,
            id=self.id,
            path=self.path,
            name=self.id.rpartition(".")[2],
            mode=self.mode,
            runs="async" if self.is_async else "sync",
            hooks=[hook for hook in HOOKS if hasattr(self.instance, hook)],
            kind="class" if is_class else "function",
            file=file,
            line=line,
            inner_hops=self._inner_hops(),
            import_ns=self.import_ns,
            construct_ns=self.construct_ns,
        )

    def _inner_hops(self) -> int:
        kind = type(self.instance)
        if not self.is_async or not issubclass(kind, MiddlewareMixin):
            return 0
        if kind.__acall__ is not MiddlewareMixin.__acall__:
            return 0
        return sum(hasattr(self.instance, hook) for hook in ("process_request", "process_response"))


class LoadedChain:
    """The layers of one handler, innermost first (``layers[0]`` has position 1)."""

    def __init__(self, interface: Literal["wsgi", "asgi"]) -> None:
        self.interface: Literal["wsgi", "asgi"] = interface
        self.layers: list[LoadedLayer] = []
        self.not_used: list[NotUsed] = []
        self.core_hop = False
        self.top_hop = False
        self.call_path: list[Frame] = []
        self.software: Callable[[], str] = str
        self.loaded_at = clock.wall()
        self.template: list[Any] = []
        self.learning = LEARNING
        self.watched: tuple[str, ...] = ()
        self._beginnings: dict[CodeType, list[Any]] = {}
        self._described: Plan | None = None
        self._templates: dict[frozenset[str], tuple[list[Any], tuple[str, ...]]] = {}

    def complete(self) -> None:
        """All layers are in: give the ids and lay out the slots."""
        seen: dict[str, int] = {}
        for layer in reversed(self.layers):
            seen[layer.path] = seen.get(layer.path, 0) + 1
            if seen[layer.path] > 1:
                layer.id = f"{layer.path}#{seen[layer.path]}"
        self.template = [0] * (STRIDE * (len(self.layers) + 1))

    def watch(self, name: str) -> None:
        """A layer exchanged the request attribute ``name``: look at it at every boundary from now on."""
        if name not in self.watched and len(self.watched) < WATCHED_AT_MOST:
            self.watched = (*self.watched, name)

    def learn_beginning(self, called: Any) -> bool:
        """Know the frames with which ``called``, a layer or the core, begins; False when there are none."""
        beginning = begins_with(called)
        if beginning is None:
            return False
        code, instance = beginning
        self._beginnings.setdefault(code, []).append(instance)
        return True

    def begins_at(self, frame: FrameType) -> bool:
        """Does a layer, or the core, begin with ``frame``?"""
        instances = self._beginnings.get(frame.f_code)
        if instances is None:
            return False
        first = frame.f_locals.get(frame.f_code.co_varnames[0]) if frame.f_code.co_argcount else None
        return any(instance is None or instance is first for instance in instances)

    def slots(self, off: frozenset[str]) -> tuple[list[Any], tuple[str, ...]]:
        """A template of slots with the layers named in ``off`` marked, and the ids of those that this chain has."""
        ready = self._templates.get(off)
        if ready is None:
            slots = self.template[:]
            mine = [layer for layer in reversed(self.layers) if layer.id in off]
            for layer in mine:
                slots[layer.position * STRIDE + ENTRY] = OFF
            if len(self._templates) > 100:
                self._templates.clear()
            ready = self._templates[off] = Slots(slots), tuple(layer.id for layer in mine)
        return ready

    def plan(self) -> Plan:
        """The chain as plain data; its id is a digest of the content. Made anew when the call path became known."""
        if self._described is None or self._described.call_path != self.call_path:
            self._described = self._describe()
        return self._described

    def _describe(self) -> Plan:
        layers = self._described.layers if self._described is not None else self._describe_layers()
        plan = Plan(
            id="",
            interface=self.interface,
            layers=layers,
            not_used=self.not_used,
            hook_order={
                "process_view": [layer.index for layer in layers if "process_view" in layer.hooks],
                "process_template_response": _inside_out(layers, "process_template_response"),
                "process_exception": _inside_out(layers, "process_exception"),
            },
            core_hop=self.core_hop,
            top_hop=self.top_hop,
            software=self.software(),
            call_path=self.call_path,
        )
        plan.id = hashlib.blake2b(_content(plan), digest_size=9).hexdigest()
        plan.loaded_at = clock.iso(self.loaded_at)
        return plan

    def _describe_layers(self) -> list[PlanLayer]:
        layers = [layer.describe(index) for index, layer in enumerate(reversed(self.layers))]
        for outer, inner in zip([None, *reversed(self.layers)], layers, strict=False):
            inner.hop_before = self.top_hop if outer is None else outer.hop_inward
        return layers


def _inside_out(layers: list[PlanLayer], hook: str) -> list[int]:
    return [layer.index for layer in reversed(layers) if hook in layer.hooks]


def _content(plan: Plan) -> bytes:
    timeless = [msgspec.structs.replace(layer, import_ns=0, construct_ns=0) for layer in plan.layers]
    return msgspec.msgpack.encode(msgspec.structs.replace(plan, layers=timeless))


def source_of(thing: Any) -> tuple[str, int]:
    """Absolute file and line where a class or function was written; ``("", 0)`` when that is not known."""
    code = getattr(inspect.unwrap(thing), "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    kind = thing if inspect.isclass(thing) else type(thing)
    try:
        return inspect.getsourcefile(kind) or "", inspect.findsource(kind)[1] + 1
    except Exception:
        return getattr(sys.modules.get(kind.__module__), "__file__", None) or "", 0
