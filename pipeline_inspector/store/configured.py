"""The one store of this process, as the ``STORE`` setting wants it; made at first use, and anew when that changes."""

import atexit
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from django.conf import ENVIRONMENT_VARIABLE

from pipeline_inspector import conf
from pipeline_inspector.store.base import Store
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.store.sqlite import SqliteStore

_APP = "django-pipeline-inspector"
_FILE = "requests.sqlite3"
_REDIS = ("redis://", "rediss://", "unix://")
_SAYS_NOTHING = frozenset(
    {"", "settings", "config", "conf", "core", "project", "app", "src", "backend", "server", "site"}
)

_lock = Lock()
_made: tuple[conf.Conf, str, Store] | None = None
_used: list[Store] = []


def store() -> Store:
    """The store in use. Making it touches no file and no server; that happens when it is first asked for something."""
    if _used:
        return _used[-1]
    now, made = conf.current(), _made
    return made[2] if made is not None and made[0] is now else _made_for(now)


@contextmanager
def use(other: Store) -> Iterator[Store]:
    """Inside the block, ``other`` is the store in use."""
    _used.append(other)
    try:
        yield other
    finally:
        _used.remove(other)


def project_name() -> str:
    """The package that holds the project's settings, or where its name says nothing (``config``), the project's folder."""
    package = _settings_module().partition(".")[0]
    name = project_folder().name if package in _SAYS_NOTHING else package
    return re.sub(r"[^\w.-]+", "-", name) or "project"


def project_folder() -> Path:
    """The folder from which the settings are imported; the current one when the settings come from no module."""
    name = _settings_module()
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return Path.cwd()
    levels = name.count(".") + (1 if Path(file).stem == "__init__" else 0)
    return Path(file).resolve().parents[levels]


def close() -> None:
    """Let go of the store; the next use makes it anew."""
    global _made
    if _made is not None:
        _made[2].close()
    _made = None


def _made_for(now: conf.Conf) -> Store:
    global _made
    module = _settings_module()
    with _lock:
        if _made is None or (_made[0].store, _made[1]) != (now.store, module):
            close()
            made = _make(now.store, project_name(), project_folder())
        else:
            made = _made[2]
        _made = (now, module, made)
        return made


def _settings_module() -> str:
    return os.environ.get(ENVIRONMENT_VARIABLE, "")


def _make(wanted: str | None, name: str, folder: Path) -> Store:
    if wanted is not None and wanted.startswith(_REDIS):
        return _redis(wanted, name)
    if wanted is not None:
        return SqliteStore(folder / Path(wanted).expanduser(), _max_requests)
    import platformdirs

    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    return SqliteStore(platformdirs.user_cache_path(_APP) / f"{name}-{digest}" / _FILE, _max_requests)


def _redis(address: str, name: str) -> Store:
    """The Redis store; where it cannot even be begun, memory and the reason."""
    try:
        from pipeline_inspector.store.redis import RedisStore

        return RedisStore(address, name, _max_requests)
    except (ImportError, ValueError) as error:
        return MemoryStore(_max_requests, f"STORE is an address of Redis that cannot be used: {error}")


def _max_requests() -> int:
    return conf.current().max_requests


atexit.register(close)
