"""The face with its other pages: Pipeline, Compare, Start-up, and the refusal of who may not look."""

from pipeline_inspector.control.advice import advise
from pipeline_inspector.page.access import Verdict
from pipeline_inspector.page.denied import as_page
from pipeline_inspector.page.panels import compare_page, pipeline_page, startup_page
from pipeline_inspector.readings.statistics import statistics
from pipeline_inspector.records import Plan
from tests import samples
from tests.browser.face import BASE, Face


class Pages(Face):
    """The face with its other pages: thirteen layers under ASGI."""

    empty = False
    refusal = as_page(Verdict(False, "172.17.0.1", "shop.example.org:8000", "address"))

    def policy(self, path: str, host: str) -> str:
        if path.endswith("/denied/"):
            return self.refusal.headers["Content-Security-Policy"]
        return super().policy(path, host)

    def get(self, path: str, query: dict[str, str], *, partial: bool) -> tuple[int, str, str]:
        kept = [] if self.empty else list(self.records.values())
        if path == "pipeline/":
            return 200, "text/html", self._pipeline()
        if path == "compare/":
            a, b = self.records.get(query.get("a", "")), self.records.get(query.get("b", ""))
            return 200, "text/html", compare_page(a, b, BASE, [samples.summary(record) for record in kept])
        if path == "startup/":
            processes = [] if self.empty else [samples.process(4121, "asgi"), samples.process(4119)]
            return 200, "text/html", startup_page(processes, BASE)
        if path == "denied/":
            return 403, "text/html", self.refusal.text
        return super().get(path, query, partial=partial)

    def _pipeline(self) -> str:
        if self.empty:
            return pipeline_page(None, frozenset(), None, [], BASE)
        plan, off = self.chain_of_page(), frozenset(self.off)
        numbers = statistics(list(self.records.values()) * 10)
        findings = advise(plan, off, numbers)
        return pipeline_page(plan, off, numbers, findings, BASE, csrf_token="token-of-the-page")

    def chain_of_page(self) -> Plan:
        """What the page on the pipeline shows."""
        return samples.plan(13, "asgi")


def one_of_each() -> Pages:
    """A site that kept one request of every kind, through thirteen layers."""
    records = [samples.record(kind, 13, seq=seq) for seq, kind in enumerate(samples.KINDS, 1)]
    return Pages(records, 13)
