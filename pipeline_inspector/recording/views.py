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
    written = class_of(view)
    decorators: list[str] = []
    inner = view
    made_of = _function_of(written)
    if made_of is not None:
        written, inner = None, made_of
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif hasattr(inner, "__wrapped__") and not _is_as_view(inner):
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
    return name, kind, file, line, tuple(name for name in decorators if name), iscoroutinefunction(view)


def method(view: Any, verb: str | None) -> str:
    """What ran of a class-based view whose ``View.dispatch`` was not reached; "" when a decorator answered before it.

    ``dispatch`` itself, when it passes on to the one it inherits but answered instead, or when its class has no method
    for the request's ``verb``; else its class is taken to choose by the verb, as Django does.
    """
    written = class_of(view)
    own = [vars(kind)["dispatch"] for kind in inspect.getmro(written) if "dispatch" in vars(kind)] if written else []
    if len(own) < 2:
        return ""
    if all(map(_passes_on, own)):
        return "dispatch"
    chosen = (verb or "").lower()
    actions = getattr(view, "actions", None) or {}
    if chosen == "head" and not hasattr(written, "head"):
        chosen = "get"
    action = str(actions.get(chosen, chosen))
    if chosen in written.http_method_names and hasattr(written, action):
        return action
    refuses = any("http_method_not_allowed" in _names(dispatch) for dispatch in own[:-1])
    return "http_method_not_allowed" if refuses else "dispatch"


def class_of(view: Any) -> Any:
    """The class of a class-based view, through what wraps it; None for other views."""
    while view is not None:
        written = getattr(view, "view_class", None) or getattr(view, "cls", None)
        if written is not None:
            return written
        view = view.func if isinstance(view, functools.partial) else getattr(view, "__wrapped__", None)
    return None


def _function_of(written: Any) -> Any:
    """The function that a decorator made the class ``written`` of, giving it the function's name; None: no such thing."""
    if written is not None and written.__qualname__.rpartition(".")[2] != written.__name__:
        for handler in vars(written).values():
            for name in getattr(getattr(handler, "__code__", None), "co_freevars", ()):
                enclosed = _enclosed(handler, name)
                if getattr(enclosed, "__name__", None) == written.__name__:
                    return enclosed
    return None


def _is_as_view(view: Any) -> bool:
    return bool(_code_name(view).endswith("as_view.<locals>.view"))


def _code_name(function: Any) -> str:
    return str(getattr(getattr(function, "__code__", None), "co_qualname", ""))


def _names(function: Any) -> tuple[str, ...]:
    """The names that a function's own code uses."""
    return getattr(getattr(inspect.unwrap(function), "__code__", None), "co_names", ())


def _passes_on(dispatch: Any) -> bool:
    code = getattr(inspect.unwrap(dispatch), "__code__", None)
    return code is not None and ("super" in code.co_names or code.co_filename.startswith((DJANGO, OURS)))


def _decorator(wrapper: Any) -> str:
    """The decorator that made ``wrapper``: its name, or the middleware that Django made a decorator of."""
    name = _code_name(wrapper).partition(".<locals>")[0]
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
