"""Tape to ``Sealed``: secrets hidden, everything turned into plain data, packed. Runs on the recorder thread only.

What this leaves behind is all that survives of a request: no reference to it, its objects or its exceptions.
"""

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from itertools import islice
from types import SimpleNamespace
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import AppRegistryNotReady
from django.utils import translation

from pipeline_inspector import clock, faults, packed
from pipeline_inspector.recording import gate, views
from pipeline_inspector.recording.errors import ErrorNote
from pipeline_inspector.recording.heads import HEADERS_KEPT, Head, Heads, Secrets
from pipeline_inspector.recording.numbering import Texts, thread_name
from pipeline_inspector.recording.pieces import Known, piece
from pipeline_inspector.recording.rows import Core, Rows, outer_total, own_pid
from pipeline_inspector.recording.shapes import LONGEST, Shapes
from pipeline_inspector.recording.standing import Survey
from pipeline_inspector.recording.tape import (
    AGAIN,
    ATTRIBUTES_IN,
    CACHE,
    COOKIES,
    ENTRY,
    EXIT,
    HEADERS,
    HOOK,
    HOP_END,
    HOP_START,
    LOG,
    OFF,
    QUERY,
    RENDER,
    STATUS,
    STRIDE,
    TEMPLATE,
    Tape,
)
from pipeline_inspector.records import Sealed, Summary

QUERIES_KEPT = 1000
TEMPLATES_KEPT = 1000
OTHERS_KEPT = 500
TRIED_KEPT = 300
TEXT_KEPT = 4000
MESSAGE_KEPT = 1000

_CONVERTER = re.compile(r"(?<!\?P)<(?:(\w+):)?(\w+)>")
_tried: dict[tuple[int, int, str], tuple[list[Any], list[msgspec.Raw]]] = {}

Events = tuple[list[Any], list[Any], list[Any], list[Any], list[Any], list[Any], list[Any]]
_QUERIES = 3
_NOTHING_RAN: tuple[Core, list[Any], Events] = Core(0, 0, 0), [], ([], [], [], [], [], [], [])
_NO_WAY = SimpleNamespace(
    **dict.fromkeys(
        ("called", "started", "response_started", "first_byte", "last_byte", "prefixed", "chunks", "sent"), 0
    ),
    chunk_stamps=(),
)


