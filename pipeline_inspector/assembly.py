"""Packed tape to record: a pure function of a ``Sealed`` and its ``Plan``.

Time is laid out so that it adds up: what a layer spent is what lies between its own stamps and those of the next reached
layer inside it, less the hop on that boundary; inside the core each stage begins where the one before it ended.
"""

from bisect import bisect_right
from http import HTTPStatus
from typing import NamedTuple

from pipeline_inspector import packed
from pipeline_inspector.packed import NEVER, Packed, PackedSlot
from pipeline_inspector.records import (
    CacheCall,
    Change,
    Dropped,
    ExceptionInfo,
    Frame,
    Layer,
    LogLine,
    Outcome,
    Plan,
    Query,
    Request,
    RequestRecord,
    Response,
    Route,
    Sealed,
    Server,
    Span,
    SpanKind,
    Stage,
    TemplateRender,
    View,
)


def assemble(sealed: Sealed, plan: Plan | None) -> RequestRecord:
    """The finished record of ``sealed``; ``plan`` is the chain it ran through (None: unknown, layers stay unnamed)."""
    tape = packed.decode(sealed.payload)
    return _Assembly(sealed, tape, plan or Plan(id="", interface="wsgi", layers=[])).record()


class _Item(NamedTuple):
    """A stage of the core before it is tiled."""

    kind: SpanKind
    name: str
    layer: int | None
    start: int
    end: int
    thread: int


