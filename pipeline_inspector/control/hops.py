"""Django's rule for adapting a chain, run on paper: how many thread switches an order of layers makes."""

from collections.abc import Sequence
from typing import Literal

from pipeline_inspector.records import Plan, PlanLayer

Runs = Literal["sync", "async"]

_MIXIN_HOOKS = ("process_request", "process_response")


def adapted(layers: Sequence[PlanLayer], interface: str) -> list[Runs]:
    """How Django would run each of ``layers`` (outermost first): from the innermost outward, sync when what is below is
    sync and the layer can be, else async when it can be."""
    below: Runs = "async" if interface == "asgi" else "sync"
    found: list[Runs] = []
    for layer in reversed(layers):
        stays = below == "sync" and layer.mode != "async"
        below = "sync" if stays or layer.mode == "sync" else "async"
        found.append(below)
    return found[::-1]


def hops(layers: Sequence[PlanLayer], interface: str) -> int:
    """Thread switches that the layers make for one request that passes: those between two layers of unlike mode, those at
    the top and at the core, and those inside a layer that runs its sync hooks from the event loop."""
    home: Runs = "async" if interface == "asgi" else "sync"
    runs = adapted(layers, interface)
    between = sum(outer != inner for outer, inner in zip([home, *runs], [*runs, home], strict=True))
    inside = sum(_inside(layer) for layer, mode in zip(layers, runs, strict=True) if mode == "async")
    return between + inside


def known(plan: Plan) -> bool:
    """Does the rule give for ``plan`` what Django really did? Where it does not, nothing can be foretold."""
    return adapted(plan.layers, plan.interface) == [layer.runs for layer in plan.layers]


def _inside(layer: PlanLayer) -> int:
    """Switches inside ``layer`` when it runs async: as seen, or, if it ran sync, one for each sync hook of a layer that can
    be both."""
    if layer.runs == "async":
        return layer.inner_hops
    return sum(hook in layer.hooks for hook in _MIXIN_HOOKS) if layer.mode == "both" else 0
