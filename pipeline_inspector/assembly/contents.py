"""What ran on the way: templates, queries, cache calls and log lines, each in the span that was open around it."""

from bisect import bisect_right

from pipeline_inspector.assembly.way import Way
from pipeline_inspector.records import CacheCall, LogLine, Query, Span, SpanKind, TemplateRender


class Contents:
    """Adds the spans of what ran to ``way``, and tells each. Templates come first: the others lie in them."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.tape = way.tape
        self.templates = self._templates()
        self._places = Places(way.spans)
        self.queries = self._queries()
        self.cache_calls = self._cache_calls()
        self.logs = self._logs()

    def _inner(self, kind: SpanKind, name: str, times: tuple[int, int, int], around: Span | None) -> int:
        start, end, thread = times
        layer = around.layer if around is not None else None
        return self.way.add(kind, name, layer, start, end - start, thread, around.id if around is not None else None)

    def _templates(self) -> list[TemplateRender]:
        told = []
        around = Nesting(self.way.spans)
        for start, end, thread, name, engine, keys, relation, file in sorted(
            self.tape.templates, key=lambda template: (template[0], -template[1])
        ):
            parent = around.of(start, end)
            span = self._inner("template", name, (start, end, thread), parent)
            around.push(self.way.spans[-1])
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
        places = self._places
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
            if around is not None and around.layer is not None and around.layer < len(self.way.layers):
                self.way.layers[around.layer].query_count += 1
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
        places = self._places
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
        places = self._places
        told = []
        for start, end, _, level, logger, message, file, line in self.tape.logs:
            around = places.of(start, end)
            span = around.id if around is not None else None
            told.append(LogLine(span, start, level, logger, message, self.tape.texts[file], line))
        return told


class Nesting:
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


class Places:
    """The innermost stage or template around a moment; asks are cheap, in whatever order they come."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = sorted(
            (span for span in spans if span.kind not in ("query", "cache")),
            key=lambda span: (span.start_ns, -span.duration_ns),
        )
        self._starts = [span.start_ns for span in self._spans]
        self._by_id = {span.id: span for span in spans}

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


def _is_better(after: str | None, before: str | None) -> bool:
    return bool(after and before) and any(after < limit <= before for limit in ("400", "500"))  # type: ignore[operator]


def _short(sql: str) -> str:
    return " ".join(sql.split())[:80]
