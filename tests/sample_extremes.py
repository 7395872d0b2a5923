"""Records at the far end of what a page has to bear: long names, other scripts, many layers, thousands of queries."""

from pipeline_inspector.records import Change, Frame, Plan, Query, RequestRecord, Span, TemplateRender
from tests import samples
from tests.sample_chain import DJANGO, SITE

LONG_NAME = "OrganisationMembershipSubscriptionEntitlementVerificationMiddleware"
LONG_PATH = "/каталог/日本語のページ/" + "a-very-long-slug-without-any-place-to-break/" * 9 + "🧅/العربية/"
HEADERS = 400


def crowded(layers: int = 8, *, seq: int = 1, queries: int = 3000) -> RequestRecord:
    """A request in which everything is too long and too much."""
    record = samples.record("raised", layers, seq=seq, path=LONG_PATH)
    record.id = f"crowded-{layers}-{seq:04d}"
    record.request.method = "PROPFIND"
    record.request.query = "q=" + "%F0%9F%A7%85" * 40
    record.request.headers = [(f"X-Header-Number-{number}", "value " * (number % 30)) for number in range(HEADERS)]
    record.request.headers[3] = ("X-Without-A-Break", "0123456789abcdef" * 120)
    for index, layer in enumerate(record.layers):
        if index % 3 == 1:
            layer.name = f"{LONG_NAME.removesuffix('Middleware')}{index}Middleware"
            layer.path = layer.id = f"shop.organisations.entitlements.middleware.{layer.name}"
    record.layers[-1].changes = [
        Change("response", "header", "Content-Security-Policy", "changed", "default-src 'self' " * 20, "x" * 700),
        Change("request", "attribute", "名前" * 30, "added", None, "значение " * 30),
    ]
    _ask_often(record, queries)
    _raise_deep(record)
    if record.view:
        record.view.name = "shop.organisations.views.OrganisationMembershipSubscriptionEntitlementDetailView"
    record.logs[0].message = "ошибка 日本語 " * 60
    record.templates = [
        TemplateRender(1, "organisations/" + "memberships/" * 12 + "detail.html", file=f"{SITE}/d.html")
    ]
    return record


def _ask_often(record: RequestRecord, queries: int) -> None:
    view = next(span for span in record.spans if span.kind == "view")
    each = view.duration_ns // (queries + 1)
    for number in range(queries):
        span = Span(10_000 + number, view.id, "query", f"SELECT {number}", None, view.start_ns + number * each, each)
        record.spans.append(span)
        sql = f'SELECT "column_{number % 70}" FROM "a_table_with_a_long_name_{number % 70}" WHERE "id" = %s'
        line = 20 + number % 70
        group = 100 + number % 70
        record.queries.append(Query(span.id, sql, rows=number, duplicate_group=group, file=f"{SITE}/m.py", line=line))


def _raise_deep(record: RequestRecord) -> None:
    assert record.exception
    record.exception.type = "shop.organisations.errors.OrganisationMembershipSubscriptionEntitlementMissing"
    record.exception.message = "Ответ не найден: " + "данные_без_пробелов" * 30
    folder = "/".join(["a_folder_with_a_long_name"] * 12)
    record.exception.frames = [
        Frame(f"function_{number}_" + "with_a_long_name_" * 4, f"{DJANGO}/{folder}/{number}.py", number)
        for number in range(60)
    ]
    record.exception.chain = [f"shop.errors.Cause{number}: " + "because " * 30 for number in range(6)]


def plan_of(record: RequestRecord) -> Plan:
    """The chain whose layers have the names of those in ``record``."""
    plan = samples.plan(len(record.layers), record.server.interface)
    for layer, ring in zip(plan.layers, record.layers, strict=True):
        layer.id, layer.path, layer.name = ring.id, ring.path, ring.name
    return plan
