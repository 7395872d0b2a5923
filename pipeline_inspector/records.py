"""The record of one request, as plain typed data: the centre of the house, everything after it is a function of it.

Three shapes live here:

``RequestRecord``
    the finished account, the JSON of the public interface. Times are integer nanoseconds from the request's start
    (the moment the outermost middleware calls inward); a time before that moment is negative.
``Summary``
    the few fields a list row needs; kept beside every record so that a list never opens the records.
``Sealed``
    what a store keeps: the summary and two opaque byte strings. ``payload`` is the tape of the request, redacted and
    packed; ``assembly.assemble()`` makes the ``RequestRecord`` of it when somebody reads it. ``plan_id`` names the
    chain it ran through, kept once per chain.

All are msgspec structs: ``to_json()`` gives bytes, ``from_json()`` opens them, fields unknown to this version are passed
over and missing ones take their defaults, so older records still open.
"""

from typing import Any, Literal

import msgspec

Mode = Literal["sync", "async", "both"]
Outcome = Literal["passed", "answered", "raised", "rescued", "not_reached", "off"]
State = Literal["running", "finished", "aborted"]
SpanKind = Literal[
    "layer_in",
    "layer_out",
    "hook",
    "hop",
    "resolve",
    "view",
    "render",
    "template",
    "query",
    "cache",
    "send",
]


class Frame(msgspec.Struct, frozen=True):
    """One line of a call path or traceback: function, absolute file, line number.

    ``returned``: at the moment told the function had been called by the step before, and was over."""

    function: str
    file: str
    line: int
    returned: bool = False


class Stage(msgspec.Struct, frozen=True):
    """One named moment of the way from socket to socket, ``at_ns`` from the request's start (negative: before it).

    ``value`` is what was set then, where something was (``set_script_prefix``)."""

    name: str
    at_ns: int
    value: str = ""


class Server(msgspec.Struct):
    """Who served: ``software`` as the server names itself, ``call_path`` outermost frame first."""

    interface: Literal["wsgi", "asgi"] = "wsgi"
    software: str = ""
    pid: int = 0
    thread: str = ""
    process_started_at: str = ""
    process: str = ""
    call_path: list[Frame] = []
    stages: list[Stage] = []


class Request(msgspec.Struct):
    """What came in. ``headers`` in the order received, secrets hidden; ``body_bytes`` as declared, None: not declared."""

    method: str = ""
    path: str = ""
    query: str = ""
    scheme: str = "http"
    http_version: str = ""
    client: str = ""
    headers: list[tuple[str, str]] = []
    body_bytes: int | None = None


class Response(msgspec.Struct):
    """What went out. ``first_byte_ns``/``last_byte_ns`` are None when the server does not let them be seen."""

    status: int
    reason: str = ""
    headers: list[tuple[str, str]] = []
    streaming: bool = False
    body_bytes: int | None = None
    first_byte_ns: int | None = None
    last_byte_ns: int | None = None
    chunks: int = 0
    closed: bool = True


class Route(msgspec.Struct):
    """The resolver's match. ``urlconf`` is the module used; ``urlconf_set_by`` the layer id that chose it, if one did."""

    pattern: str = ""
    name: str | None = None
    namespaces: list[str] = []
    kwargs: dict[str, str] = {}
    urlconf: str = ""
    urlconf_set_by: str | None = None
    converters: dict[str, str] = {}


class View(msgspec.Struct):
    """The view as the developer wrote it; ``method`` is the method of a class-based view that ran."""

    name: str = ""
    kind: Literal["function", "class", "async"] = "function"
    file: str = ""
    line: int = 0
    atomic: bool = False
    method: str = ""
    decorators: list[str] = []


class Change(msgspec.Struct):
    """One thing a layer added, altered or removed. ``before``/``after`` are text, None where there was nothing."""

    on: Literal["request", "response"]
    what: Literal["attribute", "header", "cookie", "status"]
    name: str
    kind: Literal["added", "changed", "removed"]
    before: str | None = None
    after: str | None = None


