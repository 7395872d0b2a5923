"""The chain as it stands now: its layers with their switches for the browser that asks, statistics and advice."""

import re
from typing import Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest

from pipeline_inspector.control import toggles
from pipeline_inspector.control.advice import Finding, advise
from pipeline_inspector.page import fragments
from pipeline_inspector.page.responses import Refused
from pipeline_inspector.page.source import base
from pipeline_inspector.reader import Reader
from pipeline_inspector.readings.statistics import Statistics
from pipeline_inspector.records import NotUsed, Plan, PlanLayer, RequestRecord

Who = Literal["everyone", "me"]
"""Whose requests a switch is for."""

SAMPLE = 40
"""So many of the newest requests make up the medians beside the switches, which every page draws."""

_TOKEN = re.compile(r"[\w-]{16,64}", re.ASCII)


class SwitchedLayer(PlanLayer, kw_only=True):
    """A layer of the chain; ``enabled`` for the browser that asks, ``off_for`` tells by whose switch it is off."""

    enabled: bool = True
    off_for: Who | None = None


class Pipeline(msgspec.Struct):
    """What ``GET pipeline/`` answers."""

    layers: list[SwitchedLayer] = []
    not_used: list[NotUsed] = []
    findings: list[Finding] = []
    statistics: Statistics = msgspec.field(default_factory=Statistics)
    interface: str | None = None
    plan_id: str | None = None


def browser_of(request: HttpRequest) -> str | None:
    """The token by which the browser's own switches are kept, when it sent a well-formed one."""
    token = request.COOKIES.get(toggles.COOKIE, "")
    return token if _TOKEN.fullmatch(token) else None


def pipeline(reader: Reader, browser: str | None) -> Pipeline:
    """The chain that the site loaded last, as that browser's requests go through it."""
    plan = reader.newest_plan()
    if plan is None:
        return Pipeline()
    statistics = reader.statistics()
    return Pipeline(
        layers=switched(reader, plan, browser),
        not_used=plan.not_used,
        findings=findings(reader, plan, browser, statistics),
        statistics=statistics,
        interface=plan.interface,
        plan_id=plan.id,
    )


def findings(reader: Reader, plan: Plan, browser: str | None, statistics: Statistics) -> list[Finding]:
    """What there is to say about the order of ``plan``, its switches, and what the layers did in many requests."""
    off = toggles.off_for(reader.store.control(), browser)
    return advise(plan, off, statistics, csrf_use_sessions=settings.CSRF_USE_SESSIONS)


def switched(reader: Reader, plan: Plan, browser: str | None) -> list[SwitchedLayer]:
    """The layers of ``plan`` with their switches."""
    state = reader.store.control()
    mine = toggles.off_for(state, browser)
    return [
        SwitchedLayer(
            **msgspec.structs.asdict(layer),
            enabled=layer.id not in mine,
            off_for="everyone" if layer.id in state.off else "me" if layer.id in mine else None,
        )
        for layer in plan.layers
    ]


def switches(reader: Reader, browser: str | None) -> tuple[frozenset[str], frozenset[str]]:
    """The ids of the layers that are off for that browser, and those of them that are off for it alone."""
    state = reader.store.control()
    off = toggles.off_for(state, browser)
    return off, off - frozenset(state.off)


def drawn(
    request: HttpRequest,
    reader: Reader,
    record: RequestRecord | None = None,
    *,
    browser: str | None = None,
    scope: Who = "everyone",
    oob: bool = False,
) -> str:
    """The chain with its switches as a piece of the page, for ``browser`` or the one that sent ``request``."""
    off, mine = switches(reader, browser or browser_of(request))
    return fragments.chain(
        reader.newest_plan(),
        off,
        base(request),
        record,
        None if record else reader.statistics(SAMPLE),
        scope,
        mine=mine,
        oob=oob,
    )


def find_layer(reader: Reader, name: str) -> str:
    """The id of the layer meant by ``name``. Raises ``Refused``: 404 when there is none, 409 when there are several."""
    plan = reader.newest_plan()
    known = [layer.id for layer in plan.layers] if plan else []
    try:
        return toggles.resolve(name, known)
    except toggles.UnknownLayer as error:
        several = [layer_id for layer_id in known if layer_id.rpartition(".")[2] == name]
        status, code = (409, "ambiguous") if len(several) > 1 else (404, "unknown_layer")
        raise Refused(status, code, str(error)[:2000]) from error
