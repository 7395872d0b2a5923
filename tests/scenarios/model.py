"""Django's documented order as a few lines of plain Python: what a chain of made layers must do with one request.

Middleware run from the outermost in, then out again; ``process_view`` from the outermost in; ``process_exception`` and
``process_template_response`` from the innermost out; an exception becomes a response between two layers.
"""

from dataclasses import dataclass, field

from tests.scenarios.made import ANSWERED, RESCUED, Spec

Way = list[tuple[str, str]]


class _Error(Exception):
    def __init__(self, where: str) -> None:
        self.where = where


@dataclass
class Expected:
    """What must come out. ``way``: kind and name of each step, in order."""

    status: int = 0
    way: Way = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    raised_in: str | None = None
    rescued_by: str | None = None


VIEWS = {
    "/": ("plain", 200),
    "/async/": ("plain_async", 200),
    "/class/": ("Classy.get", 200),
    "/template/": ("template", 200),
    "/broken/": ("broken", 500),
    "/broken-async/": ("broken_async", 500),
    "/broken-render/": ("", 500),
}


class Model:
    """One request for ``path`` through ``specs`` (outermost first) with the layers named in ``off`` switched off."""

    def __init__(self, specs: list[Spec], path: str, off: frozenset[str] = frozenset()) -> None:
        self.specs = [spec for spec in specs if spec.name not in off]
        self.path = path
        self.expected = Expected(outcomes=dict.fromkeys((s.name for s in specs), "not_reached"))
        self.expected.outcomes.update(dict.fromkeys(off, "off"))
        self._converted = False

    def run(self) -> Expected:
        """What must come out."""
        self.expected.status = self._layer(0)
        return self.expected

    def _layer(self, number: int) -> int:
        if number == len(self.specs):
            return self._core()
        spec, out = self.specs[number], self.expected
        out.way.append(("layer_in", spec.name))
        out.outcomes[spec.name] = "passed"
        if spec.act == "raise_in":
            return self._raised(spec)
        if spec.act == "answer":
            out.outcomes[spec.name] = "answered"
            return ANSWERED
        status = self._layer(number + 1)
        out.way.append(("layer_out", spec.name))
        if spec.act == "raise_out":
            return self._raised(spec)
        if spec.act == "rescue_own" and status == 500:
            out.outcomes[spec.name] = "rescued"
            return RESCUED
        return status

    def _raised(self, spec: Spec) -> int:
        self.expected.outcomes[spec.name] = "raised"
        return self._convert(spec.path)

    def _convert(self, where: str) -> int:
        out = self.expected
        if out.raised_in is None:
            out.raised_in = where
        if out.rescued_by is None:
            out.rescued_by = "django"
        return 500

    def _core(self) -> int:
        try:
            return self._inside()
        except _Error as error:
            return self._convert(error.where)

    def _inside(self) -> int:
        out = self.expected
        out.way.append(("resolve", "URL resolver"))
        for spec in self._with("process_view"):
            out.way.append(("hook", f"{spec.name}.process_view"))
            if spec.act == "raise_view":
                out.outcomes[spec.name] = "raised"
                raise _Error(f"{spec.path}.process_view")
            if spec.act == "answer_view":
                out.outcomes[spec.name] = "answered"
                return ANSWERED
        view, status = VIEWS[self.path]
        out.way.append(("view", view or "broken_render"))
        if view.startswith("broken"):
            return self._exception("view")
        if view and view != "template":
            return status
        for spec in reversed(list(self._with("process_template_response"))):
            out.way.append(("hook", f"{spec.name}.process_template_response"))
            if spec.act == "raise_template":
                out.outcomes[spec.name] = "raised"
                raise _Error(f"{spec.path}.process_template_response")
        out.way.append(("render", "render"))
        return status if view else self._exception("render")

    def _exception(self, where: str) -> int:
        out = self.expected
        out.raised_in = where
        for spec in reversed(list(self._with("process_exception"))):
            out.way.append(("hook", f"{spec.name}.process_exception"))
            if spec.act == "raise_exception":
                out.outcomes[spec.name] = "raised"
                raise _Error(f"{spec.path}.process_exception")
            if spec.act == "rescue_exception":
                out.outcomes[spec.name] = "rescued"
                out.rescued_by = f"{spec.path}.process_exception"
                return RESCUED
        raise _Error(where)

    def _with(self, hook: str) -> list[Spec]:
        return [spec for spec in self.specs if hook in spec.hooks and not _missing(spec, hook)]


def _missing(spec: Spec, hook: str) -> bool:
    return spec.kind == "function" and hook == "process_template_response"
