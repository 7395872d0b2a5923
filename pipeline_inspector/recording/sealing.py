"""Tape to ``Sealed``: secrets hidden, everything turned into plain data, packed. Runs on the recorder thread only.

What this leaves behind is all that survives of a request: no reference to it, its objects or its exceptions.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from itertools import islice
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import AppRegistryNotReady
from django.utils import translation

from pipeline_inspector import clock, faults, packed
from pipeline_inspector.packed import Part
from pipeline_inspector.recording import events, gate, views
from pipeline_inspector.recording.answers import Answers
from pipeline_inspector.recording.errors import ErrorNote
from pipeline_inspector.recording.events import QUERIES, TEMPLATES
from pipeline_inspector.recording.heads import Heads, Secrets
from pipeline_inspector.recording.numbering import Texts, Threads, thread_name
from pipeline_inspector.recording.pieces import Known, piece
from pipeline_inspector.recording.repeats import Key, Repeats, Same
from pipeline_inspector.recording.rows import Core, Rows, outer_total
from pipeline_inspector.recording.shapes import Shapes
from pipeline_inspector.recording.slots import (
    ATTRIBUTES_IN,
    COOKIES,
    ENTRY,
    HEADERS,
    OFF,
    STATUS,
    STRIDE,
)
from pipeline_inspector.recording.stamps import stamps
from pipeline_inspector.recording.standing import Survey
from pipeline_inspector.recording.tape import Tape
from pipeline_inspector.recording.transport import Transport
from pipeline_inspector.records import Sealed, Summary

TRIED_KEPT = 300
TEXT_KEPT = 4000

_CONVERTER = re.compile(r"(?<!\?P)<(?:(\w+):)?(\w+)>")
_tried: dict[tuple[int, int, str], tuple[list[Any], list[msgspec.Raw]]] = {}

_NOTHING_BEFORE = packed.pack((0, ()))
"""Of hooks that ran on the one thread: where the view did, and no error."""
_NO_TEXTS = Texts()
_NO_ANSWER: tuple[Any, ...] = None, {}, None
_NO_WAY = Transport()
"""Of a request whose handler was called by hand."""


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
        self._answers = Answers(redactor)
        self._repeats = Repeats()
        self._tails: Known[tuple[int, str], bytes] = Known(_tail)
        self._servers: Known[str, msgspec.Raw] = Known(self._server)
        self._prefixes: Known[str, str] = Known(self._prefix)
        self._seam_cost = round(_calibrate())
        self._event_cost = self._seam_cost // 2
        self._urlconf = ""
        self.refresh()

    def refresh(self) -> None:
        """Look at the site's settings, which may be others than before: tests change them."""
        urlconf = _urlconf_name(settings.ROOT_URLCONF)
        if self._heads.refresh() or urlconf != self._urlconf:
            self._repeats.clear()
        self._urlconf = urlconf

    def seal(self, tape: Tape) -> Sealed:
        """Everything that ``tape`` holds, as plain data."""
        slots, chain, way = tape.slots, tape.chain, tape.transport or _NO_WAY
        final = tape.response or _last_answer(slots) or _NO_ANSWER
        like, same = self._repeats.of(tape)
        inside: Part
        if same is not None and (plain := events.plain_hooks(tape)) is not None:
            hooks, in_hooks = plain
            inside = _NOTHING_BEFORE + hooks + self._tails[same.cut, thread_name(tape.thread)]
            core = in_hooks, 0, 0
        else:
            same, inside, core = self._told(tape, way, final, like, same)
        own_cost = self._seam_cost * (len(slots) // STRIDE + 2) + self._event_cost * len(tape.events)
        went_out = (
            way.chunk_stamps,
            way.chunks,
            self._prefixes[way.script_prefix] if way.prefixed else "",
            (tape.start or tape.opened_at) - tape.opened_at + own_cost,
        )
        plan_id = chain.plan().id
        summary = self._rows.finished(tape, plan_id, same.view, same.route, final[0], core)
        if self._is_first:
            summary.began = self._began()
        return gate.close(summary, (stamps(tape), went_out, same.fields, inside), plan_id, same.secrets)

    def _told(
        self, tape: Tape, way: Transport, final: tuple[Any, ...], like: Key | None, same: Same | None
    ) -> tuple[Same, Part, Core]:
        """What is told of ``tape``: what is the ``same`` of all that are ``like`` it, None: not known yet; what ran inside,
        from ``view_thread`` on; and what the row tells of that."""
        start = tape.start or tape.opened_at
        threads = Threads()
        threads[tape.thread] = 0
        hooks, called, others, in_hooks, answerer = events.hooks(tape, start, threads)
        texts = Texts() if others or tape.errors else _NO_TEXTS
        happened = events.NOTHING
        queries = in_templates = 0
        if others:
            happened = events.others(tape, others, start, texts, threads, self._redactor)
            queries, in_templates = len(happened[QUERIES]), outer_total(happened[TEMPLATES])
        if same is None:
            same = self._same(tape, way, called, final)
            if like is not None:
                self._repeats.keep(like, tape, same)
        inside = (
            threads[tape.view_thread],
            [self._error(error, start, texts) for error in tape.errors] if tape.errors else (),
            hooks,
            *happened,
            (tape.dropped, same.cut, tape.query_count - queries if tape.query_count > queries else 0),
            [text[:TEXT_KEPT] for text in texts] if texts else (),
            [thread_name(tape.thread)] if len(threads) == 1 else [*map(thread_name, threads)],
        )
        return same, inside, (in_hooks, in_templates, answerer)

    def _same(self, tape: Tape, way: Transport, called: list[tuple[Any, ...]], final: tuple[Any, ...]) -> Same:
        """What would be told in the same words of a request that repeats this one, whose core ``called`` these hooks."""
        head = self._heads.read(tape.meta, way.source if tape.chain.interface == "asgi" else None)
        changes, cut, values = self._shapes.changes(tape, called)
        view, name = self._view(tape)
        route = self._route(tape)
        fields = (
            self._servers[tape.chain.interface],
            head.request,
            self._answers.headers(name, final),
            way.sent or tape.body_bytes,
            tape.streaming,
            changes,
            values,
            None if route is None else route[1],
            self._urlconf if tape.urlconf is None else _urlconf_name(tape.urlconf),
            _urlconf_setter(tape),
            _tried_texts(tape),
            view,
        )
        secrets = gate.known(tape, self._redactor, head)
        return Same(fields, cut, name, "" if route is None else route[0], secrets)

    def rows(self, tapes: Iterable[Tape]) -> list[Summary]:
        """The rows of requests that are still in hand, with one look at the threads for all of them."""
        survey = cache(Survey)
        return [gate.row(self._rows.running(tape, survey), self._secrets(tape)) for tape in tapes]

    def _secrets(self, tape: Tape) -> Secrets:
        source = getattr(tape.transport, "source", None) if tape.chain.interface == "asgi" else None
        return gate.known(tape, self._redactor, self._heads.read(tape.meta, source))

    def _began(self) -> list[str]:
        """What the first row of the process tells. A store that cannot say what ran before takes no record away."""
        self._is_first = False
        try:
            return self._changed()
        except Exception as error:
            faults.note("recorder: what changed", error)
            return []

    # -- parts ------------------------------------------------------------------------------------------------------

    def _server(self, interface: str) -> msgspec.Raw:
        return piece((interface, self._rows.pid, self._process, self._started_at))

    def _error(self, error: ErrorNote, start: int, texts: Texts) -> tuple[Any, ...]:
        """The fields of a ``PackedError``."""
        frames, *chain_frames = error.stacks(texts.file)
        return (
            error.at - start,
            error.where,
            error.rescued_by,
            events.since(error.rescued_at, start),
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


def _tail(told: tuple[int, str]) -> bytes:
    """What follows hooks that ran alone, on the one thread of that name; so many changes were cut."""
    cut, thread = told
    return packed.pack((*events.NOTHING, (0, cut, 0), (), [thread]))


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


def _urlconf_name(urlconf: Any) -> str:
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
