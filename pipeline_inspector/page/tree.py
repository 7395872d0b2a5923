"""The tab Templates: which template extends and includes which, with what each took itself."""

from typing import Any, NamedTuple

from pipeline_inspector.page.formats import percent
from pipeline_inspector.readings.alike import runs
from pipeline_inspector.readings.places import Places
from pipeline_inspector.records import RequestRecord, TemplateRender

TEMPLATES = 200
"""No more rows than this are drawn; what is left out is counted."""


class _Leaf(NamedTuple):
    """One template, or a run of like ones with all that is inside them. ``share``: its own part of all templates' time,
    in percent."""

    template: TemplateRender
    depth: int
    times: int
    ns: int
    self_ns: int
    inside: str
    share: str


class _Node:
    """A template with those rendered inside it."""

    def __init__(self, template: TemplateRender) -> None:
        self.template = template
        self.inside: list[_Node] = []

    def alike(self, other: "_Node") -> bool:
        """Would the two read the same, with all that is inside them?"""
        one, two = self.template, other.template
        if (one.name, one.relation, one.engine) != (two.name, two.relation, two.engine):
            return False
        return len(self.inside) == len(other.inside) and all(
            left.alike(right) for left, right in zip(self.inside, other.inside, strict=True)
        )


def context(record: RequestRecord) -> dict[str, Any]:
    """What the template of the tab needs."""
    places = Places(record)
    roots = _roots(record)
    whole = sum(places.duration(root.template.span) for root in roots)
    found: list[_Leaf] = []
    for run in runs(roots):
        _lay_out(run, 0, places, whole, found)
    costliest = max(found, key=lambda leaf: leaf.self_ns, default=None)
    return {
        "leaves": found[:TEMPLATES],
        "hidden": max(0, len(found) - TEMPLATES),
        "total_ns": whole,
        "costliest": costliest if len(found) > 1 else None,
    }


def _roots(record: RequestRecord) -> list[_Node]:
    """The templates that no other template rendered, the others hung below them."""
    spans = {span.id: span for span in record.spans}
    nodes = {template.span: _Node(template) for template in record.templates}
    roots: list[_Node] = []
    for template in record.templates:
        parent = spans[template.span].parent if template.span in spans else None
        while parent is not None and parent not in nodes:
            parent = spans[parent].parent if parent in spans else None
        (roots if parent is None else nodes[parent].inside).append(nodes[template.span])
    return roots


def _lay_out(run: list[_Node], depth: int, places: Places, whole: int, found: list[_Leaf]) -> None:
    """One row for all of ``run``, and below it one for each run of what they all hold."""
    template = run[0].template
    total = sum(places.duration(node.template.span) for node in run)
    below = sum(places.duration(inner.template.span) for node in run for inner in node.inside)
    own = max(0, total - below)
    outside = places.of(template.span).name if depth == 0 else ""
    share = percent(own / whole if whole else 0)
    found.append(_Leaf(template, min(depth, 16), len(run), total, own, outside, share))
    at = 0
    for likes in runs(run[0].inside):
        _lay_out(
            [inner for node in run for inner in node.inside[at : at + len(likes)]], depth + 1, places, whole, found
        )
        at += len(likes)
