"""Realistic records, rows, chains and processes for tests of readings and pages: invented, complete, always the same.

``record(kind, layers=8)`` tells one of ``KINDS`` with 1 to 40 layers; ``summary()`` and ``plan()`` fit it.
"""

from pipeline_inspector.records import (
    Change,
    ExceptionInfo,
    Frame,
    Layer,
    Plan,
    Request,
    RequestRecord,
    Response,
    Route,
    Segments,
    Summary,
    View,
)
from tests.sample_chain import DJANGO, EXC, SITE, entries, plan, process, server
from tests.sample_story import Teller, core, way_in, way_out

__all__ = ["DJANGO", "KINDS", "SITE", "plan", "process", "record", "summary"]

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


def record(kind: str = "passed", layers: int = 8, *, seq: int = 1, path: str = "") -> RequestRecord:
    """One request of the given kind through a chain of ``layers`` layers; ``path`` replaces its own path."""
    if kind not in KINDS:
        raise ValueError(f"No sample of kind {kind!r}. Known: {', '.join(KINDS)}.")
    interface = "asgi" if kind in ("asgi_hops", "streaming") else "wsgi"
    chain = plan(layers, interface)
    teller = Teller()
    rings = _rings(chain)
    turn = _turn(kind, rings)
    off = _off(kind, rings)
    stopped = kind in ("answered", "layer_raised")
    for ring, (_, _, _, micros, _) in zip(rings, entries(layers), strict=True):
        if ring.index > turn:
            break
        way_in(
            teller,
            ring,
            chain.layers[ring.index],
            micros,
            off=ring.index == off,
            running=kind == "running" and ring.index == turn,
        )
    reached_core = not stopped and kind != "running"
    if reached_core:
        core(teller, kind, chain)
    if kind != "running":
        for ring, (_, _, _, _, micros) in reversed(list(zip(rings, entries(layers), strict=True))):
            if ring.index < turn + (not stopped) and ring.outcome == "passed":
                way_out(teller, ring, chain.layers[ring.index], micros)
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
        rescuer = [ring for ring in rings if EXC in ring.hooks]
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
    teller: Teller,
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
        server=server(chain.interface),
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
    inside = {
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
            inside["resolve"] + inside["hook"],
            inside["view"],
            inside["render"],
        ),
        answered_by=answered.id if answered else None,
        exception=record.exception.type if record.exception else None,
        note=f"{answered.name} answered" if answered else "",
        pid=record.server.pid,
        process=record.server.process,
        interface=record.server.interface,
        plan_id=f"plan-{record.server.interface}-{len(record.layers)}",
        deepest=len(record.layers) if whole else max(reached, default=0),
        toggles=(*record.toggles,),
        layer_now=record.layers[max(reached, default=0)].id if running and record.layers else None,
        where=f"{SITE}/shop/tenants.py:41" if running else None,
    )
