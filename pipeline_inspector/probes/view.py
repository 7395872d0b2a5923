"""The view, timed at the one object that nobody but Django's core sees: what ``make_view_atomic`` returns.

``resolver_match.func`` stays the developer's own. The wrapper is a coroutine function exactly when the view is one. Of a
class-based view ``View.dispatch`` tells the method that it chooses.
"""

from collections.abc import Callable
from functools import cache, update_wrapper, wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.handlers.base import BaseHandler
from django.views import View as ClassView

from pipeline_inspector import faults
from pipeline_inspector.probes.base import met
from pipeline_inspector.recording.moments import VIEW_END, VIEW_MADE, VIEW_START
from pipeline_inspector.recording.tape import tape_in_hand
from pipeline_inspector.recording.views import class_of

View = Callable[..., Any]

_KNOWN_VIEWS = 5000
_known: dict[int, View] = {}
"""By the id of a view, which lives as long as it stands here: the view, timed."""


@cache
def install() -> None:
    """Watch the making of views, and ``View.dispatch``."""
    _watch_dispatch()
    original = BaseHandler.make_view_atomic

    @wraps(original)
    def make_view_atomic(self: Any, view: View) -> View:
        made: View = original(self, view)
        tape = tape_in_hand()
        if tape is None or tape.view_made or not tape.open:
            return made
        try:
            tape.view = view, made is not view
            timed = _known.get(id(made)) or _learn(made, last=made is view)
            tape.stamp(VIEW_MADE)
        except Exception as fault:
            faults.note("probes: view", fault)
            return made
        return timed

    BaseHandler.make_view_atomic = make_view_atomic  # type: ignore[method-assign]


@cache
def _watch_dispatch() -> None:
    original = ClassView.dispatch

    def dispatch(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        tape = getattr(request, "_pipeline_tape", None)
        if tape is not None:
            try:
                _keep_method(tape, self, request)
            except Exception as fault:
                faults.note("probes: dispatch", fault)
        return original(self, request, *args, **kwargs)

    ClassView.dispatch = update_wrapper(dispatch, original)  # type: ignore[method-assign]
    vars(dispatch).clear()  # as_view() puts what it finds here on every view


def _keep_method(tape: Any, instance: Any, request: Any) -> None:
    """The method that ``View.dispatch`` is about to choose, as it chooses: once, and of the view that was resolved."""
    view = tape.view
    if view is None or len(view) > 2 or class_of(view[0]) is not type(instance):
        return
    name = request.method.lower()
    own = vars(instance).get(name)  # HEAD is answered by get()
    if name not in instance.http_method_names or (own is None and not hasattr(type(instance), name)):
        name = "http_method_not_allowed"
    elif own is not None:
        name = getattr(own, "__name__", name)
    tape.view = *view, name


def _learn(view: View, *, last: bool) -> View:
    """The timed ``view``, remembered when the view will ``last``: Django makes an atomic one anew for each request."""
    timed = _async_view(view) if iscoroutinefunction(view) else _sync_view(view)
    if last:
        if len(_known) > _KNOWN_VIEWS:
            _known.clear()
        _known[id(view)] = timed
    return timed


def _sync_view(view: View) -> View:
    def timed(request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            tape = None
        if tape is None:
            return view(request, *args, **kwargs)
        tape.stamp(VIEW_START)
        try:
            return view(request, *args, **kwargs) if args or kwargs else view(request)
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            met(tape, error, ("view", 0))
            raise
        finally:
            tape.stamp(VIEW_END)

    return timed


def _async_view(view: View) -> View:
    async def timed(request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            tape = request._pipeline_tape
        except AttributeError:
            tape = None
        if tape is None:
            return await view(request, *args, **kwargs)
        tape.stamp(VIEW_START)
        try:
            return await (view(request, *args, **kwargs) if args or kwargs else view(request))
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            met(tape, error, ("view", 0))
            raise
        finally:
            tape.stamp(VIEW_END)

    return timed
