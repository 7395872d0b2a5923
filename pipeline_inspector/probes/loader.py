"""The loader hook: sees each layer where Django loads it, and puts the seams between them.

``BaseHandler.load_middleware`` is wrapped once, at class level. While it runs, two names of its module are ours:
``import_string`` tells which dotted path is being made into a layer, ``convert_exception_to_response`` gives the seam.
Layers are matched by order, not by identity: the first conversion after a factory returned is that layer's, whatever
object another tool made of it. No middleware class, function or instance is touched.
"""

import sys
from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any
from weakref import WeakSet

from asgiref.sync import AsyncToSync, SyncToAsync, iscoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers import base as handlers_base

from pipeline_inspector import clock, faults
from pipeline_inspector.probes import layers
from pipeline_inspector.probes.hooks import wrap_lists
from pipeline_inspector.recording.chain import LoadedChain, LoadedLayer
from pipeline_inspector.records import NotUsed

Outermost = Callable[[Any, LoadedChain], Any]
Innermost = Callable[[Any, LoadedChain, Callable[[Any], Any]], Any]

base: Any = handlers_base
_loading = RLock()
_chains: "WeakSet[LoadedChain]" = WeakSet()


class Factory:
    """Stands in for what a dotted path names while Django makes a layer of it; everything it is asked, it passes on."""

    def __init__(self, factory: Any, layer: LoadedLayer, builder: "Builder") -> None:
        self.__dict__.update(_factory=factory, _layer=layer, _builder=builder)
        for name in ("__module__", "__doc__"):  # its class has its own
            self.__dict__[name] = getattr(factory, name, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factory, name)

    def __call__(self, get_response: Any) -> Any:
        layer, builder = self._layer, self._builder
        layer.is_async = iscoroutinefunction(get_response)
        if isinstance(get_response, SyncToAsync | AsyncToSync):
            layer.hop_inward = True
            builder.hop(get_response)
        layer.inward = get_response
        start = clock.now()
        try:
            layer.instance = self._factory(get_response)
        except MiddlewareNotUsed as reason:
            builder.chain.not_used.insert(0, NotUsed(layer.path, str(reason)))
            raise
        layer.construct_ns = clock.now() - start
        builder.made = layer
        return layer.instance


class Builder:
    """What one run of ``load_middleware`` tells: fills a ``LoadedChain`` from the inside out."""

    def __init__(self, is_async: bool, innermost: Innermost, hidden: frozenset[str]) -> None:
        self.chain = LoadedChain("asgi" if is_async else "wsgi")
        self.made: LoadedLayer | None = None
        self._innermost = innermost
        self._hidden = hidden
        # A factory may load a chain of its own (a client in its __init__): then the names are those of the outer builder.
        outer = getattr(base.import_string, "__self__", None)
        self.plain_import: Any = outer.plain_import if isinstance(outer, Builder) else base.import_string
        self.plain_convert: Any = (
            outer.plain_convert if isinstance(outer, Builder) else base.convert_exception_to_response
        )
        self._core_done = False

    def import_string(self, path: str) -> Any:
        """In the place of Django's: the stand-in of what ``path`` names."""
        known = path.rpartition(".")[0] in sys.modules
        start = clock.now()
        factory = self.plain_import(path)
        if path in self._hidden:
            return factory
        return Factory(factory, LoadedLayer(path, factory, 0 if known else clock.now() - start), self)

    def convert(self, get_response: Any) -> Any:
        """In the place of ``convert_exception_to_response``: the seam of the core, then of each layer made."""
        is_core, self._core_done = not self._core_done, True
        layer, self.made = self.made, None
        try:
            if is_core:
                return self._innermost(get_response, self.chain, self.plain_convert)
            if layer is not None:
                return self._seam(get_response, layer)
        except Exception as error:
            faults.note("probes: seam", error)
        return self.plain_convert(get_response)

    def _seam(self, get_response: Any, layer: LoadedLayer) -> Any:
        layer.position = len(self.chain.layers) + 1
        made = layers.seam(get_response, self.chain, layer.position, layer.inward, self.plain_convert)
        self.chain.layers.append(layer)
        return made

    def hop(self, adapter: Any) -> None:
        """``adapter`` shall stamp its switches."""
        try:
            layers.hop(adapter, self.chain, len(self.chain.layers))
        except Exception as error:
            faults.note("probes: hop", error)

    def complete(self, handler: Any) -> None:
        """The chain is loaded: name the layers, time the hooks."""
        chain = self.chain
        chain.core_hop = bool(chain.layers) and chain.layers[0].hop_inward
        chain.top_hop = isinstance(handler._middleware_chain, SyncToAsync | AsyncToSync)
        chain.complete()
        wrap_lists(handler, chain)
        _chains.add(chain)


def install(
    outermost: Outermost,
    innermost: Innermost,
    enabled: Callable[[], bool],
    loaded: Callable[[LoadedChain], None],
    hidden: frozenset[str],
) -> None:
    """Wrap ``BaseHandler.load_middleware``. Once per process, whatever others put on top since: see the wiring.

    ``enabled`` is asked at each load; ``loaded`` is told of each chain; ``hidden`` are dotted paths that never show as
    layers (our own two, listed by hand).
    """
    original = base.BaseHandler.load_middleware

    @wraps(original)
    def load_middleware(self: Any, is_async: bool = False) -> None:
        if not enabled():
            original(self, is_async)
            return
        with _loading:
            builder = Builder(is_async, innermost, hidden)
            before = base.import_string, base.convert_exception_to_response
            base.import_string, base.convert_exception_to_response = builder.import_string, builder.convert
            try:
                original(self, is_async)
            finally:
                base.import_string, base.convert_exception_to_response = before
        try:
            builder.complete(self)
            self._middleware_chain = outermost(self._middleware_chain, builder.chain)
            loaded(builder.chain)
        except Exception as error:
            faults.note("probes: loading the chain", error)
            original(self, is_async)

    base.BaseHandler.load_middleware = load_middleware
