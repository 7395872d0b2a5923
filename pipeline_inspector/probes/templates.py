"""Templates: each render of a Django template, what included or extended it, and the render of a response.

Of a context only the names are looked at, as they are handed in: values stay untouched, and what context processors add
shows from the first included template on. ``Template._render`` is left alone: Django's test environment puts its own there.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from itertools import islice
from threading import get_ident
from typing import Any

from django.template import base, loader_tags
from django.template.context import ContextDict
from django.template.response import SimpleTemplateResponse

from pipeline_inspector import clock, faults
from pipeline_inspector.recording.kinds import RENDER, TEMPLATE
from pipeline_inspector.recording.tape import Tape, tape_in_hand

KEYS_KEPT = 50

Method = Callable[..., Any]

_now = clock.now
_DICTS = frozenset({dict, ContextDict})
_NO_FILES = frozenset({base.UNKNOWN_SOURCE, "<template>", None})
_parents: ContextVar[list[Any] | None] = ContextVar("pipeline_inspector_parents", default=None)


@cache
def install() -> None:
    """Watch Django's templates, and template responses."""
    base.Template.render = _render(base.Template.render)  # type: ignore[method-assign]
    partial = getattr(base, "PartialTemplate", None)  # Django 6.0 brought it
    if partial is not None:
        partial.render = _render(partial.render)
    loader_tags.ExtendsNode.get_parent = _get_parent(loader_tags.ExtendsNode.get_parent)  # type: ignore[method-assign]
    loader_tags.ExtendsNode.render = _extends(loader_tags.ExtendsNode.render)  # type: ignore[method-assign]
    SimpleTemplateResponse.render = _response(SimpleTemplateResponse.render)  # type: ignore[method-assign]


def _render(original: Method) -> Method:
    @wraps(original)
    def render(self: Any, context: Any) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, context)
        try:
            relation = "render" if context.template is None else "include"
            keys = _names(context)
        except Exception as fault:
            faults.note("probes: template context", fault)
            relation, keys = "render", ()
        start = _now()
        try:
            return original(self, context)
        except BaseException as error:
            hide(error)
            raise
        finally:
            keep(tape, start, _now(), self, "django", keys, relation)

    return render


def _names(context: Any) -> tuple[Any, ...]:
    names: dict[Any, Any] = {}
    for scope in context.dicts[:0:-1]:  # the first holds True, False and None
        kind = type(scope)
        if kind in _DICTS and len(scope) <= KEYS_KEPT:
            names |= scope
        elif issubclass(kind, dict):
            names |= dict.fromkeys(islice(dict.__iter__(scope), KEYS_KEPT))  # runs no code of a subclass
    return tuple(names) if len(names) <= KEYS_KEPT else tuple(islice(names, KEYS_KEPT))


def _get_parent(original: Method) -> Method:
    @wraps(original)
    def get_parent(self: Any, context: Any) -> Any:
        found = _parents.get()
        if found is None:
            return original(self, context)
        try:
            parent = original(self, context)
        except BaseException as error:
            hide(error)
            raise
        found.append(parent)
        return parent

    return get_parent


def _extends(original: Method) -> Method:
    @wraps(original)
    def render(self: Any, context: Any) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, context)
        try:
            keys = _names(context)
        except Exception as fault:
            faults.note("probes: template context", fault)
            keys = ()
        found: list[Any] = []
        token = _parents.set(found)
        start = _now()
        try:
            return original(self, context)
        except BaseException as error:
            hide(error)
            raise
        finally:
            end = _now()
            _parents.reset(token)
            if found:
                keep(tape, start, end, found[0], "django", keys, "extends")

    return render


def _response(original: Method) -> Method:
    @wraps(original)
    def render(self: Any) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open or getattr(self, "_is_rendered", False):
            return original(self)
        start = _now()
        try:
            return original(self)
        except BaseException as error:
            hide(error)
            raise
        finally:
            try:
                tape.add((RENDER, start, _now(), get_ident()))
            except Exception as fault:
                faults.note("probes: response rendering", fault)

    return render


def hide(error: BaseException) -> None:
    """Our frame, the first of the traceback here, was never there."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def keep(tape: Tape, start: int, end: int, template: Any, engine: str, keys: tuple[Any, ...], relation: str) -> None:
    """Write down that ``template`` of ``engine`` rendered from ``start`` to ``end``."""
    tape.template_count += 1
    try:
        file = template.filename if engine == "jinja2" else template.origin.name
        name = template.name or "<string>"
        if file in _NO_FILES:
            file = ""
        tape.add((TEMPLATE, start, end, get_ident(), name, engine, keys, relation, file))
    except Exception as fault:
        faults.note("probes: template", fault)
