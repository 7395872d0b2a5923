"""Tape to ``Sealed``: secrets hidden, everything turned into plain data, packed. Runs on the recorder thread only.

What this leaves behind is all that survives of a request: no reference to it, its objects or its exceptions.
"""

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

from django.conf import settings
from django.utils import translation

from pipeline_inspector import clock, faults, packed
from pipeline_inspector.packed import NEVER, Packed, PackedError, PackedRoute, PackedSlot, PackedView
from pipeline_inspector.recording import gate, views
from pipeline_inspector.recording.changes import Comparer
from pipeline_inspector.recording.heads import HEADERS_KEPT, Heads
from pipeline_inspector.recording.numbering import Texts, Threads
from pipeline_inspector.recording.rows import Rows, own_pid
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
_ANSWERS = 1000
TEXT_KEPT = 4000
MESSAGE_KEPT = 1000

_CONVERTER = re.compile(r"(?<!\?P)<(?:(\w+):)?(\w+)>")
_tried: dict[tuple[int, int, str], tuple[list[Any], list[str]]] = {}


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
        self._comparer = Comparer(redactor)
        self._heads = Heads(redactor)
        self._answers: dict[tuple[tuple[str, str], ...], list[tuple[str, str]]] = {}
        self._cost = _calibrate()

    def seal(self, tape: Tape) -> Sealed:
        """Everything that ``tape`` holds, as plain data."""
        texts, threads = Texts(), Threads()
        start = tape.start or tape.opened_at
        slots = _slots(tape.slots, start)
        events = self._events(tape, start, texts, threads)
        changes, cut = self._comparer.changes(tape)
        final = _final(tape)
        way = tape.transport
        head = self._heads.read(tape.meta)
        route = self._route(tape)
        view = self._view(tape, start, threads)
        plan = tape.chain.plan()
        sealed = Packed(
            slots=slots,
            opened=tape.opened_at - start,
            end=tape.end - start if tape.end else NEVER,
            closed=tape.closed_at - start if tape.closed_at else NEVER,
            finished=tape.finished_at - start if tape.finished_at else NEVER,
            own_cost=self._own_cost(tape, start, slots),
            interface=tape.chain.interface,
            pid=own_pid(),
            process=self._process,
            process_started_at=self._started_at,
            thread=threads.name(tape.thread),
            scheme=tape.meta.get("wsgi.url_scheme") or _scope(way).get("scheme") or "http",
            http_version=_http_version(tape, way),
            client=str(tape.meta.get("REMOTE_ADDR") or ""),
            request_headers=head.told,
            body_bytes=_whole(tape.meta.get("CONTENT_LENGTH")),
            response_headers=self._response_headers(final),
            response_bytes=way.sent if way is not None and way.sent else tape.body_bytes,
            streaming=tape.streaming,
            changes=changes,
            resolve=(_since(tape.resolve_start, start), _since(tape.resolve_end, start)),
            route=route,
            urlconf=_urlconf(tape),
            tried=_tried_texts(tape),
            view=view,
            errors=[self._error(error, start, texts) for error in tape.errors or ()],
            way=_way(way, start),
            chunk_stamps=[stamp - start for stamp in way.chunk_stamps] if way is not None else [],
            dropped=(tape.dropped, cut, 0),
            texts=[],
            threads=[],
            urlconf_set_by=_urlconf_setter(tape),
            prefixed=self._prefixed(way, start),
            **events,
        )
        sealed.dropped = (tape.dropped, cut, max(0, tape.query_count - len(sealed.queries)))
        sealed.texts = [text[:TEXT_KEPT] for text in texts.numbers]
        sealed.threads = list(threads.names)
        summary = self._rows.finished(tape, sealed, plan.id, final)
        if self._is_first:
            summary.began = self._began()
        return gate.close(summary, sealed, plan.id, gate.known(tape, self._redactor, head))

    def rows(self, tapes: Iterable[Tape]) -> list[Summary]:
        """The rows of requests that are still in hand, with one look at the threads for all of them."""
        survey = cache(Survey)
        return [gate.row(self._rows.running(tape, survey), self._secrets(tape)) for tape in tapes]

    def _secrets(self, tape: Tape) -> gate.Known:
        return gate.known(tape, self._redactor, self._heads.read(tape.meta))

    def _began(self) -> list[str]:
        """What the first row of the process tells. A store that cannot say what ran before takes no record away."""
        self._is_first = False
        try:
            return self._changed()
        except Exception as error:
            faults.note("recorder: what changed", error)
            return []

    # -- parts ------------------------------------------------------------------------------------------------------

    def _events(self, tape: Tape, start: int, texts: Texts, threads: Threads) -> dict[str, list[Any]]:
        kept: dict[str, list[Any]] = {
            "queries": [],
            "templates": [],
            "cache_calls": [],
            "logs": [],
            "hooks": [],
            "renders": [],
            "again": [],
        }
        queries, templates = kept["queries"], kept["templates"]
        cache_calls, logs = kept["cache_calls"], kept["logs"]
        redactor = self._redactor
        left = tape.slots[EXIT] or sys.maxsize
        for event in tape.events:
            kind = event[0]
            times = (event[1] - start, event[2] - start, threads.number(event[3]))
            if kind == QUERY and len(queries) < QUERIES_KEPT:
                _, _, _, _, sql, params, alias, rows, many, inside, error, code, line = event
                told = redactor.sql_params(sql, params)
                sql = redactor.sql(sql)
                function = code.co_qualname if code is not None else ""
                queries.append(
                    (
                        *times,
                        texts.number(sql),
                        told,
                        alias,
                        rows[0] if type(rows) is list else rows,
                        many,
                        inside,
                        error,
                        texts.file(code),
                        line,
                        function,
                    )
                )
            elif kind == TEMPLATE and len(templates) < TEMPLATES_KEPT:
                _, _, _, _, name, engine, keys, relation, file = event
                keys = [str(key) for key in keys]
                templates.append(
                    (*times, str(name), engine, texts.number("\0".join(keys)), relation, texts.number(str(file or "")))
                )
            elif kind == CACHE and len(cache_calls) < OTHERS_KEPT:
                _, _, _, _, alias, operation, key, hit, code, line = event
                cache_calls.append((*times, alias, operation, redactor.text(key), hit, texts.file(code), line))
            elif kind == LOG and len(logs) < OTHERS_KEPT:
                _, _, _, _, level, logger, template, args, file, line = event
                message = redactor.log(logger, template, args)[:MESSAGE_KEPT]
                logs.append((*times, level, logger, message, texts.number(str(file)), line))
            elif kind in (HOOK, RENDER) and left < event[1]:
                continue  # the core ran again, for a layer that called inward once more
            elif kind == HOOK and event[5]:
                kept["hooks"].append((*times, event[4], event[5], event[6], *_inside(event, start), event[11]))
            elif kind == RENDER:
                kept["renders"].append(times)
            elif kind == AGAIN:
                kept["again"].append((times[0], event[4]))
            elif kind in (QUERY, TEMPLATE, CACHE, LOG) and kind != QUERY:
                tape.dropped += 1
        return kept

    def _error(self, error: Any, start: int, texts: Texts) -> PackedError:
        frames, *chain_frames = error.stacks(texts.file)
        return PackedError(
            at=error.at - start,
            where=error.where,
            rescued_by=error.rescued_by,
            rescued_at=_since(error.rescued_at, start),
            type=error.type,
            message=self._redactor.text(error.message),
            frames=frames,
            chain=[self._redactor.text(text) for text in error.chain],
            chain_frames=chain_frames,
        )

    def _route(self, tape: Tape) -> PackedRoute | None:
        match = tape.match
        if match is None:
            return None
        route = str(match.route or "")
        return PackedRoute(
            pattern=route,
            name=None if match.url_name is None else str(match.url_name),
            namespaces=[str(name) for name in match.namespaces],
            kwargs=self._redactor.kwargs(
                match.kwargs or {str(number): value for number, value in enumerate(match.args)}
            ),
            converters=_converters(route),
        )

    def _view(self, tape: Tape, start: int, threads: Threads) -> PackedView | None:
        if tape.view is None and tape.match is None:
            return None
        view, atomic, *ran = tape.view or (tape.match.func, False)
        name, kind, file, line, decorators, is_async = views.describe(view)
        return PackedView(
            name=name,
            kind=kind,
            file=file,
            line=line,
            atomic=atomic,
            method=(ran[0] if ran else views.method(view, tape.method)) if kind == "class" and tape.view_start else "",
            decorators=list(decorators),
            made=_since(tape.view_made, start),
            start=_since(tape.view_start, start),
            end=_since(tape.view_end, start),
            thread=threads.number(tape.view_thread),
            is_async=is_async,
        )

    def _prefixed(self, way: Any, start: int) -> tuple[int, str] | None:
        """When the script prefix was set, and to what; not by a client that calls no handler."""
        if way is None or not way.prefixed:
            return None
        ended = way.script_prefix if way.script_prefix.endswith("/") else f"{way.script_prefix}/"  # as Django does
        return way.prefixed - start, "/" if ended == "/" else self._redactor.text(ended)[:TEXT_KEPT]

    def _response_headers(self, final: tuple[Any, ...] | None) -> list[tuple[str, str]]:
        if final is None:
            return []
        key = (*final[1].values(),)
        found = self._answers.get(key)
        if found is None:
            header = self._comparer.header
            found = [(name, header(name, str(value))) for name, value in key]
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            if all(len(value) <= TEXT_KEPT for _, value in key):
                self._answers[key] = found
        cookies = final[2]
        if not cookies:
            return found[:HEADERS_KEPT]
        found = [*found]
        found += [("Set-Cookie", f"{name}={self._redactor.cookie(name, value)}") for name, value in cookies.items()]
        return found[:HEADERS_KEPT]

    def _own_cost(self, tape: Tape, start: int, slots: list[PackedSlot]) -> int:
        return int(start - tape.opened_at + self._cost * (len(slots) + 0.5 * len(tape.events) + 2))


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
    return stamp - start if stamp else NEVER


