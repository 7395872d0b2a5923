"""Layers made to order: of each kind and mode, with hooks, doing one thing somewhere. Each writes down its own way.

``order(spec)`` makes the layer and gives its dotted path; Django imports it from here like any other.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponse
from django.utils.decorators import async_only_middleware, sync_and_async_middleware, sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

from tests.scenarios.journey import note

KINDS = ("function", "class", "mixin")
MODES = ("sync", "async", "both")
HOOKS = ("process_view", "process_template_response", "process_exception")
ACTS = (
    "pass",
    "answer",
    "raise_in",
    "raise_out",
    "rescue_own",
    "answer_view",
    "raise_view",
    "raise_template",
    "rescue_exception",
    "raise_exception",
)

ANSWERED, RESCUED = 203, 202


class Raised(Exception):  # noqa: N818
    """What layers raise."""


@dataclass(frozen=True)
class Spec:
    """A layer wanted. ``act``: the one thing it does besides passing on."""

    name: str
    kind: str = "class"
    mode: str = "both"
    hooks: frozenset[str] = frozenset()
    act: str = "pass"

    @property
    def path(self) -> str:
        """Its dotted path."""
        return f"{__name__}.{self.name}"


def order(spec: Spec) -> str:
    """Make the layer; its dotted path."""
    setattr(sys.modules[__name__], spec.name, _MAKERS[spec.kind](spec))
    return spec.path


# -- what every kind does ---------------------------------------------------------------------------------------------


def _come(spec: Spec, request: Any) -> HttpResponse | None:
    note("layer_in", spec.name, request.path)
    setattr(request, f"seen_by_{spec.name}", True)
    if spec.act == "raise_in":
        raise Raised(f"{spec.name} on the way in")
    if spec.act == "answer":
        return HttpResponse(f"{spec.name} answered", status=ANSWERED)
    note("called", spec.name, request.path)
    return None


def _go(spec: Spec, request: Any, response: Any) -> Any:
    note("layer_out", spec.name, request.path, response.status_code)
    if spec.act == "raise_out":
        raise Raised(f"{spec.name} on the way out")
    if spec.act == "rescue_own" and response.status_code == 500:
        response = HttpResponse(f"{spec.name} rescued", status=RESCUED)
    response.headers[f"X-{spec.name}"] = str(response.status_code)
    response.headers["X-Last"] = spec.name
    response.set_cookie(f"c-{spec.name}", spec.mode)
    note("left", spec.name, request.path)
    return response


def _process_view(spec: Spec, request: Any, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
    note("hook", f"{spec.name}.process_view", request.path)
    if spec.act == "raise_view":
        raise Raised(f"{spec.name} before the view")
    return HttpResponse(f"{spec.name} instead of the view", status=ANSWERED) if spec.act == "answer_view" else None


def _process_template_response(spec: Spec, request: Any, response: Any) -> Any:
    note("hook", f"{spec.name}.process_template_response", request.path)
    if spec.act == "raise_template":
        raise Raised(f"{spec.name} before the render")
    response.headers[f"X-Template-{spec.name}"] = "yes"
    return response


def _process_exception(spec: Spec, request: Any, error: Exception) -> HttpResponse | None:
    note("hook", f"{spec.name}.process_exception", request.path)
    if spec.act == "raise_exception":
        raise Raised(f"{spec.name} at the exception")
    return HttpResponse(f"{spec.name} rescued", status=RESCUED) if spec.act == "rescue_exception" else None


_BODIES: dict[str, Callable[..., Any]] = {
    "process_view": _process_view,
    "process_template_response": _process_template_response,
    "process_exception": _process_exception,
}


# -- the kinds --------------------------------------------------------------------------------------------------------


def _function(spec: Spec) -> Callable[..., Any]:
    def factory(get_response: Any) -> Any:
        if iscoroutinefunction(get_response):

            async def layer(request: Any) -> Any:
                answer = _come(spec, request)
                return answer if answer is not None else _go(spec, request, await get_response(request))

        else:

            def layer(request: Any) -> Any:
                answer = _come(spec, request)
                return answer if answer is not None else _go(spec, request, get_response(request))

        for hook in spec.hooks - {"process_template_response"}:  # Django itself fails on that one for functions
            setattr(layer, hook, _bound(spec, hook))
        return layer

    return _MARKS[spec.mode](factory)


def _bound(spec: Spec, hook: str) -> Callable[..., Any]:
    return lambda *args: _BODIES[hook](spec, *args)


def _class(spec: Spec) -> type:
    class Layer:
        sync_capable = spec.mode != "async"
        async_capable = spec.mode != "sync"

        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response
            self.is_async = iscoroutinefunction(get_response)
            if self.is_async:
                markcoroutinefunction(self)

        def __call__(self, request: Any) -> Any:
            if self.is_async:
                return self.__acall__(request)
            answer = _come(spec, request)
            return answer if answer is not None else _go(spec, request, self.get_response(request))

        async def __acall__(self, request: Any) -> Any:
            answer = _come(spec, request)
            return answer if answer is not None else _go(spec, request, await self.get_response(request))

    return _with_hooks(Layer, spec)


def _mixin(spec: Spec) -> type:
    class Layer(MiddlewareMixin):
        sync_capable = spec.mode != "async"
        async_capable = spec.mode != "sync"

        def process_request(self, request: Any) -> HttpResponse | None:
            return _come(spec, request)

        def process_response(self, request: Any, response: Any) -> Any:
            return response if spec.act == "answer" else _go(spec, request, response)

    return _with_hooks(Layer, spec)


def _with_hooks(kind: type, spec: Spec) -> type:
    for hook in spec.hooks:
        setattr(kind, hook, _method(spec, hook))
    kind.__name__ = kind.__qualname__ = spec.name
    return kind


def _method(spec: Spec, hook: str) -> Callable[..., Any]:
    return lambda self, *args: _BODIES[hook](spec, *args)


_MARKS: dict[str, Callable[[Any], Any]] = {
    "sync": sync_only_middleware,
    "async": async_only_middleware,
    "both": sync_and_async_middleware,
}
_MAKERS: dict[str, Callable[[Spec], Any]] = {"function": _function, "class": _class, "mixin": _mixin}
