"""Realistic records, rows, chains and processes for tests of readings and pages: invented, complete, always the same.

``record(kind, layers=8)`` tells one of ``KINDS`` with 1 to 40 layers; ``summary()`` and ``plan()`` fit it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline_inspector.records import (
    CacheCall,
    Change,
    ExceptionInfo,
    Frame,
    Layer,
    LogLine,
    NotUsed,
    Plan,
    PlanLayer,
    Process,
    Query,
    Request,
    RequestRecord,
    Response,
    Route,
    Segments,
    Server,
    Span,
    SpanKind,
    Stage,
    Summary,
    TemplateRender,
    View,
)

KINDS = (
    "passed",
    "answered",
    "raised",
    "raised_rescued",
    "layer_raised",
    "off",
    "asgi_hops",
    "running",
    "not_found",
    "streaming",
    "n_plus_one",
)
SITE = "/srv/shop"
DJANGO = "/srv/shop/.venv/lib/python3.12/site-packages/django"

_BOTH = "both"
_SYNC = "sync"
_REQ, _RES, _VIEW, _EXC, _TPL = (
    "process_request",
    "process_response",
    "process_view",
    "process_exception",
    "process_template_response",
)

_KNOWN: list[tuple[str, str, list[str], int, int, int]] = [
    # dotted path, mode, hooks, µs in, µs out, importance (lower: earlier into a short chain)
    ("django.middleware.security.SecurityMiddleware", _BOTH, [_REQ, _RES], 21, 48, 1),
    ("whitenoise.middleware.WhiteNoiseMiddleware", _BOTH, [], 32, 18, 11),
    ("django.contrib.sessions.middleware.SessionMiddleware", _BOTH, [_REQ, _RES], 62, 1350, 0),
    ("corsheaders.middleware.CorsMiddleware", _BOTH, [], 28, 23, 12),
    ("django.middleware.locale.LocaleMiddleware", _BOTH, [_REQ, _RES], 74, 41, 9),
    ("django.middleware.common.CommonMiddleware", _BOTH, [_REQ, _RES], 38, 29, 4),
    ("django.middleware.csrf.CsrfViewMiddleware", _BOTH, [_REQ, _VIEW, _RES], 81, 36, 5),
    ("django.contrib.auth.middleware.AuthenticationMiddleware", _BOTH, [_REQ], 47, 6, 2),
    ("django.contrib.messages.middleware.MessageMiddleware", _BOTH, [_REQ, _RES], 58, 31, 6),
    ("shop.tenants.TenantMiddleware", _SYNC, [_EXC], 3800, 18, 3),
    ("django.middleware.clickjacking.XFrameOptionsMiddleware", _BOTH, [_RES], 5, 17, 7),
    ("django_htmx.middleware.HtmxMiddleware", _BOTH, [], 12, 4, 10),
    ("shop.audit.AuditMiddleware", _SYNC, [_VIEW, _TPL], 205, 6400, 8),
]

_CHANGES: dict[str, list[Change]] = {
    "SecurityMiddleware": [
        Change("response", "header", "X-Content-Type-Options", "added", None, "nosniff"),
        Change("response", "header", "Referrer-Policy", "added", None, "same-origin"),
        Change("response", "header", "Cross-Origin-Opener-Policy", "added", None, "same-origin"),
    ],
    "SessionMiddleware": [
        Change("request", "attribute", "session", "added", None, "SessionStore"),
        Change("response", "cookie", "sessionid", "added", None, "•••"),
        Change("response", "header", "Vary", "changed", "origin", "origin, Cookie"),
    ],
    "LocaleMiddleware": [
        Change("request", "attribute", "LANGUAGE_CODE", "added", None, "en-gb"),
        Change("response", "header", "Content-Language", "added", None, "en-gb"),
    ],
    "CommonMiddleware": [Change("response", "header", "Content-Length", "added", None, "14213")],
    "CsrfViewMiddleware": [Change("response", "cookie", "csrftoken", "added", None, "•••")],
    "AuthenticationMiddleware": [
        Change("request", "attribute", "user", "added", None, "SimpleLazyObject (not evaluated)"),
        Change("request", "attribute", "auser", "added", None, "partial"),
    ],
    "MessageMiddleware": [Change("request", "attribute", "_messages", "added", None, "FallbackStorage")],
    "TenantMiddleware": [
        Change("request", "attribute", "tenant", "added", None, "Tenant"),
        Change("request", "attribute", "urlconf", "added", None, "shop.urls"),
    ],
    "XFrameOptionsMiddleware": [Change("response", "header", "X-Frame-Options", "added", None, "DENY")],
    "AuditMiddleware": [
        Change("request", "attribute", "audit_id", "added", None, "str"),
        Change("response", "header", "Server", "removed", "shop/3", None),
        Change("response", "status", "status", "changed", "200", "203"),
    ],
}


def _entries(count: int) -> list[tuple[str, str, list[str], int, int]]:
    """The outermost-first entries of a chain of ``count`` layers: the important ones, then made-up fillers."""
    if not 1 <= count <= 40:
        raise ValueError(f"A sample chain has 1 to 40 layers, not {count}.")
    by_weight = sorted(range(len(_KNOWN)), key=lambda position: _KNOWN[position][5])[:count]
    chosen = [_KNOWN[position][:5] for position in sorted(by_weight)]
    extra = count - len(chosen)
    fillers = [
        (f"shop.trace.Step{number}Middleware", _BOTH, [_REQ] if number % 3 else [], 4 + number * 7 % 60, 3 + number % 9)
        for number in range(1, extra + 1)
    ]
    return chosen[:-2] + fillers + chosen[-2:] if fillers else chosen


def _file(path: str) -> tuple[str, int]:
    module = path.rpartition(".")[0].replace(".", "/")
    root = DJANGO.removesuffix("/django") if path.startswith(("django", "corsheaders", "whitenoise")) else SITE
    return f"{root}/{module}.py", 12 + len(path) % 60


def plan(layers: int = 8, interface: str = "wsgi") -> Plan:
    """The chain that ``record(..., layers=layers)`` ran through."""
    found = []
    before = False
    for index, (path, mode, hooks, _, _) in enumerate(_entries(layers)):
        file, line = _file(path)
        needs_thread = interface == "asgi" and mode == _SYNC
        found.append(
            PlanLayer(
                index=index,
                id=path,
                path=path,
                name=path.rpartition(".")[2],
                mode=mode,  # type: ignore[arg-type]
                runs="sync" if interface == "wsgi" or needs_thread else "async",
                hooks=hooks,
                file=file,
                line=line,
                hop_before=needs_thread != before,
                import_ns=400_000 + index * 90_000,
                construct_ns=9_000 + index * 700,
            )
        )
        before = needs_thread
    order = {hook: [layer.index for layer in found if hook in layer.hooks] for hook in (_VIEW, _EXC, _TPL)}
    order[_EXC].reverse()
    order[_TPL].reverse()
    return Plan(
        id=f"plan-{interface}-{layers}",
        interface=interface,  # type: ignore[arg-type]
        layers=found,
        not_used=[NotUsed("shop.debug.BannerMiddleware", "only with DEBUG_BANNER")],
        hook_order=order,
        core_hop=before,
        loaded_at="2026-03-02T09:00:01.000000Z",
    )


class _Teller:
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


def record(kind: str = "passed", layers: int = 8, *, seq: int = 1, path: str = "") -> RequestRecord:
    """One request of the given kind through a chain of ``layers`` layers; ``path`` replaces its own path."""
    if kind not in KINDS:
        raise ValueError(f"No sample of kind {kind!r}. Known: {', '.join(KINDS)}.")
    interface = "asgi" if kind in ("asgi_hops", "streaming") else "wsgi"
    chain = plan(layers, interface)
    teller = _Teller()
    rings = _rings(chain)
    turn = _turn(kind, rings)
    off = _off(kind, rings)
    stopped = kind in ("answered", "layer_raised")
    for ring, (_, _, _, micros, _) in zip(rings, _entries(layers), strict=True):
        if ring.index > turn:
            break
        _way_in(
            teller,
            ring,
            chain.layers[ring.index],
            micros,
            off=ring.index == off,
            running=kind == "running" and ring.index == turn,
        )
    reached_core = not stopped and kind != "running"
    if reached_core:
        _core(teller, kind, chain)
    if kind != "running":
        for ring, (_, _, _, _, micros) in reversed(list(zip(rings, _entries(layers), strict=True))):
            if ring.index < turn + (not stopped) and ring.outcome == "passed":
                _way_out(teller, ring, chain.layers[ring.index], micros)
    _outcomes(kind, rings, turn)
    return _finish(kind, chain, rings, teller, seq, path, off, reached_core)


def _rings(chain: Plan) -> list[Layer]:
    return [
        Layer(
            index=layer.index,
            id=layer.id,
            path=layer.path,
            mode=layer.mode,
            hooks=layer.hooks,
            name=layer.name,
            runs=layer.runs,
            file=layer.file,
            line=layer.line,
            kind=layer.kind,
        )
        for layer in chain.layers
    ]


def _turn(kind: str, rings: list[Layer]) -> int:
    """Index of the innermost layer reached."""
    if kind in ("answered", "layer_raised", "running"):
        named = [ring.index for ring in rings if ring.name == "TenantMiddleware"]
        return named[0] if named else len(rings) - 1
    return len(rings) - 1


def _off(kind: str, rings: list[Layer]) -> int | None:
    if kind != "off":
        return None
    named = [ring.index for ring in rings if ring.name == "MessageMiddleware"]
    return named[0] if named else 0


def _way_in(teller: _Teller, ring: Layer, layer: PlanLayer, micros: int, *, off: bool, running: bool) -> None:
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
    ring.changes = [change for change in _CHANGES.get(ring.name, []) if change.on == "request"]


def _way_out(teller: _Teller, ring: Layer, layer: PlanLayer, micros: int) -> None:
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
    ring.changes = ring.changes + [change for change in _CHANGES.get(ring.name, []) if change.on == "response"]
    if layer.hop_before:
        before = teller.now
        with teller.span("hop", "thread → loop" if ring.mode == "sync" else "loop → thread", ring.index):
            teller.spend(90)
        ring.hop_ns += teller.now - before


def _core(teller: _Teller, kind: str, chain: Plan) -> None:
    with teller.span("resolve", "resolver"):
        teller.spend(90)
    if kind == "not_found":
        return
    for index in chain.hook_order[_VIEW]:
        with teller.span("hook", f"{chain.layers[index].name}.process_view", index):
            teller.spend(14)
    with teller.span("view", "ArticleList.get" if kind != "asgi_hops" else "feed"):
        _view(teller, kind)
    if kind in ("raised", "raised_rescued"):
        for index in chain.hook_order[_EXC]:
            with teller.span("hook", f"{chain.layers[index].name}.process_exception", index):
                teller.spend(22)
        return
    for index in chain.hook_order[_TPL]:
        with teller.span("hook", f"{chain.layers[index].name}.process_template_response", index):
            teller.spend(9)
    if kind != "streaming":
        with teller.span("render", "TemplateResponse.render"):
            _templates(teller)


def _view(teller: _Teller, kind: str) -> None:
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


def _templates(teller: _Teller) -> None:
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


def _outcomes(kind: str, rings: list[Layer], turn: int) -> None:
    for ring in rings:
        if ring.index > turn:
            ring.outcome = "not_reached"
    if kind == "answered":
        rings[turn].outcome = "answered"
        rings[turn].changes = [Change("response", "header", "Location", "added", None, "/choose-tenant/")]
    if kind == "layer_raised":
        rings[turn].outcome = "raised"
    if kind == "raised_rescued":
        rescuer = [ring for ring in rings if _EXC in ring.hooks]
        if rescuer:
            rescuer[-1].outcome = "rescued"


_STATUS = {"answered": 302, "raised": 500, "raised_rescued": 409, "layer_raised": 500, "not_found": 404, "off": 200}
_PATHS = {
    "answered": "/admin/",
    "raised": "/articles/17/edit/",
    "raised_rescued": "/articles/17/edit/",
    "asgi_hops": "/api/feed.json",
    "running": "/reports/yearly/",
    "not_found": "/favicon.ico",
    "streaming": "/exports/orders.csv",
}
_REASON = {
    200: "OK",
    203: "Non-Authoritative Information",
    302: "Found",
    404: "Not Found",
    409: "Conflict",
    500: "Internal Server Error",
}


def _finish(
    kind: str,
    chain: Plan,
    rings: list[Layer],
    teller: _Teller,
    seq: int,
    path: str,
    off: int | None,
    reached_core: bool,
) -> RequestRecord:
    status = _STATUS.get(kind, 200)
    running = kind == "running"
    raises = kind in ("raised", "raised_rescued", "layer_raised")
    return RequestRecord(
        id=f"{kind.replace('_', '-')}-{seq:04d}",
        seq=seq,
        state="running" if running else "finished",
        started_at=f"2026-03-02T09:{seq // 60 % 60:02d}:{seq % 60:02d}.250000Z",
        duration_ns=teller.now,
        own_cost_ns=14_000,
        server=_server(chain.interface),
        request=Request(
            method="POST" if raises else "GET",
            path=path or _PATHS.get(kind, "/articles/"),
            query="page=2&tag=django" if kind in ("passed", "n_plus_one") else "",
            http_version="1.1",
            client="127.0.0.1:50312",
            headers=[
                ("Host", "shop.test:8000"),
                ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"),
                ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
                ("Accept-Language", "en-GB,en;q=0.7"),
                ("Cookie", "sessionid=•••; csrftoken=•••"),
                ("Authorization", "•••"),
            ],
            body_bytes=212 if raises else None,
        ),
        response=None if running else _response(kind, status, teller.now),
        route=_route(kind) if reached_core else None,
        tried=["admin/", "articles/", "accounts/", "api/feed.json", "^exports/(?P<name>[^/]+)$"]
        if kind == "not_found"
        else [],
        view=_view_of(kind) if reached_core else None,
        layers=rings,
        spans=teller.spans,
        queries=teller.queries,
        templates=teller.templates,
        cache_calls=teller.cache,
        logs=teller.logs,
        exception=_exception(kind, rings) if raises else None,
        toggles=[rings[off].id] if off is not None else [],
        core_changes=[
            Change("response", "header", "Content-Type", "added", None, "text/html; charset=utf-8"),
            Change("response", "status", "status", "added", None, str(status)),
        ]
        if reached_core
        else [],
        not_used=chain.not_used,
    )


def _server(interface: str) -> Server:
    call = [
        Frame("<module>", f"{SITE}/manage.py", 22),
        Frame("execute_from_command_line", f"{DJANGO}/core/management/__init__.py", 442),
        Frame("run_from_argv", f"{DJANGO}/core/management/base.py", 416),
        Frame("inner_run", f"{DJANGO}/core/management/commands/runserver.py", 134),
        Frame("process_request_thread", "/usr/lib/python3.12/socketserver.py", 692),
        Frame("__call__", f"{DJANGO}/core/handlers/{interface}.py", 124),
    ]
    stages = [
        Stage("connection accepted", -1_900_000),
        Stage("first line read", -1_200_000),
        Stage("headers parsed", -640_000),
        Stage("handler called", -210_000),
        Stage("request_started", -60_000),
    ]
    software = "daphne 4.1.2" if interface == "asgi" else "WSGIServer/0.2 CPython/3.12.4"
    return Server(
        interface=interface,  # type: ignore[arg-type]
        software=software,
        pid=4121,
        thread="MainThread" if interface == "asgi" else "Thread-7 (process_request_thread)",
        process_started_at="2026-03-02T08:59:58.100000Z",
        process="p-4121",
        call_path=call,
        stages=stages,
    )


def _response(kind: str, status: int, end: int) -> Response:
    headers = [("Content-Type", "text/html; charset=utf-8"), ("X-Frame-Options", "DENY"), ("Vary", "origin, Cookie")]
    if kind == "answered":
        headers.insert(0, ("Location", "/choose-tenant/"))
    headers.append(("Set-Cookie", "sessionid=•••; HttpOnly; Path=/; SameSite=Lax"))
    stream = kind == "streaming"
    return Response(
        status=status,
        reason=_REASON.get(status, ""),
        headers=headers,
        streaming=stream,
        body_bytes=None if stream else 14213,
        first_byte_ns=end + 130_000,
        last_byte_ns=end + (48_000_000 if stream else 410_000),
        chunks=37 if stream else 1,
    )


def _route(kind: str) -> Route | None:
    if kind == "not_found":
        return None
    return Route(
        pattern="articles/<int:page>/",
        name="article-list",
        namespaces=["articles"],
        kwargs={"page": "2"},
        urlconf="shop.urls",
        urlconf_set_by="shop.tenants.TenantMiddleware",
        converters={"page": "int"},
    )


def _view_of(kind: str) -> View | None:
    if kind == "not_found":
        return None
    views = f"{SITE}/shop/articles/views.py"
    if kind == "asgi_hops":
        return View("shop.articles.views.feed", "async", views, 112)
    method = "post" if kind.startswith("raised") else "get"
    name = "shop.articles.views.ArticleEdit" if kind.startswith("raised") else "shop.articles.views.ArticleList"
    return View(
        name, "class", views, 24, atomic=kind.startswith("raised"), method=method, decorators=["login_required"]
    )


def _exception(kind: str, rings: list[Layer]) -> ExceptionInfo:
    raiser = next((ring.id for ring in rings if ring.outcome == "raised"), "view")
    rescuer = next((ring.id + ".process_exception" for ring in rings if ring.outcome == "rescued"), "django")
    return ExceptionInfo(
        type="shop.errors.Conflict" if kind == "raised_rescued" else "ValueError",
        message="price must be at least 0, not '-3'",
        frames=[
            Frame("inner", f"{DJANGO}/core/handlers/exception.py", 55),
            Frame("_get_response", f"{DJANGO}/core/handlers/base.py", 197),
            Frame("view", f"{DJANGO}/views/generic/base.py", 105),
            Frame("post", f"{SITE}/shop/articles/views.py", 88),
            Frame("clean_price", f"{SITE}/shop/articles/forms.py", 40),
        ],
        raised_in=raiser,
        rescued_by=rescuer,
        chain=["decimal.InvalidOperation: [<class 'decimal.ConversionSyntax'>]"],
    )


def summary(record: RequestRecord) -> Summary:
    """The list row of ``record``."""
    answered = next((layer for layer in record.layers if layer.outcome == "answered"), None)
    reached = [layer.index for layer in record.layers if layer.outcome not in ("not_reached",)]
    whole = bool(record.view or record.tried)
    running = record.state == "running"
    core = {
        kind: sum(s.duration_ns for s in record.spans if s.kind == kind)
        for kind in ("resolve", "hook", "view", "render")
    }
    return Summary(
        id=record.id,
        seq=record.seq,
        state=record.state,
        started_at=record.started_at,
        method=record.request.method,
        path=record.request.path,
        query=record.request.query,
        status=record.response.status if record.response else None,
        duration_ns=record.duration_ns,
        view=record.view.name.rpartition(".")[2] if record.view else "",
        route=record.route.name or "" if record.route else "",
        query_count=len(record.queries),
        template_count=len(record.templates),
        segments=Segments(
            sum(layer.in_ns + layer.out_ns + layer.hop_ns for layer in record.layers),
            core["resolve"] + core["hook"],
            core["view"],
            core["render"],
        ),
        answered_by=answered.id if answered else None,
        exception=record.exception.type if record.exception else None,
        note=f"{answered.name} answered" if answered else "",
        pid=record.server.pid,
        process=record.server.process,
        interface=record.server.interface,
        plan_id=f"plan-{record.server.interface}-{len(record.layers)}",
        deepest=len(record.layers) if whole else max(reached, default=0),
        toggles=record.toggles,
        layer_now=record.layers[max(reached, default=0)].id if running and record.layers else None,
        where=f"{SITE}/shop/tenants.py:41" if running else None,
    )


def process(pid: int = 4121, interface: str = "wsgi") -> Process:
    """One process that serves the site."""
    server = _server(interface)
    return Process(
        id=f"p-{pid}",
        pid=pid,
        started_at="2026-03-02T08:59:58.100000Z",
        interface=interface,
        software=server.software,
        settings_module="shop.settings",
        reloader=interface == "wsgi",
        argv=["manage.py", "runserver"],
        python="3.12.4",
        django="5.2.8",
        moments=[
            Stage("process started", 0),
            Stage("settings read", 84_000_000),
            Stage("apps ready", 412_000_000),
            Stage("chain loaded", 655_000_000),
            Stage("first request", 1_930_000_000),
        ],
        path={
            "apps ready": server.call_path[:3],
            "chain loaded": server.call_path[:4],
            "first request": server.call_path,
        },
        apps=[
            ("django.contrib.auth", 61_000_000, 900_000),
            ("shop.articles", 22_000_000, 120_000),
            ("django.contrib.sessions", 7_400_000, 30_000),
        ],
        layers=[(layer.id, layer.import_ns, layer.construct_ns) for layer in plan(8, interface).layers],
        changed_files=[f"{SITE}/shop/articles/views.py"],
    )