class Layer(msgspec.Struct):
    """One ring. ``in_ns``, ``out_ns``: self time; ``hop_ns``: switching between loop and thread on its boundary.

    ``mode`` is what the layer can do, ``runs`` how Django adapted it in this chain; ``hops`` counts the switches on its
    boundary and inside it for one request that passes.
    """

    index: int
    id: str
    path: str
    enabled: bool = True
    mode: Mode = "sync"
    hooks: list[str] = []
    outcome: Outcome = "not_reached"
    in_ns: int = 0
    out_ns: int = 0
    hop_ns: int = 0
    query_count: int = 0
    changes: list[Change] = []
    name: str = ""
    runs: Literal["sync", "async"] = "sync"
    hops: int = 0
    file: str = ""
    line: int = 0
    kind: Literal["class", "function"] = "class"
    note: str = ""


class Span(msgspec.Struct):
    """One timed thing. ``parent`` is the id of the span around it, None at the top; ``layer`` the index of its layer."""

    id: int
    parent: int | None
    kind: SpanKind
    name: str
    layer: int | None
    start_ns: int
    duration_ns: int
    thread: str = ""


class Query(msgspec.Struct):
    """One database call. ``rows`` None: the driver does not say; ``duplicate_group`` the same number for similar ones."""

    span: int
    sql: str
    alias: str = "default"
    rows: int | None = None
    duplicate_group: int | None = None
    file: str = ""
    line: int = 0
    params: list[str] | None = None
    many: int = 0
    in_transaction: bool = False
    function: str = ""
    error: str | None = None


class TemplateRender(msgspec.Struct):
    """One template rendered; nesting is that of its span. ``relation``: how the outer one came to it."""

    span: int
    name: str
    engine: str = "django"
    context_keys: list[str] = []
    relation: Literal["render", "include", "extends", "import"] = "render"
    file: str = ""


class CacheCall(msgspec.Struct):
    """One call of a cache backend. ``hit`` None where the operation has no hit or miss."""

    span: int
    alias: str
    operation: str
    key: str = ""
    hit: bool | None = None
    file: str = ""
    line: int = 0


class LogLine(msgspec.Struct):
    """One line logged while the request ran; ``span`` the span it was logged in, if any."""

    span: int | None
    at_ns: int
    level: str
    logger: str
    message: str
    file: str = ""
    line: int = 0


class ExceptionInfo(msgspec.Struct):
    """The first exception that reached a boundary. ``frames`` outermost first.

    ``raised_in``/``rescued_by``: a layer id (with ``.process_view`` etc. for a hook), ``view``, ``resolver``, ``render``,
    ``stream`` (while a streaming response was sent) or ``django`` (the boundary between two layers made the response).
    ``chain``: causes, ``Type: message``, newest first; ``chain_frames``: the frames of each.
    """

    type: str
    message: str
    frames: list[Frame] = []
    raised_in: str = ""
    rescued_by: str | None = None
    chain: list[str] = []
    chain_frames: list[list[Frame]] = []


class Dropped(msgspec.Struct):
    """What was cut to keep the record bounded, counted."""

    events: int = 0
    changes: int = 0
    queries: int = 0


class RequestRecord(msgspec.Struct):
    """The whole account of one request."""

    id: str
    seq: int
    state: State
    started_at: str
    duration_ns: int
    own_cost_ns: int = 0
    server: Server = msgspec.field(default_factory=Server)
    request: Request = msgspec.field(default_factory=Request)
    response: Response | None = None
    route: Route | None = None
    tried: list[str] = []
    view: View | None = None
    layers: list[Layer] = []
    spans: list[Span] = []
    queries: list[Query] = []
    templates: list[TemplateRender] = []
    cache_calls: list[CacheCall] = []
    logs: list[LogLine] = []
    exception: ExceptionInfo | None = None
    toggles: list[str] = []
    dropped: Dropped = msgspec.field(default_factory=Dropped)
    core_changes: list[Change] = []
    not_used: list["NotUsed"] = []
    faults: list[str] = []


