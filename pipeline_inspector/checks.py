"""System checks: a wrong set-up speaks at start, with the value it got and what to do."""

import os
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Warning
from django.urls import ResolverMatch, resolve
from django.utils.module_loading import import_string

from pipeline_inspector import conf

LABEL = "pipeline_inspector"
_NOWHERE = "/pipeline-inspector-asks-for-a-page-that-nobody-has/"
_REDIS = ("redis://", "rediss://", "unix://")
_IN_MEMORY = "channels.layers.InMemoryChannelLayer"


def register() -> None:
    """Have Django run the checks, at every ``manage.py`` command that checks and with ``check --deploy``."""
    checks.register(check, LABEL)


def check(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Everything that is wrong with the set-up; empty when all is well."""
    return [message for part in _PARTS for message in part(conf.current())]


def _setting(now: conf.Conf) -> Iterator[CheckMessage]:
    for problem in now.problems:
        known = problem.key in conf.DEFAULTS
        number = "E003" if known else "E002" if problem.key else "E001"
        yield Error(problem.message, hint=problem.hint, id=f"{LABEL}.{number}")


def _open_to_all(now: conf.Conf) -> Iterator[CheckMessage]:
    if now.forced and not settings.DEBUG and now.access is None:
        yield Error(
            f"{conf.NAME}['ENABLED'] is True while DEBUG is False, and no ACCESS is given.",
            hint="Leave ENABLED out, so that it follows DEBUG; or name in ACCESS the callable that says who may look.",
            id=f"{LABEL}.E004",
        )


def _access(now: conf.Conf) -> Iterator[CheckMessage]:
    if now.access is None:
        return
    try:
        wrong = "" if callable(import_string(now.access)) else "it is not callable"
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        yield Error(
            f"{conf.NAME}['ACCESS'] is {now.access!r}, which cannot be used: {wrong}.",
            hint="Give the dotted path of a callable that takes a request or a scope and returns a bool.",
            id=f"{LABEL}.E005",
        )


def _channel_layer(now: conf.Conf) -> Iterator[CheckMessage]:
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    if now.channel_layer is not None and now.channel_layer not in layers:
        yield Error(
            f"{conf.NAME}['CHANNEL_LAYER'] is {now.channel_layer!r}, which CHANNEL_LAYERS does not have.",
            hint=f"CHANNEL_LAYERS has: {', '.join(layers) or 'nothing'}. Leave CHANNEL_LAYER out for one of our own.",
            id=f"{LABEL}.E006",
        )
    chosen = layers.get(now.channel_layer or "default", {"BACKEND": _IN_MEMORY})
    if chosen.get("BACKEND") == _IN_MEMORY and _workers() > 1:
        yield Info(
            f"There are {_workers()} worker processes, and the channel layer is in memory.",
            hint="A page hears of requests in other processes a moment later than of its own. A layer such as "
            "channels_redis tells all of them at once.",
            id=f"{LABEL}.I001",
        )


def _redis(now: conf.Conf) -> Iterator[CheckMessage]:
    if now.store is not None and now.store.startswith(_REDIS) and find_spec("redis") is None:
        yield Error(
            f"{conf.NAME}['STORE'] is an address of Redis, and the package redis is not installed.",
            hint="Install it: pip install 'django-pipeline-inspector[redis]'.",
            id=f"{LABEL}.E007",
        )


def _prefix(now: conf.Conf) -> Iterator[CheckMessage]:
    hidden = _match(now.prefix)
    everything = _match(_NOWHERE)
    if hidden is not None and (everything is None or everything.route != hidden.route):
        yield Warning(
            f"The inspector's pages at {now.prefix!r} hide pages of the site: its URLconf has {hidden.route!r} there.",
            hint=f"Choose another {conf.NAME}['PREFIX'].",
            id=f"{LABEL}.W001",
        )


def _match(path: str) -> ResolverMatch | None:
    """What the site has at ``path``; None too when its URLconf cannot be read, which Django's own checks tell."""
    try:
        return resolve(path)
    except Exception:
        return None


def _workers() -> int:
    """How many worker processes the environment asks for, as gunicorn and uvicorn read it."""
    asked = os.environ.get("WEB_CONCURRENCY", "")
    return int(asked) if asked.isdecimal() else 1


_PARTS: tuple[Callable[[conf.Conf], Iterable[CheckMessage]], ...] = (
    _setting,
    _open_to_all,
    _access,
    _channel_layer,
    _redis,
    _prefix,
)
