"""Tells what happened in a sample request: spans with a running clock, so that the parts always add up to the whole."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline_inspector.records import CacheCall, Layer, LogLine, Plan, PlanLayer, Query, Span, SpanKind, TemplateRender
from tests.sample_chain import CHANGES, DJANGO, EXC, SITE, TPL, VIEW


class Teller:
    """Writes spans with a running clock, so that the parts always add up to the whole."""

    def __init__(self) -> None:
        self.now = 0
        self.spans: list[Span] = []
        self.queries: list[Query] = []
        self.templates: list[TemplateRender] = []
        self.cache: list[CacheCall] = []
        self.logs: list[LogLine] = []
        self._open: list[int] = []

    @contextmanager
    def span(self, kind: SpanKind, name: str, layer: int | None = None, thread: str = "MainThread") -> Iterator[Span]:
        parent = self._open[-1] if self._open else None
        span = Span(len(self.spans) + 1, parent, kind, name, layer, self.now, 0, thread)
        self.spans.append(span)
        self._open.append(span.id)
        try:
            yield span
        finally:
            self._open.pop()
            span.duration_ns = self.now - span.start_ns

    def spend(self, micros: float) -> None:
        self.now += int(micros * 1000)

    def query(
        self, sql: str, micros: float, *, rows: int | None = 1, group: int | None = None, at: tuple[str, int]
    ) -> None:
        inside = next((s.layer for s in self.spans if self._open and s.id == self._open[-1]), None)
        with self.span("query", sql[:60], inside) as span:
            self.spend(micros)
        file, line = at
        self.queries.append(
            Query(span.id, sql, rows=rows, duplicate_group=group, file=file, line=line, params=["1"], function="get")
        )

    @contextmanager
    def template(self, name: str, relation: str = "render") -> Iterator[None]:
        with self.span("template", name) as span:
            self.templates.append(
                TemplateRender(
                    span.id,
                    name,
                    context_keys=["articles", "page", "request", "user"],
                    relation=relation,  # type: ignore[arg-type]
                    file=f"{SITE}/templates/{name}",
                )
            )
            yield


def way_in(teller: Teller, ring: Layer, layer: PlanLayer, micros: int, *, off: bool, running: bool) -> None:
    if off:
        ring.outcome, ring.enabled = "off", False
        return
    ring.outcome = "passed"
    if layer.hop_before:
        with teller.span("hop", "loop → thread" if ring.mode == "sync" else "thread → loop", ring.index):
            teller.spend(140 + 60 * (ring.index % 4))
        ring.hop_ns, ring.hops = teller.spans[-1].duration_ns, 2
    start = teller.now
    with teller.span("layer_in", ring.name, ring.index):
        if ring.name == "TenantMiddleware":
            teller.spend(40)
            teller.query(
                'SELECT "tenant"."id", "tenant"."host" FROM "tenant" WHERE "tenant"."host" = %s LIMIT 21',
                2600,
                at=(f"{SITE}/shop/tenants.py", 41),
            )
            teller.cache.append(
                CacheCall(
                    teller.spans[-1].id, "default", "get", "tenant:shop.test", False, f"{SITE}/shop/tenants.py", 38
                )
            )
            teller.spend(micros - 2640 if not running else 900)
            ring.query_count += 1
        else:
            teller.spend(micros)
    ring.in_ns = teller.now - start
    ring.changes = [change for change in CHANGES.get(ring.name, []) if change.on == "request"]


def way_out(teller: Teller, ring: Layer, layer: PlanLayer, micros: int) -> None:
    start = teller.now
    with teller.span("layer_out", ring.name, ring.index):
        if ring.name == "SessionMiddleware":
            teller.query(
                'UPDATE "django_session" SET "session_data" = %s WHERE "session_key" = %s',
                1100,
                at=(f"{DJANGO}/contrib/sessions/backends/db.py", 88),
            )
            ring.query_count += 1
            teller.spend(micros - 1100)
        elif ring.name == "AuditMiddleware":
            teller.query(
                'INSERT INTO "audit" ("id", "who", "what") VALUES (%s, %s, %s)',
                5600,
                rows=1,
                at=(f"{SITE}/shop/audit.py", 57),
            )
            ring.query_count += 1
            teller.logs.append(
                LogLine(
                    teller.spans[-1].id,
                    teller.now,
                    "WARNING",
                    "shop.audit",
                    "Audit took 5.6 ms",
                    f"{SITE}/shop/audit.py",
                    61,
                )
            )
            teller.spend(micros - 5600)
        else:
            teller.spend(micros)
    ring.out_ns = teller.now - start
    ring.changes = ring.changes + [change for change in CHANGES.get(ring.name, []) if change.on == "response"]
    if layer.hop_before:
        before = teller.now
        with teller.span("hop", "thread → loop" if ring.mode == "sync" else "loop → thread", ring.index):
            teller.spend(90)
        ring.hop_ns += teller.now - before


def core(teller: Teller, kind: str, chain: Plan) -> None:
    with teller.span("resolve", "resolver"):
        teller.spend(90)
    if kind == "not_found":
        return
    for index in chain.hook_order[VIEW]:
        with teller.span("hook", f"{chain.layers[index].name}.process_view", index):
            teller.spend(14)
    with teller.span("view", "ArticleList.get" if kind != "asgi_hops" else "feed"):
        _view(teller, kind)
    if kind in ("raised", "raised_rescued"):
        for index in chain.hook_order[EXC]:
            with teller.span("hook", f"{chain.layers[index].name}.process_exception", index):
                teller.spend(22)
        return
    for index in chain.hook_order[TPL]:
        with teller.span("hook", f"{chain.layers[index].name}.process_template_response", index):
            teller.spend(9)
    if kind != "streaming":
        with teller.span("render", "TemplateResponse.render"):
            _templates(teller)


def _view(teller: Teller, kind: str) -> None:
    views = f"{SITE}/shop/articles/views.py"
    teller.spend(640)
    teller.query(
        'SELECT "article"."id", "article"."title", "article"."author_id" FROM "article" '
        'WHERE "article"."published" ORDER BY "article"."created" DESC LIMIT 20',
        1100,
        rows=20,
        at=(views, 31),
    )
    for number in range(20 if kind == "n_plus_one" else 5):
        teller.query(
            f'SELECT "author"."id", "author"."name" FROM "author" WHERE "author"."id" = {number + 1} LIMIT 21',
            380 + 20 * (number % 3),
            group=1,
            at=(f"{SITE}/shop/articles/models.py", 74),
        )
    teller.cache.append(CacheCall(teller.spans[-1].id, "default", "get_many", "sidebar:*", True, views, 35))
    teller.logs.append(
        LogLine(teller.spans[-1].id, teller.now, "INFO", "shop.articles", "20 articles listed", views, 36)
    )
    teller.spend(1900)


def _templates(teller: Teller) -> None:
    with teller.template("articles/list.html"):
        teller.spend(120)
        with teller.template("base.html", "extends"):
            teller.spend(210)
            for _ in range(3):
                with teller.template("articles/_row.html", "include"):
                    teller.spend(85)
            with teller.template("_footer.html", "include"):
                teller.spend(44)
        teller.spend(60)