class Sealer:
    """Seals the tapes of one process. ``process`` is its id, ``started_at`` ISO 8601, ``redactor`` hides secrets,
    ``changed`` gives the source files changed since the process before."""

    def __init__(self, process: str, started_at: str, redactor: Any, changed: Callable[[], list[str]] = list) -> None:
        self._process = process
        self._started_at = started_at
        self._redactor = redactor
        self._changed = changed
        self._is_first = True
        self._rows = Rows(process, redactor)
        self._shapes = Shapes(redactor)
        self._heads = Heads(redactor)
        self._servers: Known[tuple[str, int], msgspec.Raw] = Known(self._server)
        self._headers: Known[tuple[str, str], msgspec.Raw] = Known(self._header, 4000, LONGEST)
        self._prefixes: Known[str, str] = Known(self._prefix)
        self._cost = _calibrate()

    def seal(self, tape: Tape) -> Sealed:
        """Everything that ``tape`` holds, as plain data."""
        slots, chain, way = tape.slots, tape.chain, tape.transport or _NO_WAY
        start = tape.start or tape.opened_at
        head = self._head(tape)
        texts, threads = Texts(), {tape.thread: 0}
        core, hooks, events = self._events(tape, start, texts, threads) if tape.events else _NOTHING_RAN
        changes, cut, values = self._shapes.changes(tape, hooks)
        final = tape.response or _last_answer(slots)
        view, name = self._view(tape)
        route = self._route(tape)
        errors = [self._error(error, start, texts) for error in tape.errors or ()]
        hops = slots[HOP_START::STRIDE]
        queries = len(events[_QUERIES])
        content = (
            start,
            slots[ENTRY::STRIDE],
            slots[EXIT::STRIDE],
            hops + slots[HOP_END::STRIDE] if any(hops) else (),
            tape.opened_at,
            tape.end,
            tape.closed_at,
            tape.finished_at,
            tape.resolve_start,
            tape.resolve_end,
            tape.view_made,
            tape.view_start,
            tape.view_end,
            way.called,
            way.started,
            way.response_started,
            way.first_byte,
            way.last_byte,
            way.prefixed,
            way.chunk_stamps,
            way.chunks,
            self._prefixes[way.script_prefix] if way.prefixed else "",
            int(start - tape.opened_at + self._cost * (len(slots) // STRIDE + 2 + len(tape.events) / 2)),
            self._servers[chain.interface, own_pid()],
            head.request,
            () if final is None else self._response_headers(final),
            way.sent or tape.body_bytes,
            tape.streaming,
            changes,
            values,
            None if route is None else route[1],
            _urlconf(tape),
            _urlconf_setter(tape),
            _tried_texts(tape),
            view,
            threads.setdefault(tape.view_thread, len(threads)),
            errors,
            *events,
            (tape.dropped, cut, tape.query_count - queries if tape.query_count > queries else 0),
            [text[:TEXT_KEPT] for text in texts.numbers],
            [*map(thread_name, threads)],
        )
        plan_id = chain.plan().id
        status = None if final is None else final[0]
        summary = self._rows.finished(tape, plan_id, name, "" if route is None else route[0], status, core)
        if self._is_first:
            summary.began = self._began()
        return gate.close(summary, content, plan_id, gate.known(tape, self._redactor, head))

    def rows(self, tapes: Iterable[Tape]) -> list[Summary]:
        """The rows of requests that are still in hand, with one look at the threads for all of them."""
        survey = cache(Survey)
        return [gate.row(self._rows.running(tape, survey), self._secrets(tape)) for tape in tapes]

    def _secrets(self, tape: Tape) -> Secrets:
        return gate.known(tape, self._redactor, self._head(tape))

    def _began(self) -> list[str]:
        """What the first row of the process tells. A store that cannot say what ran before takes no record away."""
        self._is_first = False
        try:
            return self._changed()
        except Exception as error:
            faults.note("recorder: what changed", error)
            return []

    # -- parts ------------------------------------------------------------------------------------------------------

    def _head(self, tape: Tape) -> Head:
        scheme = version = ""
        if tape.chain.interface == "asgi":
            scope = getattr(tape.transport, "source", None) or {}
            scheme, version = str(scope.get("scheme") or ""), str(scope.get("http_version") or "")
        return self._heads.read(tape.meta, scheme, version)

    def _server(self, server: tuple[str, int]) -> msgspec.Raw:
        return piece((*server, self._process, self._started_at))

    def _events(
        self, tape: Tape, start: int, texts: Texts, threads: dict[int, int]
    ) -> tuple[Core, list[tuple[Any, ...]], Events]:
        """What the row tells of the core, the hooks that it called, and all events as they are kept."""
        redactor = self._redactor
        called: list[tuple[Any, ...]] = []
        in_hooks = answerer = 0
        events: Events = ([], [], [], [], [], [], [])
        hooks, renders, again, queries, templates, cache_calls, logs = events
        left = tape.slots[EXIT] or sys.maxsize
        for event in tape.events:
            kind = event[0]
            times = event[1] - start, event[2] - start, threads.setdefault(event[3], len(threads))
            if kind == HOOK:
                if event[5] == "process_view" and event[6]:
                    answerer = answerer or event[4]
                if left < event[1]:
                    continue  # the core ran again, for a layer that called inward once more
                called.append(event)
                if event[5]:
                    inside = _since(event[9], start), _since(event[10], start)
                    hooks.append((*times, event[4], event[5], event[6], *inside, event[11]))
                    if event[5] == "process_view":
                        in_hooks += event[2] - event[1]
            elif kind == QUERY:
                if len(queries) < QUERIES_KEPT:
                    _, _, _, _, sql, params, alias, rows, many, inside, error, code, line = event
                    if type(rows) is list:
                        rows = rows[0]
                    told = redactor.sql_params(sql, params)
                    number = texts.number(redactor.sql(sql))
                    function = code.co_qualname if code is not None else ""
                    file = texts.file(code)
                    queries.append((*times, number, told, alias, rows, many, inside, error, file, line, function))
            elif kind == RENDER:
                if left >= event[1]:
                    renders.append(times)
            elif kind == AGAIN:
                again.append((times[0], event[4]))
            elif kind == TEMPLATE and len(templates) < TEMPLATES_KEPT:
                _, _, _, _, name, engine, keys, relation, file = event
                number = texts.number("\0".join(map(str, keys)))
                templates.append((*times, str(name), engine, number, relation, texts.number(str(file or ""))))
            elif kind == CACHE and len(cache_calls) < OTHERS_KEPT:
                _, _, _, _, alias, operation, key, hit, code, line = event
                cache_calls.append((*times, alias, operation, redactor.text(key), hit, texts.file(code), line))
            elif kind == LOG and len(logs) < OTHERS_KEPT:
                _, _, _, _, level, logger, template, args, file, line = event
                message = redactor.log(logger, template, args)[:MESSAGE_KEPT]
                logs.append((*times, level, logger, message, texts.number(str(file)), line))
            else:
                tape.dropped += 1
        return Core(in_hooks, outer_total(templates), answerer), called, events

    def _error(self, error: ErrorNote, start: int, texts: Texts) -> tuple[Any, ...]:
        """The fields of a ``PackedError``."""
        frames, *chain_frames = error.stacks(texts.file)
        return (
            error.at - start,
            error.where,
            error.rescued_by,
            _since(error.rescued_at, start),
            error.type,
            self._redactor.text(error.message),
            frames,
            [self._redactor.text(text) for text in error.chain],
            chain_frames,
        )

    def _route(self, tape: Tape) -> tuple[str, msgspec.Raw | tuple[Any, ...]] | None:
        """The pattern that matched, and the fields of a ``PackedRoute``."""
        match = tape.match
        if match is None:
            return None
        name, kwargs = match.url_name, match.kwargs
        key = (
            match.route if type(match.route) is str else str(match.route or ""),
            name if name is None or type(name) is str else str(name),
            (*map(str, match.namespaces),),
        )
        if not kwargs and not match.args:
            return key[0], _routes[key]
        told = self._redactor.kwargs(kwargs or {str(number): value for number, value in enumerate(match.args)})
        return key[0], (*key, told, _converters(key[0]))

    def _view(self, tape: Tape) -> tuple[msgspec.Raw | None, str]:
        """The fields of a ``PackedView``, packed, and what the row says of it."""
        if tape.view is None and tape.match is None:
            return None, ""
        view, atomic, *ran = tape.view or (tape.match.func, False)
        described = views.describe(view)
        method = ""
        if described[1] == "class" and tape.view_start:
            method = ran[0] if ran else views.method(view, tape.method)
        return _views[described, atomic, method]

    def _prefix(self, set_to: str) -> str:
        """What the script prefix was set to."""
        ended = set_to if set_to.endswith("/") else f"{set_to}/"  # as Django does
        return "/" if ended == "/" else self._redactor.text(ended)[:TEXT_KEPT]

    def _response_headers(self, final: tuple[Any, ...]) -> list[Any]:
        found: list[Any] = [*map(self._headers.__getitem__, final[1].values())]
        if final[2]:
            cookie = self._redactor.cookie
            found += [("Set-Cookie", f"{name}={cookie(name, value)}") for name, value in final[2].items()]
        return found[:HEADERS_KEPT] if len(found) > HEADERS_KEPT else found

    def _header(self, header: tuple[str, str]) -> msgspec.Raw:
        name, value = header
        return piece((name, self._redactor.header(name, str(value))[:LONGEST]))


@lru_cache(maxsize=1000)
def _converters(route: str) -> dict[str, str]:
    return {name: kind or "str" for kind, name in _CONVERTER.findall(route)}


def _calibrate() -> float:
    """Nanoseconds that one seam's stamps and copies take on this machine."""
    attributes = {str(number): number for number in range(16)}
    slots = [0] * STRIDE
    best = 1e9
    for _ in range(5):
        start = clock.now()
        for _ in range(100):
            slots[0] = attributes.copy()  # type: ignore[call-overload]
            slots[1] = clock.now()
            slots[2] = clock.now()
            slots[3] = (200, attributes.copy(), None, id(slots))  # type: ignore[call-overload]
        best = min(best, (clock.now() - start) / 100)
    return best


def _since(stamp: int, start: int) -> int:
    return stamp - start if stamp else packed.NEVER


def _last_answer(slots: list[Any]) -> tuple[Any, ...] | None:
    """Status, headers and cookies of the outermost answer that was seen, of a request whose own was not."""
    for base in range(len(slots) - STRIDE, -1, -STRIDE):
        if slots[base + HEADERS]:
            return slots[base + STATUS], slots[base + HEADERS], slots[base + COOKIES]
    return None


def _packed_route(route: tuple[str, str | None, tuple[str, ...]]) -> msgspec.Raw:
    return piece((*route, {}, _converters(route[0])))


_routes: Known[tuple[str, str | None, tuple[str, ...]], msgspec.Raw] = Known(_packed_route)


def _packed_view(told: tuple[views.Described, bool, str]) -> tuple[msgspec.Raw, str]:
    (name, kind, file, line, decorators, is_async), atomic, method = told
    fields = name, kind, file, line, atomic, method, decorators, is_async
    return piece(fields), name.rpartition(".")[2] + (f".{method}" if method else "")


_views: Known[tuple[views.Described, bool, str], tuple[msgspec.Raw, str]] = Known(_packed_view)


def _urlconf(tape: Tape) -> str:
    urlconf = tape.urlconf if tape.urlconf is not None else settings.ROOT_URLCONF
    return urlconf if isinstance(urlconf, str) else str(getattr(urlconf, "__name__", type(urlconf).__name__))


def _urlconf_setter(tape: Tape) -> int | None:
    """The position of the layer that chose the URLconf: it was exchanged before the next boundary inward."""
    if tape.urlconf is None and "urlconf" not in (tape.attributes or ()):
        return None
    setter = outer = 0
    urlconf = tape.first.get("urlconf")
    coming, width = reversed(tape.came), tape.width_at_first
    for base in range(len(tape.slots) - STRIDE, -1, -STRIDE):
        if tape.slots[base + ENTRY] not in (0, OFF):
            seen = tape.slots[base + ATTRIBUTES_IN]
            if seen:
                if type(seen) is int:
                    chosen, width = dict(islice(coming, seen - width)).get("urlconf", urlconf), seen
                else:
                    chosen, width = seen.get("urlconf"), len(seen)
                if chosen is not urlconf:
                    setter, urlconf = outer, chosen
            outer = base // STRIDE
    return setter or None


def _tried_texts(tape: Tape) -> list[msgspec.Raw]:
    tried = tape.tried if tape.tried is not None else getattr(tape.match, "tried", None)
    if not tried:
        return []
    language = (tape.attributes or {}).get("LANGUAGE_CODE")
    key = len(tried), id(tried[-1][-1]), str(language)
    ready = _tried.get(key)
    if ready is None or ready[0] != tried:
        if len(_tried) > 500:
            _tried.clear()
        # A pattern may be written in the language of the request, which this thread knows nothing of.
        try:
            with translation.override(language if isinstance(language, str) else settings.LANGUAGE_CODE):
                texts = _texts_of(tried)
        except AppRegistryNotReady:  # other apps are being loaded, as in tests: no language can be had
            texts = _texts_of(tried)
        ready = _tried[key] = tried, texts
    return ready[1]


def _texts_of(tried: list[Any]) -> list[msgspec.Raw]:
    return [piece(" ".join(str(part.pattern) for part in parts)) for parts in tried[:TRIED_KEPT]]
