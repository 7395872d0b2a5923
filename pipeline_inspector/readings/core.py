"""The core of the onion: resolver and hook bands around the view, with what there is to say about each."""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline_inspector.readings.way import CORE_EDGE, figure, half_path, reached_core
from pipeline_inspector.records import RequestRecord, Span

State = Literal["reached", "not_reached", "raised", "running"]

_IN_HOOKS = {"process_view": "process_view"}
_OUT_HOOKS = {"process_exception": "exception hook", "process_template_response": "template hook"}


@dataclass(frozen=True, slots=True)
class Band:
    """What ran in one half of one band: ``label`` (``process_view``, twice), its time, the arc its text follows."""

    kind: Literal["resolver", "hooks", "render"]
    side: Literal["in", "out"]
    label: str
    ns: int
    inner: float
    outer: float
    text_path: str
    path: str

    @property
    def figure(self) -> str:
        """Its time as it stands in the band, in milliseconds."""
        return figure(self.ns)


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text cut and sized to fit its room."""

    text: str
    size: float


def fitted(text: str, size: float, room: float) -> Words:
    """``text`` in letters of ``size`` units, smaller where the room is narrow, cut where even that would not do."""
    wide = LETTER * max(len(text), 1)
    if wide * size <= room:
        return Words(text, size)
    least = min(size, SMALLEST)
    if wide * least <= room:
        return Words(text, round(room / wide, 1))
    return Words(text[: int(room / (LETTER * least)) - 1] + "…", least)


LETTER = 0.69
"""Width of a letter of a bold sans-serif, generously, as a part of its size."""

SMALLEST = 10.5
"""Letters are never smaller than this."""


@dataclass(frozen=True, slots=True)
class Core:
    """``radius`` of the whole, ``view_radius`` of the view's circle; three lines of text, the middle one large."""

    radius: float
    view_radius: float
    bands: list[Band]
    state: State
    title: str
    figure: str
    note: str
    ns: int | None

    def words(self, text: str, size: float, lift: float) -> Words:
        """``text`` as it fits into the view's circle at a height of ``lift`` above the centre."""
        radius = self.view_radius / self.scale
        return fitted(text, size, 1.9 * math.sqrt(radius**2 - lift**2))

    @property
    def scale(self) -> float:
        """How much larger than in a usual onion the words may be."""
        return min(1.8, max(1.0, self.radius / 140))


def core_of(record: RequestRecord, radius: float, centre: tuple[float, float]) -> Core:
    """The core of ``record`` within ``radius`` around ``centre``."""
    state = _state(record)
    view_ns = sum(span.duration_ns for span in record.spans if span.kind == "view")
    return Core(
        radius=radius,
        view_radius=radius * CORE_EDGE,
        bands=_bands(record, radius, centre) if state != "not_reached" else [],
        state=state,
        title=_title(record, state),
        figure=_figure(record, state),
        note=_note(record, state),
        ns=view_ns if state == "reached" and record.view is not None else None,
    )


def _state(record: RequestRecord) -> State:
    if not reached_core(record):
        return "not_reached"
    if record.state == "running":
        return "running"
    where = record.exception.raised_in if record.exception else ""
    inside = where and where not in {layer.id for layer in record.layers}
    return "raised" if inside and not _unmatched(record) else "reached"


def _unmatched(record: RequestRecord) -> bool:
    """Did no pattern match the path?"""
    return record.view is None and bool(record.tried)


def view_name(record: RequestRecord) -> str:
    """The view as one says it: ``ArticleList.get``, ``feed``; empty when there is none."""
    if record.view is None:
        return ""
    name = record.view.name.rpartition(".")[2]
    return f"{name}.{record.view.method}" if record.view.method else name


def _title(record: RequestRecord, state: State) -> str:
    if state == "not_reached":
        return "not reached yet" if record.state == "running" else "not reached"
    return view_name(record) or ("no match" if _unmatched(record) else "core")


def _figure(record: RequestRecord, state: State) -> str:
    if state == "raised" and record.exception:
        return record.exception.type.rpartition(".")[2]
    if state == "running":
        return "running"
    answered_so = record.response is not None and record.response.status == 404
    return "404" if state == "reached" and _unmatched(record) and answered_so else ""


def _note(record: RequestRecord, state: State) -> str:
    if state == "not_reached":
        stopped = next((layer for layer in record.layers if layer.outcome in ("answered", "raised")), None)
        return f"{(stopped.name or stopped.path).removesuffix('Middleware')} {stopped.outcome}" if stopped else ""
    if state == "raised" and record.exception and record.exception.frames:
        frame = record.exception.frames[-1]
        return f"{frame.file.rpartition('/')[2]}:{frame.line}"
    if _unmatched(record):
        return f"{len(record.tried)} patterns tried"
    return " · ".join(_counted(record))


def _counted(record: RequestRecord) -> list[str]:
    by_id = {span.id: span for span in record.spans}
    inside = [query for query in record.queries if _within_core(by_id.get(query.span), by_id)]
    counts = [(len(inside), "query", "queries"), (len(record.templates), "template", "templates")]
    return [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]


def _within_core(span: Span | None, by_id: dict[int, Span]) -> bool:
    while span is not None:
        if span.kind in ("view", "render", "resolve"):
            return True
        if span.kind in ("layer_in", "layer_out", "hook"):
            return False
        span = by_id.get(span.parent) if span.parent is not None else None
    return False


def _bands(record: RequestRecord, radius: float, centre: tuple[float, float]) -> list[Band]:
    """Two bands of two halves: resolver and render outside, ``process_view`` and the later hooks inside."""
    middle, inner = radius * 0.83, radius * CORE_EDGE
    found = [
        _band("resolver", "in", "resolver", _of(record, "resolve"), (middle, radius), centre),
        _band("render", "out", "render", _of(record, "render"), (middle, radius), centre),
        _band("hooks", "in", *_hooks(record, _IN_HOOKS), (inner, middle), centre),
        _band("hooks", "out", *_hooks(record, _OUT_HOOKS), (inner, middle), centre),
    ]
    return [band for band in found if band is not None]


def _of(record: RequestRecord, kind: str) -> list[Span]:
    return [span for span in record.spans if span.kind == kind]


def _hooks(record: RequestRecord, names: dict[str, str]) -> tuple[str, list[Span]]:
    spans = [span for span in record.spans if span.kind == "hook" and span.name.rpartition(".")[2] in names]
    if not spans:
        return "", []
    label = names[spans[0].name.rpartition(".")[2]]
    return (f"{label} \N{MULTIPLICATION SIGN} {len(spans)}" if len(spans) > 1 else label), spans


def _band(
    kind: Literal["resolver", "hooks", "render"],
    side: Literal["in", "out"],
    label: str,
    spans: list[Span],
    radii: tuple[float, float],
    centre: tuple[float, float],
) -> Band | None:
    if not spans:
        return None
    cx, cy = centre
    base = sum(radii) / 2 - 3.4
    arc = f"M{cx - base:.2f},{cy} A{base:.2f},{base:.2f} 0 0 1 {cx + base:.2f},{cy}"
    outline = half_path(*radii, side, centre)
    return Band(kind, side, label, sum(span.duration_ns for span in spans), *radii, arc, outline)