class _Assembly:
    def __init__(self, sealed: Sealed, tape: Packed, plan: Plan) -> None:
        self.row = sealed.summary
        self.tape = tape
        self.plan = plan
        self.count = len(plan.layers) or len(tape.slots) - 1
        self.spans: list[Span] = []
        self.end = tape.end if tape.end != NEVER else max(tape.closed, tape.finished, 0)
        self.layers = self._named_layers()
        self.reached = [p for p in range(len(tape.slots) - 1, -1, -1) if tape.slots[p].reached == packed.REACHED]

    def record(self) -> RequestRecord:
        tape, row = self.tape, self.row
        self._outcomes()
        self._times()
        core_changes = self._changes()
        record = RequestRecord(
            id=row.id,
            seq=row.seq,
            state=row.state,
            started_at=row.started_at,
            duration_ns=self.end,
            own_cost_ns=tape.own_cost,
            server=self._server(),
            request=Request(
                method=row.method,
                path=row.path,
                query=row.query,
                scheme=tape.scheme,
                http_version=tape.http_version,
                client=tape.client,
                headers=tape.request_headers,
                body_bytes=tape.body_bytes,
            ),
            response=self._response(),
            route=self._route(),
            tried=tape.tried,
            view=self._view(),
            layers=self.layers,
            queries=self._queries(),
            templates=self._templates(),
            cache_calls=self._cache_calls(),
            logs=self._logs(),
            exception=self._exception(),
            toggles=row.toggles,
            dropped=Dropped(*tape.dropped),
            core_changes=core_changes,
            not_used=self.plan.not_used,
        )
        self._sends()
        record.spans = self.spans
        return record

    # -- layers -----------------------------------------------------------------------------------------------------

    def _named_layers(self) -> list[Layer]:
        return [
            Layer(
                index=layer.index,
                id=layer.id,
                path=layer.path,
                mode=layer.mode,
                hooks=layer.hooks,
                name=layer.name,
                runs=layer.runs,
                hops=layer.inner_hops + (2 if layer.hop_before else 0),
                file=layer.file,
                line=layer.line,
                kind=layer.kind,
            )
            for layer in self.plan.layers
        ]

    def _layer(self, position: int) -> Layer | None:
        index = self.count - position
        return self.layers[index] if position and 0 <= index < len(self.layers) else None

    def _outcomes(self) -> None:
        for position in range(1, len(self.tape.slots)):
            layer = self._layer(position)
            if layer is not None:
                layer.enabled = self.tape.slots[position].reached != packed.SKIPPED
                layer.outcome = self._outcome(position, self.tape.slots[position])
        for error in self.tape.errors:
            if error.rescued_by is not None and error.rescued_by[0].startswith("hook:"):
                self._mark(error.rescued_by[1], "rescued")
        rescuer = self._replaced_an_error()
        if rescuer:
            self._mark(rescuer, "rescued")

    def _mark(self, position: int, outcome: Outcome) -> None:
        layer = self._layer(position)
        if layer is not None:
            layer.outcome = outcome

    def _outcome(self, position: int, slot: PackedSlot) -> Outcome:
        if slot.reached == packed.SKIPPED:
            return "off"
        if slot.reached == packed.NOT_REACHED:
            return "not_reached"
        if any(error.where[1] == position for error in self.tape.errors):
            return "raised"
        if any(hook[3] == position and hook[4] == "process_view" and hook[5] for hook in self.tape.hooks):
            return "answered"
        if position == self.reached[-1] and slot.exit != NEVER and self.row.state != "aborted":
            return "answered"
        return "passed"

    def _replaced_an_error(self) -> int:
        """The position of a layer whose own code made a good answer of an error response from further in, or 0."""
        converted = [e.rescued_by[1] for e in self.tape.errors if e.rescued_by and e.rescued_by[0] == "django"]
        if not converted:
            return 0
        for position, _, what, _, _, before, after in self.tape.changes:
            if what == "status" and position > max(converted) and (before or "0") >= "500" and (after or "9") < "500":
                return position
        return 0

    def _times(self) -> None:
        if not self.reached:
            return
        slots, end = self.tape.slots, self.end
        first = self.reached[0]
        top_in = slots[first].entry if self.plan.top_hop else 0
        top_out = end - self._exit(first) if self.plan.top_hop else 0
        self._hop(first, 0, top_in, self._exit(first), top_out)
        entered, left = top_in, end - top_out
        for outer, inner in zip(self.reached, [*self.reached[1:], None], strict=True):
            if outer == 0:
                self._core(entered, left)
                return
            if inner is None:
                self._self_time(outer, entered, left, left, left)
                return
            hop_start, hop_end = self._hop_between(outer, inner)
            inner_in, inner_out = slots[inner].entry, self._exit(inner)
            self._self_time(outer, entered, hop_start, hop_end, left)
            self._hop(inner, hop_start, inner_in - hop_start, inner_out, hop_end - inner_out)
            entered, left = inner_in, inner_out

    def _exit(self, position: int) -> int:
        left = self.tape.slots[position].exit
        return left if left != NEVER else max(self.end, self.tape.slots[position].entry)

    def _hop_between(self, outer: int, inner: int) -> tuple[int, int]:
        slots = self.tape.slots
        for position in range(outer - 1, inner - 1, -1):
            if slots[position].hop_start != NEVER:
                ended = slots[position].hop_end
                return slots[position].hop_start, ended if ended != NEVER else self._exit(inner)
        return slots[inner].entry, self._exit(inner)

    def _self_time(self, position: int, entered: int, called: int, returned: int, left: int) -> None:
        layer = self._layer(position)
        index = None if layer is None else layer.index
        name = "" if layer is None else layer.name
        if layer is not None:
            layer.in_ns, layer.out_ns = called - entered, left - returned
        self._span("layer_in", name, index, entered, called - entered)
        if left > returned:
            self._span("layer_out", name, index, returned, left - returned)

    def _hop(self, position: int, start: int, length: int, back: int, back_length: int) -> None:
        layer = self._layer(position)
        index = None if layer is None else layer.index
        if layer is not None:
            layer.hop_ns += length + back_length
        if length:
            self._span("hop", "to thread or loop", index, start, length)
        if back_length:
            self._span("hop", "back", index, back, back_length)

    # -- the core ---------------------------------------------------------------------------------------------------

    def _core(self, entered: int, left: int) -> None:
        cursor = entered
        items = self._core_items()
        for number, item in enumerate(items):
            end = left if number == len(items) - 1 else min(max(item.end, cursor), left)
            self._span(item.kind, item.name, item.layer, cursor, end - cursor, item.thread)
            cursor = end

    def _core_items(self) -> list[_Item]:
        tape = self.tape
        items: list[_Item] = []
        if NEVER not in tape.resolve:
            items.append(_Item("resolve", "URL resolver", None, *tape.resolve, -1))
        for start, end, thread, position, name, _, inner_start, inner_end, _ in tape.hooks:
            layer = self._layer(position)
            told = f"{layer.name if layer else position}.{name}"
            index = layer.index if layer else None
            if inner_start != NEVER and inner_end != NEVER:
                items.append(_Item("hop", f"to {told}", None, start, inner_start, thread))
                items.append(_Item("hook", told, index, inner_start, inner_end, thread))
                items.append(_Item("hop", f"back from {told}", None, inner_end, end, thread))
            else:
                items.append(_Item("hook", told, index, start, end, thread))
        items += self._view_items()
        view = tape.view
        for start, end, thread in tape.renders:
            if view is None or view.start == NEVER or not view.start <= start <= view.end:
                if tape.interface == "asgi":
                    items.append(_Item("hop", "to render", None, start, start, thread))
                items.append(_Item("render", "render", None, start, end, thread))
                if tape.interface == "asgi":
                    items.append(_Item("hop", "back from render", None, end, end, thread))
        for error in tape.errors:
            if error.rescued_by == ("django", 0):
                items.append(_Item("render", f"response for {error.type}", None, error.rescued_at, self._exit(0), -1))
        items.sort(key=lambda item: item.start)
        return self._stretched(items)

    def _view_items(self) -> list[_Item]:
        view = self.tape.view
        if view is None or view.start == NEVER:
            return []
        end = view.end if view.end != NEVER else self.end
        name = view.name.rpartition(".")[2] + (f".{view.method}" if view.method else "")
        item = _Item("view", name, None, view.start, end, view.thread)
        if view.is_async == (self.tape.interface == "asgi"):
            return [item]
        return [
            _Item("hop", "to the view", None, view.made, view.start, view.thread),
            item,
            _Item("hop", "back from the view", None, end, end, view.thread),
        ]

    @staticmethod
    def _stretched(items: list[_Item]) -> list[_Item]:
        """A hop of no length reaches to its neighbour: the switch back ends where the next stage begins."""
        done: list[_Item] = []
        for number, item in enumerate(items):
            following = items[number + 1].start if number + 1 < len(items) else None
            stretch = item.kind == "hop" and following is not None and following > item.end
            done.append(item._replace(end=following) if stretch and following is not None else item)
        return done

    # -- what ran in them -------------------------------------------------------------------------------------------

    def _span(
        self,
        kind: SpanKind,
        name: str,
        layer: int | None,
        start: int,
        length: int,
        thread: int = -1,
        parent: int | None = None,
    ) -> int:
        told = self.tape.threads[thread] if 0 <= thread < len(self.tape.threads) else self.tape.thread
        self.spans.append(Span(len(self.spans) + 1, parent, kind, name, layer, start, length, told))
        return len(self.spans)

    def _around(self, start: int, end: int) -> Span | None:
        """The innermost span that holds the whole interval; the one that holds its start when none does."""
        best = None
        for span in self.spans:
            if span.start_ns <= start <= span.start_ns + span.duration_ns and span.kind not in ("query", "cache"):
                closer = best is None or span.duration_ns <= best.duration_ns
                if closer and (end <= span.start_ns + span.duration_ns or best is None):
                    best = span
        return best

    def _inner(self, kind: SpanKind, name: str, times: tuple[int, int, int], around: Span | None) -> int:
        start, end, thread = times
        layer = around.layer if around is not None else None
        return self._span(kind, name, layer, start, end - start, thread, around.id if around is not None else None)

    def _templates(self) -> list[TemplateRender]:
        told = []
        around = _Nesting(self.spans)
        for start, end, thread, name, engine, keys, relation, file in sorted(
            self.tape.templates, key=lambda template: (template[0], -template[1])
        ):
            parent = around.of(start, end)
            span = self._inner("template", name, (start, end, thread), parent)
            around.push(self.spans[-1])
            names = self.tape.texts[keys]
            told.append(
                TemplateRender(span, name, engine, names.split("\0") if names else [], relation, self.tape.texts[file])
            )
        return told

    def _queries(self) -> list[Query]:
        groups: dict[tuple[int, str], int] = {}
        counts: dict[tuple[int, str], int] = {}
        for query in self.tape.queries:
            counts[query[3], query[5]] = counts.get((query[3], query[5]), 0) + 1
        told = []
        places = _Places(self)
        for (
            start,
            end,
            thread,
            sql,
            params,
            alias,
            rows,
            many,
            inside,
            error,
            file,
            line,
            function,
        ) in self.tape.queries:
            text = self.tape.texts[sql]
            around = places.of(start, end)
            span = self._inner("query", _short(text), (start, end, thread), around)
            if around is not None and around.layer is not None and around.layer < len(self.layers):
                self.layers[around.layer].query_count += 1
            group = groups.setdefault((sql, alias), len(groups) + 1) if counts[sql, alias] > 1 else None
            told.append(
                Query(
                    span=span,
                    sql=text,
                    alias=alias,
                    rows=rows if rows >= 0 else None,
                    duplicate_group=group,
                    file=self.tape.texts[file],
                    line=line,
                    params=params,
                    many=many,
                    in_transaction=inside,
                    function=function,
                    error=error,
                )
            )
        return told

    def _cache_calls(self) -> list[CacheCall]:
        places = _Places(self)
        return [
            CacheCall(
                self._inner("cache", f"{operation} {key}", (start, end, thread), places.of(start, end)),
                alias,
                operation,
                key,
                hit,
                self.tape.texts[file],
                line,
            )
            for start, end, thread, alias, operation, key, hit, file, line in self.tape.cache_calls
        ]

    def _logs(self) -> list[LogLine]:
        places = _Places(self)
        told = []
        for start, end, _, level, logger, message, file, line in self.tape.logs:
            around = places.of(start, end)
            span = around.id if around is not None else None
            told.append(LogLine(span, start, level, logger, message, self.tape.texts[file], line))
        return told

    def _sends(self) -> None:
        way = self.tape.way
        if way is not None and way[2] != NEVER:
            end = way[4] if way[4] != NEVER else self.tape.closed
            if end != NEVER and end >= way[2]:
                self._span("send", "send", None, way[2], end - way[2])
        for at, position in self.tape.again:
            layer = self._layer(position)
            around = self._around(at, at)
            self._span(
                "layer_in",
                f"{layer.name if layer else position} (entered again)",
                layer.index if layer else None,
                at,
                0,
                parent=around.id if around else None,
            )

    # -- plain parts ------------------------------------------------------------------------------------------------

    def _changes(self) -> list[Change]:
        core: list[Change] = []
        for position, on, what, name, kind, before, after in self.tape.changes:
            change = Change(on, what, name, kind, before, after)  # type: ignore[arg-type]
            layer = self._layer(position)
            (core if layer is None else layer.changes).append(change)
        return core

    def _server(self) -> Server:
        tape = self.tape
        return Server(
            interface="asgi" if tape.interface == "asgi" else "wsgi",
            software=self.plan.software,
            pid=tape.pid,
            thread=tape.thread,
            process_started_at=tape.process_started_at,
            process=tape.process,
            call_path=self.plan.call_path,
            stages=self._stages(),
        )

    def _stages(self) -> list[Stage]:
        way = self.tape.way or (NEVER,) * 5
        chunks = self.tape.chunk_stamps
        named = [
            ("handler called", way[0]),
            ("request_started", way[1]),
            ("request object made", self.tape.opened),
            ("get_response", 0),
            ("response made", self.tape.end),
            ("start_response" if self.tape.interface == "wsgi" else "http.response.start", way[2]),
            ("first byte", way[3]),
            *((f"chunk {number}", at) for number, at in enumerate(chunks[1:], 2)),
            ("last byte", way[4]),
            ("close", self.tape.closed),
            ("request_finished", self.tape.finished),
        ]
        return [Stage(name, at) for name, at in named if at != NEVER]

    def _response(self) -> Response | None:
        tape = self.tape
        if self.row.status is None:
            return None
        way = tape.way
        sent_last = way[4] if way is not None and way[4] != NEVER else tape.closed
        return Response(
            status=self.row.status,
            reason=_reason(self.row.status),
            headers=tape.response_headers,
            streaming=tape.streaming,
            body_bytes=tape.response_bytes,
            first_byte_ns=way[3] if way is not None and way[3] != NEVER else None,
            last_byte_ns=sent_last if sent_last != NEVER else None,
            chunks=way[5] if way is not None else 0,
            closed=tape.closed != NEVER,
        )

    def _route(self) -> Route | None:
        route = self.tape.route
        if route is None:
            return None
        setter = self._layer(self.tape.urlconf_set_by or 0)
        return Route(
            pattern=route.pattern,
            name=route.name,
            namespaces=route.namespaces,
            kwargs=route.kwargs,
            urlconf=self.tape.urlconf,
            urlconf_set_by=setter.id if setter else None,
            converters=route.converters,
        )

    def _view(self) -> View | None:
        view = self.tape.view
        if view is None:
            return None
        return View(view.name, view.kind, view.file, view.line, view.atomic, view.method, view.decorators)  # type: ignore[arg-type]

    def _exception(self) -> ExceptionInfo | None:
        error = next((error for error in self.tape.errors if error.type != "CancelledError"), None)
        if error is None:
            return None
        texts = self.tape.texts
        return ExceptionInfo(
            type=error.type,
            message=error.message,
            frames=[Frame(function, texts[file], line) for function, file, line in error.frames],
            raised_in=self._place(error.where),
            rescued_by=self._place(error.rescued_by) if error.rescued_by is not None else None,
            chain=error.chain,
        )

    def _place(self, where: tuple[str, int]) -> str:
        kind, position = where
        layer = self._layer(position)
        if kind == "django" or layer is None:
            return kind
        return layer.id if kind == "layer" else f"{layer.id}.{kind.removeprefix('hook:')}"


