"""What is measured: the bare site, the floor, this inspector and four others, each with a sink that goes nowhere.

A tool is a change to the settings and something to do before the handler is made.
Nothing here is imported before it is used.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tool:
    """One column of the tables: ``apps`` and ``layers`` come first in the settings, ``start`` runs before the handler."""

    name: str
    records: str
    apps: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    start: Callable[[], None] = lambda: None


STAMPS: list[int] = []


def _floor() -> None:
    """Two stamps around each layer, appended to a list that is emptied now and then; nothing else."""
    from django.core.handlers import base as handlers

    base: Any = handlers
    convert = base.convert_exception_to_response
    now, stamps = time.perf_counter_ns, STAMPS

    def stamped(get_response: Any) -> Any:
        from asgiref.sync import iscoroutinefunction

        called = convert(get_response)
        if iscoroutinefunction(get_response):

            async def around(request: Any) -> Any:
                stamps.append(now())
                response = await called(request)
                stamps.append(now())
                return response

            return around

        def beside(request: Any) -> Any:
            stamps.append(now())
            response = called(request)
            stamps.append(now())
            if len(stamps) > 10_000:
                stamps.clear()
            return response

        return beside

    base.convert_exception_to_response = stamped


def _sentry() -> None:
    import sentry_sdk
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            pass

    sentry_sdk.init(
        dsn="https://key@example.invalid/1",
        transport=Nowhere,
        traces_sample_rate=1.0,
        integrations=[DjangoIntegration(middleware_spans=True, signals_spans=True)],
    )


def _opentelemetry() -> None:
    from opentelemetry import trace
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("bare", "nothing"),
        Tool("floor", "two stamps per layer in a list: the least that anything could cost", start=_floor),
        Tool(
            "inspector",
            "every layer in and out with what it changed, hooks, resolver, view, queries with their line, templates, "
            "cache, logs, exceptions, headers; kept in a file, secrets hidden",
            apps=("pipeline_inspector",),
        ),
        Tool(
            "debug-toolbar",
            "queries, templates, headers, signals of one request; no layers; shown in HTML pages",
            apps=("debug_toolbar",),
            layers=("debug_toolbar.middleware.DebugToolbarMiddleware",),
            settings={"DEBUG_TOOLBAR_CONFIG": {"SHOW_TOOLBAR_CALLBACK": "benchmarks.tools.always"}},
        ),
        Tool(
            "silk",
            "request, response and queries in the site's database; no layers",
            apps=("silk",),
            layers=("silk.middleware.SilkyMiddleware",),
        ),
        Tool("sentry", "a span per layer, hook, view, query and template; no changes", start=_sentry),
        Tool(
            "opentelemetry",
            "one span per request; no layers",
            layers=("opentelemetry.instrumentation.django.middleware.otel_middleware._DjangoMiddleware",),
            start=_opentelemetry,
        ),
    )
}


def always(_request: Any) -> bool:
    """Show the toolbar."""
    return True