def _slots(slots: list[Any], start: int) -> list[PackedSlot]:
    made = []
    for base in range(0, len(slots), STRIDE):
        entry, left, hop = slots[base], slots[base + EXIT], slots[base + HOP_START]
        if entry > 0:
            slot = PackedSlot(packed.REACHED, entry - start, left - start if left else NEVER)
        else:
            slot = PackedSlot(packed.SKIPPED if entry else packed.NOT_REACHED)
        if hop:
            slot.hop_start, slot.hop_end = hop - start, _since(slots[base + HOP_END], start)
        made.append(slot)
    return made


def _inside(event: tuple[Any, ...], start: int) -> tuple[int, int]:
    return _since(event[9], start), _since(event[10], start)


def _final(tape: Tape) -> tuple[Any, ...] | None:
    if tape.response is not None:
        return tape.response  # type: ignore[no-any-return]
    for base in range(len(tape.slots) - STRIDE, -1, -STRIDE):
        if tape.slots[base + HEADERS]:
            return tape.slots[base + STATUS], tape.slots[base + HEADERS], tape.slots[base + COOKIES]
    return None


def _scope(way: Any) -> dict[str, Any]:
    source = way.source if way is not None else None
    return source if isinstance(source, dict) and "type" in source else {}


def _http_version(tape: Tape, way: Any) -> str:
    protocol = str(tape.meta.get("SERVER_PROTOCOL") or "").removeprefix("HTTP/")
    return protocol or str(_scope(way).get("http_version") or "")


