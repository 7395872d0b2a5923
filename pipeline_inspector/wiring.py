"""Ties the house together: probes in, records out, pages mounted. Adds nothing of its own.

``connect()`` once per process; again is harmless. What is put in stays in: a flag decides whether it does anything.
"""

import atexit
import re
from functools import cache
from inspect import unwrap
from typing import Any

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pipeline_inspector import clock, conf, live, middleware
from pipeline_inspector.control import toggles
from pipeline_inspector.page import door
from pipeline_inspector.probes import access_log, install, loader, paths, server, startup
from pipeline_inspector.recording import recorder
from pipeline_inspector.recording.chain import LoadedChain
from pipeline_inspector.recording.outlets import Outlets
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.sealing import Sealer
from pipeline_inspector.records import Process
from pipeline_inspector.store import configured

LAST_WORDS = 1.0
"""Seconds that the end of the process waits, at most, for what is not written yet."""
_COOKIE = re.compile(rf"(?:^|;\s*){toggles.COOKIE}=([\w-]+)")

_forced = 0


class Surroundings(middleware.Surroundings):
    """The outermost middleware's view of the rest of the house."""

    def __init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Read the setting again."""
        now = conf.current()
        self.prefix = now.prefix
        self.apart = (now.prefix, *now.ignore, *_served_files())
        self.recording = now.enabled or _forced > 0
        self.control_version = configured.store().control_version

    def enabled(self) -> bool:
        return conf.current().enabled

    def layers_off(self, request: Any) -> frozenset[str]:
        state = configured.store().control()
        browser = None
        if state.off_for:
            found = _COOKIE.search(request.META.get("HTTP_COOKIE") or "")
            browser = found[1] if found else None
        return toggles.off_for(state, browser)

    def any_browsers(self) -> bool:
        return bool(configured.store().control().off_for)

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        return door.answer(request)

    async def aanswer(self, request: HttpRequest) -> HttpResponseBase:
        return await door.aanswer(request)

    def first_request(self, chain: LoadedChain) -> None:
        startup.first_request(chain.interface)
        chain.software = startup.software()
        chain.call_path = paths.from_server()


def is_on() -> bool:
    """Is there anything to do? True with ``DEBUG`` or ``ENABLED``, and inside ``record_pipeline()``."""
    return _forced > 0 or conf.current().enabled


def connect() -> None:
    """Put the probes in, tell the recorder where records go, mount the pages."""
    if not isinstance(middleware.surroundings, Surroundings):
        middleware.surroundings = Surroundings()
        setting_changed.connect(_setting_changed, dispatch_uid="pipeline_inspector.wiring")
    recorder.connect(Outlets(sealer, configured.store, live.publish, process))
    _put_in()


@cache
def _put_in() -> None:
    """Once per process, whatever others put on top of ours since: a mark on what is there would not tell."""
    atexit.register(recorder.flush, LAST_WORDS)  # before the store is closed: what was registered last is called first
    install.install()
    access_log.install(lambda: middleware.surroundings.prefix)
    server.install(middleware.surroundings, _is_own_socket, door.socket)
    loader.install(
        lambda get_response, chain: middleware.OutermostMiddleware(get_response, chain).handle,
        lambda get_response, chain, convert: middleware.InnermostMiddleware(get_response, chain, convert).seam,
        is_on,
        _loaded,
        middleware.HIDDEN,
    )


def force(*, on: bool) -> None:
    """Record whatever the setting says (tests do), until it is taken back as often as it was asked for."""
    global _forced
    _forced += 1 if on else -1
    connect()
    _refresh()


def process() -> Process:
    """What is known of this process, with the sources that changed since the one before it started. Not for a request."""
    told = startup.process()
    told.changed_files = _changed_before(told.id)
    return told


@cache
def _changed_before(process_id: str) -> list[str]:
    before = next((other for other in configured.store().processes() if other.id != process_id), None)
    return startup.changed_since(clock.from_iso(before.started_at)) if before is not None else []


def sealer() -> Sealer:
    """The sealer of this process."""
    told = startup.process()
    found = _sealer(told.id, told.started_at, conf.current().redact)
    found.refresh()
    return found


@cache
def _sealer(process_id: str, started_at: str, patterns: tuple[str, ...]) -> Sealer:
    return Sealer(process_id, started_at, Redactor(patterns), lambda: process().changed_files)


def _is_own_socket(scope: Any) -> bool:
    path: str = scope.get("path", "")
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :]
    return path == f"{middleware.surroundings.prefix}live/"


def _loaded(chain: LoadedChain) -> None:
    _refresh()
    layers = [(layer.path, layer.import_ns, layer.construct_ns) for layer in reversed(chain.layers)]
    startup.chain_loaded(chain.interface, layers, unwrap(BaseHandler.load_middleware))
    if not _forced:
        recorder.loaded(chain)


def _setting_changed(*, setting: str, **_: Any) -> None:
    if setting in (conf.NAME, "DEBUG", "STATIC_URL", "MEDIA_URL"):
        _refresh()


def _refresh() -> None:
    if isinstance(middleware.surroundings, Surroundings):
        middleware.surroundings.refresh()


def _served_files() -> list[str]:
    urls = (settings.STATIC_URL, settings.MEDIA_URL)
    return [url for url in urls if url and url.startswith("/") and len(url) > 1]
