"""The invented site of the samples: its chain of layers, what they change, the server and process it runs in."""

from pipeline_inspector.records import Change, Frame, NotUsed, Plan, PlanLayer, Process, Server, Stage

SITE = "/srv/shop"
DJANGO = "/srv/shop/.venv/lib/python3.12/site-packages/django"

_BOTH = "both"
_SYNC = "sync"
_REQ, _RES, VIEW, EXC, TPL = (
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
    ("django.middleware.csrf.CsrfViewMiddleware", _BOTH, [_REQ, VIEW, _RES], 81, 36, 5),
    ("django.contrib.auth.middleware.AuthenticationMiddleware", _BOTH, [_REQ], 47, 6, 2),
    ("django.contrib.messages.middleware.MessageMiddleware", _BOTH, [_REQ, _RES], 58, 31, 6),
    ("shop.tenants.TenantMiddleware", _SYNC, [EXC], 3800, 18, 3),
    ("django.middleware.clickjacking.XFrameOptionsMiddleware", _BOTH, [_RES], 5, 17, 7),
    ("django_htmx.middleware.HtmxMiddleware", _BOTH, [], 12, 4, 10),
    ("shop.audit.AuditMiddleware", _SYNC, [VIEW, TPL], 205, 6400, 8),
]

CHANGES: dict[str, list[Change]] = {
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


def entries(count: int) -> list[tuple[str, str, list[str], int, int]]:
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
    for index, (path, mode, hooks, _, _) in enumerate(entries(layers)):
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
    order = {hook: [layer.index for layer in found if hook in layer.hooks] for hook in (VIEW, EXC, TPL)}
    order[EXC].reverse()
    order[TPL].reverse()
    return Plan(
        id=f"plan-{interface}-{layers}",
        interface=interface,  # type: ignore[arg-type]
        layers=found,
        not_used=[NotUsed("shop.debug.BannerMiddleware", "only with DEBUG_BANNER")],
        hook_order=order,
        core_hop=before,
        loaded_at="2026-03-02T09:00:01.000000Z",
    )


def server(interface: str) -> Server:
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
        Stage("set_script_prefix", -90_000, "/shop/"),
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


def process(pid: int = 4121, interface: str = "wsgi") -> Process:
    """One process that serves the site."""
    serving = server(interface)
    return Process(
        id=f"p-{pid}",
        pid=pid,
        started_at="2026-03-02T08:59:58.100000Z",
        interface=interface,
        software=serving.software,
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
            "apps ready": serving.call_path[:3],
            "chain loaded": serving.call_path[:4],
            "first request": serving.call_path,
        },
        apps=[
            ("django.contrib.auth", 61_000_000, 900_000),
            ("shop.articles", 22_000_000, 120_000),
            ("django.contrib.sessions", 7_400_000, 30_000),
        ],
        layers=[(layer.id, layer.import_ns, layer.construct_ns) for layer in plan(8, interface).layers],
        changed_files=[f"{SITE}/shop/articles/views.py"],
    )
