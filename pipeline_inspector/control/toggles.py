"""Layers switched off: for everyone, or only for the browser that asked. Read once at a request's entry.

The browser that asked is known by a cookie that the page sets, ``COOKIE``, holding a random token.
"""

from collections.abc import Iterable

from pipeline_inspector.store.base import Control, Store

COOKIE = "pipeline_inspector_me"


class UnknownLayer(LookupError):  # noqa: N818
    """No layer of that name, or several; the message lists the candidates."""


def resolve(name: str, layer_ids: Iterable[str]) -> str:
    """The layer id meant by ``name``: an id, or a class name when it is unambiguous. Raises ``UnknownLayer``."""
    known = list(layer_ids)
    if name in known:
        return name
    same = [layer_id for layer_id in known if layer_id.rpartition(".")[2] == name]
    if len(same) == 1:
        return same[0]
    if same:
        raise UnknownLayer(f"{name!r} is ambiguous: {', '.join(same)}. Give the whole dotted path.")
    raise UnknownLayer(f"No middleware {name!r} in the chain. Known: {', '.join(known) or 'none yet'}.")


def switch(store: Store, layer_id: str, *, enabled: bool, browser: str | None = None) -> Control:
    """Turn a layer on or off, for everyone or for one browser's token; returns the new state."""

    def edit(state: Control) -> Control:
        if browser is None:
            return Control(state.version, _with(state.off, layer_id, enabled), state.off_for)
        mine = _with(state.off_for.get(browser, ()), layer_id, enabled)
        others = {token: off for token, off in state.off_for.items() if token != browser}
        return Control(state.version, state.off, {**others, browser: mine} if mine else others)

    return store.change_control(edit)


def reset(store: Store) -> Control:
    """Everything on again, for everyone."""
    return store.change_control(lambda state: Control(state.version))


def off_for(state: Control, browser: str | None) -> frozenset[str]:
    """Ids of the layers that are off for that browser (None: a browser without a token)."""
    everyone = frozenset(state.off)
    return everyone | frozenset(state.off_for.get(browser, ())) if browser else everyone


def _with(off: tuple[str, ...], layer_id: str, enabled: bool) -> tuple[str, ...]:
    rest = tuple(item for item in off if item != layer_id)
    return rest if enabled else (*rest, layer_id)