def _whole(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16 else None


def _urlconf(tape: Tape) -> str:
    urlconf = tape.urlconf if tape.urlconf is not None else settings.ROOT_URLCONF
    return urlconf if isinstance(urlconf, str) else str(getattr(urlconf, "__name__", type(urlconf).__name__))


def _urlconf_setter(tape: Tape) -> int | None:
    """The position of the layer that chose the URLconf: it was exchanged before the next boundary inward."""
    if tape.urlconf is None and "urlconf" not in (tape.attributes or ()):
        return None
    setter = outer = 0
    urlconf = None
    for base in range(len(tape.slots) - STRIDE, -1, -STRIDE):
        if tape.slots[base + ENTRY] not in (0, OFF):
            seen = tape.slots[base + ATTRIBUTES_IN]
            if seen:
                chosen = dict(seen).get("urlconf") if type(seen) is list else seen.get("urlconf")
                if chosen is not urlconf and (chosen is not None or type(seen) is not list):
                    setter, urlconf = outer, chosen
            outer = base // STRIDE
    return setter or None


def _tried_texts(tape: Tape) -> list[str]:
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
        with translation.override(language if isinstance(language, str) else settings.LANGUAGE_CODE):
            texts = [" ".join(str(part.pattern) for part in parts) for parts in tried[:TRIED_KEPT]]
        ready = _tried[key] = tried, texts
    return ready[1]


def _way(way: Any, start: int) -> tuple[int, int, int, int, int, int, int] | None:
    if way is None:
        return None
    return (
        _since(way.called, start),
        _since(way.started, start),
        _since(way.response_started, start),
        _since(way.first_byte, start),
        _since(way.last_byte, start),
        way.chunks,
        way.sent,
    )