class _Nesting:
    """Finds the parent of spans that come in the order of their start: what is still open around them."""

    def __init__(self, spans: list[Span]) -> None:
        self._stages = sorted(spans, key=lambda span: span.start_ns)
        self._open: list[Span] = []
        self._next = 0

    def of(self, start: int, end: int) -> Span | None:
        """The innermost open span around ``start`` to ``end``."""
        while self._next < len(self._stages) and self._stages[self._next].start_ns <= start:
            self.push(self._stages[self._next])
            self._next += 1
        while self._open and self._open[-1].start_ns + self._open[-1].duration_ns < end:
            if self._open[-1].start_ns + self._open[-1].duration_ns > start and len(self._open) == 1:
                break
            self._open.pop()
        return self._open[-1] if self._open else None

    def push(self, span: Span) -> None:
        """``span`` is open now."""
        while self._open and self._open[-1].start_ns + self._open[-1].duration_ns <= span.start_ns:
            self._open.pop()
        self._open.append(span)


class _Places:
    """The innermost stage or template around a moment; asks are cheap, in whatever order they come."""

    def __init__(self, assembly: _Assembly) -> None:
        self._spans = sorted(
            (span for span in assembly.spans if span.kind not in ("query", "cache")),
            key=lambda span: (span.start_ns, -span.duration_ns),
        )
        self._starts = [span.start_ns for span in self._spans]
        self._by_id = {span.id: span for span in assembly.spans}

    def of(self, start: int, end: int) -> Span | None:
        """The innermost span that holds ``start`` (and ``end``, where one does)."""
        number = bisect_right(self._starts, start) - 1
        span = self._spans[number] if number >= 0 else None
        while span is not None and span.start_ns + span.duration_ns < end:
            if span.parent is not None:
                span = self._by_id[span.parent]
            else:
                number -= 1
                span = self._spans[number] if number >= 0 else None
        return span


def _short(sql: str) -> str:
    return " ".join(sql.split())[:80]


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
