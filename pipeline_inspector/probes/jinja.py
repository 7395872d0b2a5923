"""Jinja2: each render that Django starts, and what its templates include, extend and import.

Jinja2 is watched once the site uses it. Where a compiled template asks another for its root, it gets the same chunks by an
iterator that is no frame of its own, so neither the traceback nor the time of a chunk changes. Of an environment in async
mode only the outermost template is seen. Of a context only the names are looked at.
"""

import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, wraps
from itertools import chain, islice
from typing import Any, Self

from django.template.backends.base import BaseEngine

from pipeline_inspector import clock, faults
from pipeline_inspector.probes.templates import KEYS_KEPT, hide, keep
from pipeline_inspector.recording.kinds import EVENT_LIMIT
from pipeline_inspector.recording.tape import tape_in_hand

Method = Callable[..., Any]

_now = clock.now
_BACKEND = "django.template.backends.jinja2"
_COMPILED = "__jinja_template__"
_watched: list[type] = []
_nested: ContextVar[list[list[Any]] | None] = ContextVar("pipeline_inspector_nested", default=None)
"""What the outermost template brought in so far: start, end (0: not yet), template, names, relation."""


@cache
def install() -> None:
    """Watch Jinja2 from the moment at which the site makes an engine of it."""
    BaseEngine.__init__ = _engine(BaseEngine.__init__)  # type: ignore[method-assign]
    _watch()


def _engine(original: Method) -> Method:
    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - stands for it
        _watch()
        try:
            original(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return __init__


def _watch() -> None:
    """Django's Jinja2 backend imports Jinja2, so it is only touched when the site has imported it."""
    template = getattr(sys.modules.get(_BACKEND), "Template", None)
    if template is None or template in _watched:
        return
    _watched.append(template)
    template.render = _render(template.render)
    jinja2: Any = sys.modules["jinja2"].Template
    jinja2.root_render_func = _Root()
    jinja2._get_default_module = _module(jinja2._get_default_module, lambda context=None: context is None)
    jinja2.make_module = _module(jinja2.make_module, lambda *_, **__: False)


def _render(original: Method) -> Method:
    @wraps(original)
    def render(self: Any, context: Any = None, request: Any = None) -> Any:
        tape = tape_in_hand()
        if tape is None or not tape.open:
            return original(self, context, request)
        keys = tuple(islice(context, KEYS_KEPT)) if type(context) is dict else ()
        nested: list[list[Any]] = []
        token = _nested.set(nested)
        start = _now()
        try:
            return original(self, context, request)
        except BaseException as error:
            hide(error)
            raise
        finally:
            end = _now()
            _nested.reset(token)
            keep(tape, start, end, self.template, "jinja2", keys, "render")
            for began, ended, template, names, relation in nested:
                keep(tape, began, ended or end, template, "jinja2", names, relation)

    return render


class _Root:
    """Stands for ``Template.root_render_func``: each template's own, watched while another template calls it."""

    def __get__(self, template: Any, kind: Any = None) -> Any:
        own = None if template is None else template.__dict__.get("root_render_func")
        if own is None:
            raise AttributeError("root_render_func")
        nested = _nested.get()
        if nested is None or _COMPILED not in sys._getframe(1).f_globals or template.environment.is_async:
            return own

        def root(context: Any, *args: Any, **kwargs: Any) -> Any:
            chunks = own(context, *args, **kwargs)
            seen = _begin(nested, template, context)
            return chunks if seen is None else _Chunks(chunks, seen)

        return root

    def __set__(self, template: Any, own: Any) -> None:
        template.__dict__["root_render_func"] = own

    def __delete__(self, template: Any) -> None:
        try:
            del template.__dict__["root_render_func"]
        except KeyError:
            raise AttributeError("root_render_func") from None


def _begin(nested: list[list[Any]], template: Any, context: Any) -> list[Any] | None:
    """A parent is rendered in the context of its child, what is included in one of its own."""
    try:
        known = context.globals_keys
        names = tuple(islice((name for name in context.parent if name not in known), KEYS_KEPT))
        return _add(nested, template, names, "include" if context.name == template.name else "extends")
    except Exception as fault:
        faults.note("probes: template", fault)
        return None


def _add(nested: list[list[Any]], template: Any, names: tuple[Any, ...], relation: str) -> list[Any] | None:
    tape = tape_in_hand()
    if len(nested) < EVENT_LIMIT:
        seen = [_now(), 0, template, names, relation]
        nested.append(seen)
        return seen
    if tape is not None:
        tape.template_count += 1
        tape.dropped += 1
    return None


class _Chunks(chain[str]):
    """The chunks of a template, and the moment after the last. To close it is to close the template's own."""

    def __new__(cls, chunks: Any, seen: list[Any]) -> Self:
        made = super().__new__(cls, chunks, _ended(seen))
        made._own, made._seen = chunks, seen
        return made

    _own: Any
    _seen: list[Any]

    def close(self) -> None:
        """As of a generator."""
        self._own.close()
        self._seen[1] = self._seen[1] or _now()


def _ended(seen: list[Any]) -> Iterator[str]:
    seen[1] = _now()
    yield from ()


def _module(original: Method, is_include: Callable[..., bool]) -> Method:
    """A template brought in as a module: imported, or included without context. Jinja2 may have it ready."""

    @wraps(original)
    def module(self: Any, *args: Any, **kwargs: Any) -> Any:
        nested, seen = _nested.get(), None
        if nested is not None and _COMPILED in sys._getframe(1).f_globals:
            seen = _add(nested, self, (), "include" if is_include(*args, **kwargs) else "import")
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if seen is not None:
                seen[1] = _now()

    return module
