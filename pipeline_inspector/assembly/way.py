"""The way through the chain and the core, laid out in time: layers with their outcome and self time, and the spans.

What a layer spent is what lies between its own stamps and those of the next reached layer inside it, less the hop on that
boundary; inside the core each stage begins where the one before it ended. So everything adds up to the duration.
"""

from typing import Any, NamedTuple

from pipeline_inspector.packed import NEVER, SKIPPED, Packed
from pipeline_inspector.records import Layer, Outcome, Plan, Span, SpanKind, State


class Item(NamedTuple):
    """A stage of the core before it is tiled."""

    kind: SpanKind
    name: str
    layer: int | None
    start: int
    end: int
    thread: int


class Way:
    """``layers`` (outermost first) and ``spans`` of one packed tape; ``end`` is its duration in nanoseconds."""

    def __init__(self, tape: Packed, plan: Plan, state: State) -> None:
        self.tape = tape
        self.plan = plan
        self.state = state
        self.entries, self.exits = tape.entries, tape.exits
        self.count = len(plan.layers) or len(tape.entries) - 1
        self.spans: list[Span] = []
        self.end = tape.end if tape.end != NEVER else max(tape.closed, tape.finished, 0)
        self.layers = self._named_layers()
        self.reached = [p for p in range(len(self.entries) - 1, -1, -1) if self.entries[p] >= 0]
        self._outcomes()
        self._times()

    def layer(self, position: int) -> Layer | None:
        """The layer at ``position``, counted from the inside; None for the core and for unnamed layers."""
        index = self.count - position
        return self.layers[index] if position and 0 <= index < len(self.layers) else None

    def add(
        self,
        kind: SpanKind,
        name: str,
        layer: int | None,
        start: int,
        length: int,
        thread: int = -1,
        parent: int | None = None,
    ) -> int:
        """Add a span and give its id. ``thread`` is a number of the tape's, -1: the thread it began in."""
        threads = self.tape.threads
        told = threads[thread if 0 <= thread < len(threads) else 0]
        self.spans.append(Span(len(self.spans) + 1, parent, kind, name, layer, start, length, told))
        return len(self.spans)

    def _named_layers(self) -> list[Layer]:
        return [
            Layer(
                index=layer.index,
                id=layer.id,
                path=layer.path,
                mode=layer.mode,
                hooks=layer.hooks,
                name=layer.name,
                runs=layer.runs,
                hops=layer.inner_hops + (2 if layer.hop_before else 0),
                file=layer.file,
                line=layer.line,
                kind=layer.kind,
            )
            for layer in self.plan.layers
        ]

    def _outcomes(self) -> None:
        for position in range(1, len(self.entries)):
            layer = self.layer(position)
            if layer is not None:
                layer.enabled = self.entries[position] != SKIPPED
                layer.outcome = self._outcome(position)
        for error in self.tape.errors:
            if error.rescued_by is not None and error.rescued_by[0].startswith(("hook:", "layer")):
                self._mark(error.rescued_by[1], "rescued")
        for position in self._replaced_an_error():
            self._mark(position, "rescued")

    def _mark(self, position: int, outcome: Outcome) -> None:
        layer = self.layer(position)
        if layer is not None:
            layer.outcome = outcome

    def _outcome(self, position: int) -> Outcome:
        if self.entries[position] == SKIPPED:
            return "off"
        if self.entries[position] == NEVER:
            return "not_reached"
        if any(error.where[1] == position for error in self.tape.errors):
            return "raised"
        if any(hook[3] == position and hook[4] == "process_view" and hook[5] for hook in self.tape.hooks):
            return "answered"
        if position == self.reached[-1] and self.exits[position] != NEVER and self.state != "aborted":
            return "answered"
        return "passed"

    def _replaced_an_error(self) -> list[int]:
        """The positions of layers whose own code made a better answer of what Django made of an exception further in."""
        converted = [e.rescued_by[1] for e in self.tape.errors if e.rescued_by and e.rescued_by[0] == "django"]
        if not converted:
            return []
        return [
            position
            for position, _, what, _, _, before, after in self.tape.changes
            if what == "status" and position > min(converted) and _is_better(after, before)
        ]

    def _times(self) -> None:
        if not self.reached:
            return
        end = self.end
        first = self.reached[0]
        top_in = self.entries[first] if self.plan.top_hop else 0
        top_out = end - self._exit(first) if self.plan.top_hop else 0
        self._hop(first, 0, top_in, self._exit(first), top_out)
        entered, left = top_in, end - top_out
        for outer, inner in zip(self.reached, [*self.reached[1:], None], strict=True):
            if outer == 0:
                self._core(entered, left)
                return
            if inner is None:
                self._self_time(outer, entered, left, left, left)
                return
            hop_start, hop_end = self._hop_between(outer, inner)
            inner_in, inner_out = self.entries[inner], self._exit(inner)
            self._self_time(outer, entered, hop_start, hop_end, left)
            self._hop(inner, hop_start, inner_in - hop_start, inner_out, hop_end - inner_out)
            entered, left = inner_in, inner_out

    def _exit(self, position: int) -> int:
        left = self.exits[position]
        return left if left != NEVER else max(self.end, self.entries[position])

    def _hop_between(self, outer: int, inner: int) -> tuple[int, int]:
        hops, count = self.tape.hops, len(self.entries)
        for position in range(outer - 1, inner - 1, -1) if hops else ():
            if hops[position] != NEVER:
                ended = hops[count + position]
                return hops[position], ended if ended != NEVER else self._exit(inner)
        return self.entries[inner], self._exit(inner)

    def _self_time(self, position: int, entered: int, called: int, returned: int, left: int) -> None:
        layer = self.layer(position)
        index = None if layer is None else layer.index
        name = "" if layer is None else layer.name
        if layer is not None:
            layer.in_ns, layer.out_ns = called - entered, left - returned
        self.add("layer_in", name, index, entered, called - entered)
        if left > returned:
            self.add("layer_out", name, index, returned, left - returned)

    def _hop(self, position: int, start: int, length: int, back: int, back_length: int) -> None:
        layer = self.layer(position)
        index = None if layer is None else layer.index
        if layer is not None:
            layer.hop_ns += length + back_length
        if length:
            self.add("hop", "to thread or loop", index, start, length)
        if back_length:
            self.add("hop", "back", index, back, back_length)

    def _core(self, entered: int, left: int) -> None:
        cursor = entered
        items = self._core_items()
        for number, item in enumerate(items):
            end = left if number == len(items) - 1 else min(max(item.end, cursor), left)
            self.add(item.kind, item.name, item.layer, cursor, end - cursor, item.thread)
            cursor = end

    def _core_items(self) -> list[Item]:
        tape = self.tape
        items: list[Item] = []
        if NEVER not in (tape.resolve_start, tape.resolve_end):
            items.append(Item("resolve", "URL resolver", None, tape.resolve_start, tape.resolve_end, -1))
        for start, end, thread, position, name, _, inner_start, inner_end, _ in tape.hooks:
            layer = self.layer(position)
            told = f"{layer.name if layer else position}.{name}"
            index = layer.index if layer else None
            if inner_start != NEVER and inner_end != NEVER:
                items.append(Item("hop", f"to {told}", None, start, inner_start, thread))
                items.append(Item("hook", told, index, inner_start, inner_end, thread))
                items.append(Item("hop", f"back from {told}", None, inner_end, end, thread))
            else:
                items.append(Item("hook", told, index, start, end, thread))
        items += self._view_items()
        asgi = tape.server.interface == "asgi"
        for start, end, thread in tape.renders:
            if tape.view is None or tape.view_start == NEVER or not tape.view_start <= start <= tape.view_end:
                if asgi:
                    items.append(Item("hop", "to render", None, start, start, thread))
                items.append(Item("render", "render", None, start, end, thread))
                if asgi:
                    items.append(Item("hop", "back from render", None, end, end, thread))
        for error in tape.errors:
            if error.rescued_by == ("django", 0):
                items.append(Item("render", f"response for {error.type}", None, error.rescued_at, self._exit(0), -1))
        items.sort(key=lambda item: item.start)
        return self._stretched(items)

    def _view_items(self) -> list[Item]:
        tape, view = self.tape, self.tape.view
        if view is None or tape.view_start == NEVER:
            return []
        start, end = tape.view_start, tape.view_end if tape.view_end != NEVER else self.end
        name = view.name.rpartition(".")[2] + (f".{view.method}" if view.method else "")
        item = Item("view", name, None, start, end, tape.view_thread)
        if view.is_async == (tape.server.interface == "asgi"):
            return [item]
        return [
            Item("hop", "to the view", None, tape.view_made, start, tape.view_thread),
            item,
            Item("hop", "back from the view", None, end, end, tape.view_thread),
        ]

    @staticmethod
    def _stretched(items: list[Item]) -> list[Item]:
        """A hop of no length reaches to its neighbour: the switch back ends where the next stage begins."""
        done: list[Item] = []
        for number, item in enumerate(items):
            following = items[number + 1].start if number + 1 < len(items) else None
            stretch = item.kind == "hop" and following is not None and following > item.end
            done.append(item._replace(end=following) if stretch and following is not None else item)
        return done


def _is_better(after: Any, before: Any) -> bool:
    return bool(after and before) and any(after < limit <= before for limit in ("400", "500"))