class Segments(msgspec.Struct, array_like=True, gc=False):
    """The bar of a list row: nanoseconds in middleware (hops included), resolver and hooks, view, templates."""

    layers: int = 0
    resolver: int = 0
    view: int = 0
    templates: int = 0


class Summary(msgspec.Struct, gc=False):
    """One row of the list. ``note`` says what is special (``SessionMiddleware answered``); ``layer_now``/``where``: only
    while it runs, the layer id it is in and the source line where it stands; ``deepest`` is the index of the innermost
    layer reached (the number of layers when the core was), ``plan_id`` its chain. ``began``: on the first row of a
    process, the source files changed since the process before it; None on all others.

    Rows wait in hundreds to be written: plain data, which Python's collector need not know of."""

    id: str
    seq: int = 0
    state: State = "finished"
    started_at: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    status: int | None = None
    duration_ns: int = 0
    view: str = ""
    route: str = ""
    query_count: int = 0
    template_count: int = 0
    segments: Segments = msgspec.field(default_factory=Segments)
    answered_by: str | None = None
    exception: str | None = None
    note: str = ""
    pid: int = 0
    process: str = ""
    interface: Literal["wsgi", "asgi"] = "wsgi"
    plan_id: str = ""
    deepest: int = 0
    toggles: tuple[str, ...] = ()
    layer_now: str | None = None
    where: str | None = None
    began: list[str] | None = None


class NotUsed(msgspec.Struct, frozen=True):
    """An entry of ``MIDDLEWARE`` that took itself out with ``MiddlewareNotUsed``, and what it said."""

    path: str
    message: str = ""


class PlanLayer(msgspec.Struct):
    """One layer of a loaded chain. ``import_ns``/``construct_ns``: what its import (0: it was imported before)
    and its factory call took."""

    index: int
    id: str
    path: str
    name: str
    mode: Mode = "sync"
    runs: Literal["sync", "async"] = "sync"
    hooks: list[str] = []
    kind: Literal["class", "function"] = "class"
    file: str = ""
    line: int = 0
    hop_before: bool = False
    inner_hops: int = 0
    import_ns: int = 0
    construct_ns: int = 0


class Plan(msgspec.Struct):
    """What one loaded chain looks like. ``id`` is a digest of the content, so equal chains of several processes share it.

    ``hook_order`` gives, for each kind of hook, the layer indexes in the order in which Django calls them.
    """

    id: str
    interface: Literal["wsgi", "asgi"]
    layers: list[PlanLayer]
    not_used: list[NotUsed] = []
    hook_order: dict[str, list[int]] = {}
    core_hop: bool = False
    top_hop: bool = False
    loaded_at: str = ""
    software: str = ""
    call_path: list[Frame] = []


class Sealed(msgspec.Struct, gc=False):
    """What a store keeps of one request: the row, the packed tape, and the id of its plan."""

    summary: Summary
    payload: bytes
    plan_id: str = ""


class Process(msgspec.Struct):
    """One process that serves or served the site, for the start-up page and the restart marks of the list.

    ``path`` holds, for each of three moments (``apps ready``, ``chain loaded``, ``first request``), the call stack then,
    outermost frame first. ``apps``: name, nanoseconds of importing its models and of ``ready()``; ``layers``: path,
    nanoseconds of import and of construction; 0 is what could not be seen, or was done before. ``changed_files``:
    sources newer than the process before it.
    """

    id: str
    pid: int
    started_at: str
    interface: str = ""
    software: str = ""
    settings_module: str = ""
    reloader: bool = False
    argv: list[str] = []
    python: str = ""
    django: str = ""
    moments: list[Stage] = []
    path: dict[str, list[Frame]] = {}
    apps: list[tuple[str, int, int]] = []
    layers: list[tuple[str, int, int]] = []
    changed_files: list[str] = []


def to_json(value: Any) -> bytes:
    """UTF-8 JSON of any struct of this module, or of lists and dicts of them."""
    return msgspec.json.encode(value)


def from_json(data: bytes, kind: type[Any]) -> Any:
    """The ``kind`` held in ``data``; raises ``msgspec.ValidationError`` when it is not one."""
    return msgspec.json.decode(data, type=kind)
