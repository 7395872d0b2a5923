"""The one ``PIPELINE_INSPECTOR`` setting: every default in one table; unknown keys and bad values are errors.

``conf.current()`` is read where it is needed; it is built once and rebuilt when the settings change.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings
from django.core.signals import setting_changed

NAME = "PIPELINE_INSPECTOR"

DEFAULTS: dict[str, Any] = {
    "ENABLED": None,
    "PREFIX": "/__inspector__/",
    "STORE": None,
    "MAX_REQUESTS": 2000,
    "IGNORE": [],
    "REDACT": [],
    "ACCESS": None,
    "ALLOWED_HOSTS": [],
    "CHANNEL_LAYER": None,
    "EDITOR": None,
}


class ConfigurationError(ValueError):
    """The setting holds something unusable; the message says what, the value seen and what to write instead."""


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with the setting: the key, what was seen and what to do."""

    key: str
    message: str
    hint: str


class Conf(msgspec.Struct, frozen=True):
    """The setting with its defaults filled in. ``prefix`` begins and ends with a slash."""

    enabled: bool
    forced: bool
    prefix: str
    store: str | None
    max_requests: int
    ignore: tuple[str, ...]
    redact: tuple[str, ...]
    access: str | None
    allowed_hosts: tuple[str, ...]
    channel_layer: str | None
    editor: str | None
    problems: tuple[Problem, ...] = ()


def problems(given: object) -> list[Problem]:
    """What is wrong with ``given`` as the value of ``PIPELINE_INSPECTOR``; empty when it is fine."""
    if not isinstance(given, Mapping):
        return [Problem("", f"{NAME} is {given!r}, not a dict.", f"Write {NAME} = {{...}}.")]
    found = [
        Problem(
            str(key),
            f"{NAME} has an unknown key {key!r}.",
            f"Known keys: {', '.join(DEFAULTS)}.",
        )
        for key in given
        if key not in DEFAULTS
    ]
    for key, (rule, fits) in _RULES.items():
        if key in given and not fits(given[key]):
            found.append(Problem(key, f"{NAME}[{key!r}] is {given[key]!r}.", f"It takes {rule}."))
    return found


def _strings(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) and item for item in value)


def _patterns(value: object) -> bool:
    if not _strings(value):
        return False
    try:
        for item in value:  # type: ignore[attr-defined]
            re.compile(item)
    except re.error:
        return False
    return True


def _prefix(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"/(?:[\w.~-]+/)+", value) is not None


def _none_or_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and bool(value))


_RULES: dict[str, tuple[str, Any]] = {
    "ENABLED": ("None, True or False", lambda v: v is None or isinstance(v, bool)),
    "PREFIX": ("a path that begins and ends with a slash, such as '/__inspector__/'", _prefix),
    "STORE": (
        "None, the path of a file, or an address such as 'redis://localhost:6379/0'",
        lambda v: v is None or (isinstance(v, str) and bool(v)) or hasattr(v, "__fspath__"),
    ),
    "MAX_REQUESTS": (
        "a whole number from 1 to 1000000",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= 1_000_000,
    ),
    "IGNORE": (
        "a list of path prefixes such as ['/health/']",
        lambda v: _strings(v) and all(item.startswith("/") for item in v),
    ),
    "REDACT": ("a list of regular expressions for names, such as ['licen[cs]e']", _patterns),
    "ACCESS": (
        "None or the dotted path of a callable that takes a request or a scope and returns a bool",
        _none_or_text,
    ),
    "ALLOWED_HOSTS": ("a list of host names such as ['dev.example.test']", _strings),
    "CHANNEL_LAYER": ("None or an alias in CHANNEL_LAYERS", _none_or_text),
    "EDITOR": (
        "None, 'vscode', 'pycharm', 'cursor', 'zed', 'sublime', or a link with {file} and {line}",
        lambda v: v is None or v in EDITORS or (isinstance(v, str) and "{file}" in v and "{line}" in v),
    ),
}

EDITORS: dict[str, str] = {
    "vscode": "vscode://file/{file}:{line}",
    "cursor": "cursor://file/{file}:{line}",
    "zed": "zed://file/{file}:{line}",
    "pycharm": "pycharm://open?file={file}&line={line}",
    "sublime": "subl://open?url=file://{file}&line={line}",
}


def read(given: object, *, debug: bool) -> Conf:
    """``Conf`` of the raw setting; a bad value is replaced by its default and listed in ``problems``."""
    found = problems(given)
    bad = {problem.key for problem in found}
    usable = given if isinstance(given, Mapping) else {}
    value = {key: usable.get(key, default) if key not in bad else default for key, default in DEFAULTS.items()}
    enabled = value["ENABLED"]
    store = value["STORE"]
    return Conf(
        enabled=debug if enabled is None else enabled,
        forced=enabled is True,
        prefix=value["PREFIX"],
        store=None if store is None else str(store),
        max_requests=value["MAX_REQUESTS"],
        ignore=tuple(value["IGNORE"]),
        redact=tuple(value["REDACT"]),
        access=value["ACCESS"],
        allowed_hosts=tuple(value["ALLOWED_HOSTS"]),
        channel_layer=value["CHANNEL_LAYER"],
        editor=value["EDITOR"],
        problems=tuple(found),
    )


_built: dict[bool, Conf] = {}
_last: Conf | None = None


def current() -> Conf:
    """The setting as it is now; follows changes of ``settings.DEBUG`` and ``override_settings``."""
    global _last
    try:
        debug = bool(settings.DEBUG)
    except AttributeError:  # for an instant Django has none: another thread enters or leaves override_settings()
        if _last is None:
            raise
        return _last
    if debug not in _built:
        _built[debug] = read(getattr(settings, NAME, {}), debug=debug)
    _last = _built[debug]
    return _last


def _forget(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        _built.clear()


setting_changed.connect(_forget, dispatch_uid="pipeline_inspector.conf")
