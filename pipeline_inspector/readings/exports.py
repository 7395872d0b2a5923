"""The table of exports: a record in formats that other tools open."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline_inspector.readings.chrome_trace import chrome_trace
from pipeline_inspector.readings.har import har
from pipeline_inspector.readings.report import report
from pipeline_inspector.records import RequestRecord, to_json


@dataclass(frozen=True)
class Export:
    """One format: its media type, the ending of its files, and the function that writes it."""

    content_type: str
    extension: str
    render: Callable[[RequestRecord], bytes]


EXPORTS: dict[str, Export] = {
    "chrome-trace": Export("application/json", "trace.json", chrome_trace),
    "har": Export("application/json", "har", har),
    "html": Export("text/html; charset=utf-8", "html", report),
    "json": Export("application/json", "json", to_json),
}
