"""Where the pages take everything from: one reader per process, over the store that is configured now."""

from collections.abc import Mapping
from functools import partial
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from pipeline_inspector import conf
from pipeline_inspector.page import rows, tail
from pipeline_inspector.reader import Reader
from pipeline_inspector.store import configured

_lock = Lock()
_reader: Reader | None = None


def reader() -> Reader:
    """The reader of the configured store; a new one when another store has been configured since."""
    global _reader
    store = configured.store()
    with _lock:
        if _reader is None or _reader.store is not store:
            _reader = Reader(store)
        return _reader


def base(request: HttpRequest) -> str:
    """The address of our first page as the browser sees it: the site's script name and the prefix."""
    return str(request.META.get("SCRIPT_NAME", "")).rstrip("/") + conf.current().prefix


def base_of_scope(scope: Mapping[str, Any]) -> str:
    """The same, of a connection."""
    root = settings.FORCE_SCRIPT_NAME or scope.get("root_path") or ""
    return str(root).rstrip("/") + conf.current().prefix


def newest(base: str) -> tail.Tail:
    """The end of the list, as viewers under the address ``base`` see it."""
    return tail.of(reader(), base, partial(rows.row, base=base))
