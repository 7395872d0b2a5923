"""Stores and ``os.fork()``: what is open is put away before, and what was locked is free in the child."""

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that a forked child must not share with its parent."""

    def before_fork(self) -> None:
        """In the parent: close what must not be inherited. Waits no longer than a moment."""

    def after_fork(self) -> None:
        """In the child: begin anew."""


_alive: WeakSet[Forkable] = WeakSet()


def mind(store: Forkable) -> None:
    """Call ``store`` at each fork for as long as it lives."""
    _alive.add(store)


def _before() -> None:
    for store in list(_alive):
        store.before_fork()


def _after() -> None:
    for store in list(_alive):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after)
