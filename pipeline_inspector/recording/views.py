"""How a view is told: by what the developer wrote, through ``as_view()``, decorators and partials. Made once per view."""

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Literal

from asgiref.sync import iscoroutinefunction

from pipeline_inspector.recording.chain import source_of
from pipeline_inspector.recording.frames import DJANGO, OURS

Described = tuple[str, Literal["function", "class", "async"], str, int, tuple[str, ...], bool]

_known: dict[int, tuple[Callable[[], Any], Described]] = {}


def describe(view: Any) -> Described:
    """Dotted name, kind, file, line, the decorators around it (outermost first), and is it async."""
    known = _known.get(id(view))
    if known is not None and known[0]() is view:
        return known[1]
    described = _describe(view)
    try:
        reference = weakref.ref(view)
    except TypeError:
        return described
    if len(_known) > 5000:
        _known.clear()
    _known[id(view)] = reference, described
    return described


def _describe(view: Any) -> Described:
    written = getattr(view, "view_class", None) or getattr(view, "cls", None)
    decorators: list[str] = []
    inner = view
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif hasattr(inner, "__wrapped__"):
            decorators.append(_decorator(inner))
            inner = inner.__wrapped__
        else:
            break
    target = written or inner
    if not hasattr(target, "__qualname__"):
        target = type(target)
    file, line = source_of(target)
    kind: Literal["function", "class", "async"] = (
        "class" if written else "async" if iscoroutinefunction(view) else "function"
    )
    name = f"{getattr(target, '__module__', '')}.{target.__qualname__}"
    told = tuple(name for name in decorators if name and not written)
    return name, kind, file, line, told, iscoroutinefunction(view)


def method(view: Any, verb: str | None) -> str:
    """What ran of a class-based view whose ``View.dispatch`` was not reached.

    ``dispatch`` itself, when it passes on to the one it inherits but answered instead; else its class chooses the method
    in its own way, and is taken to choose by the request's ``verb``.
    """
    written = getattr(view, "view_class", None) or getattr(view, "cls", None)
    own = [vars(kind)["dispatch"] for kind in inspect.getmro(written) if "dispatch" in vars(kind)] if written else []
    if own and all(map(_passes_on, own)):
        return "dispatch"
    chosen = (verb or "").lower()
    actions = getattr(view, "actions", None)
    return str(actions.get(chosen, chosen)) if isinstance(actions, dict) else chosen


def _passes_on(dispatch: Any) -> bool:
    code = getattr(inspect.unwrap(dispatch), "__code__", None)
    return code is not None and ("super" in code.co_names or code.co_filename.startswith((DJANGO, OURS)))


def _decorator(wrapper: Any) -> str:
    """The decorator that made ``wrapper``: its name, or the middleware that Django made a decorator of."""
    code = getattr(wrapper, "__code__", None)
    name: str = getattr(code, "co_qualname", "").partition(".<locals>")[0]
    if name != "make_middleware_decorator":
        return name
    before = _enclosed(wrapper, "_pre_process_request")
    middleware = _enclosed(before, "middleware")
    return name if middleware is None else type(middleware).__name__


def _enclosed(function: Any, name: str) -> Any:
    """What ``function`` encloses under ``name``; None when it does not."""
    code = getattr(function, "__code__", None)
    if code is None or name not in code.co_freevars:
        return None
    return function.__closure__[code.co_freevars.index(name)].cell_contents
