"""Advice: every documented rule speaks when it is broken and keeps silent when it is kept."""

import re
from graphlib import TopologicalSorter

import pytest

from pipeline_inspector.control import rules
from pipeline_inspector.control.advice import ENOUGH, Finding, advise, leaning_on
from pipeline_inspector.control.hops import adapted, hops
from pipeline_inspector.readings.statistics import LayerStatistics, Statistics
from pipeline_inspector.records import NotUsed, Plan, PlanLayer
from tests.samples import plan as sample_plan

STARTPROJECT = [
    rules.SECURITY,
    rules.SESSION,
    rules.COMMON,
    rules.CSRF_VIEW,
    rules.AUTHENTICATION,
    rules.MESSAGE,
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def _plan(*paths: str, interface: str = "wsgi", modes: dict[str, str] | None = None) -> Plan:
    """A chain of ``paths``; an entry may be ``path|mode``."""
    layers, seen = [], {}
    for index, entry in enumerate(paths):
        path, _, mode = entry.partition("|")
        seen[path] = seen.get(path, 0) + 1
        name = path if seen[path] == 1 else f"{path}#{seen[path]}"
        layers.append(PlanLayer(index, name, path, path.rpartition(".")[2], mode=mode or "both"))  # type: ignore[arg-type]
    for layer, runs in zip(layers, adapted(layers, interface), strict=True):
        layer.runs = runs
        layer.inner_hops = 2 if runs == "async" and layer.path.startswith("django.") else 0
    return Plan("p", interface, layers)  # type: ignore[arg-type]


def _told(code: str, findings: list[Finding]) -> list[list[str]]:
    return [finding.layer_ids for finding in findings if finding.code == code]


def test_the_chain_of_startproject_needs_no_advice() -> None:
    assert advise(_plan(*STARTPROJECT)) == []


def test_the_order_that_django_documents_needs_no_advice() -> None:
    documented = [
        rules.SECURITY,
        rules.UPDATE_CACHE,
        rules.GZIP,
        rules.SESSION,
        rules.CONDITIONAL,
        rules.LOCALE,
        rules.COMMON,
        rules.CSRF_VIEW,
        rules.AUTHENTICATION,
        rules.LOGIN_REQUIRED,
        rules.MESSAGE,
        rules.FETCH_CACHE,
        rules.FLATPAGES,
        rules.REDIRECTS,
        rules.CSP,
    ]
    assert advise(_plan(*documented), csrf_use_sessions=True) == []


@pytest.mark.parametrize("rule", rules.ORDER, ids=lambda rule: f"{rule.outer}<{rule.inner}")
def test_each_order_rule_speaks_only_when_it_is_broken(rule: rules.Before) -> None:
    wrong = advise(_plan(rule.inner, rule.outer), csrf_use_sessions=True)
    assert [rule.outer, rule.inner] in _told("order", wrong)
    right = advise(_plan(rule.outer, rule.inner), csrf_use_sessions=True)
    assert [rule.outer, rule.inner] not in _told("order", right)


@pytest.mark.parametrize("rule", rules.ENDS, ids=lambda rule: f"{rule.path}-{rule.end}")
def test_each_end_rule_speaks_only_when_something_stands_beyond(rule: rules.End) -> None:
    stranger = "site.OwnMiddleware"
    wrong, right = (stranger, rule.path), (rule.path, stranger)
    if rule.end == "last":
        wrong, right = right, wrong
    assert [rule.path] in _told(rule.end, advise(_plan(*wrong)))
    assert [rule.path] not in _told(rule.end, advise(_plan(*right)))
    beside = (*rule.beside, rule.path) if rule.end == "first" else (rule.path, *rule.beside)
    assert [rule.path] not in _told(rule.end, advise(_plan(*beside)))


@pytest.mark.parametrize("rule", rules.NEEDS, ids=lambda rule: f"{rule.path}->{rule.needed}")
def test_each_leaning_is_told_when_the_other_is_missing_or_off(rule: rules.Needs) -> None:
    def told(chain: Plan, *off: str) -> list[list[str]]:
        findings = advise(chain, off, csrf_use_sessions=True)
        return [finding.layer_ids for finding in findings if finding.code == "needs" and rule.effect in finding.reason]

    assert [rule.path] in told(_plan(rule.path))
    both = _plan(rule.needed, rule.path)
    assert rule.path not in [ids[0] for ids in told(both)]
    assert [rule.path, rule.needed] in told(both, rule.needed)
    assert rule.path not in [ids[0] for ids in told(both, rule.needed, rule.path)]


@pytest.mark.parametrize("rule", [*rules.ORDER, *rules.ENDS, *rules.NEEDS])
def test_every_rule_links_to_documentation(rule: rules.Before | rules.End | rules.Needs) -> None:
    assert rule.link.startswith("https://")
    if "djangoproject" in rule.link:
        assert re.search(r"/en/stable/.+/#[\w.-]+$", rule.link), "It leads to a whole page, not to a section"


def test_no_rules_speak_against_each_other() -> None:
    inner_of: dict[str, set[str]] = {}
    for rule in rules.ORDER:
        inner_of.setdefault(rule.inner, set()).add(rule.outer)
    chain = list(TopologicalSorter(inner_of).static_order())
    assert _told("order", advise(_plan(*chain), csrf_use_sessions=True)) == []


def test_what_only_holds_with_csrf_tokens_in_the_session_is_told_only_then() -> None:
    chain = _plan(rules.CSRF_VIEW, rules.SESSION)
    assert _told("order", advise(chain)) == []
    assert _told("order", advise(chain, csrf_use_sessions=True)) == [[rules.SESSION, rules.CSRF_VIEW]]


def test_a_layer_of_the_sites_own_by_that_name_counts_as_the_needed_one() -> None:
    assert _told("needs", advise(_plan("site.auth.QuickSessionMiddleware", rules.AUTHENTICATION))) == []


def test_what_leans_on_a_layer_is_known_before_it_is_switched_off() -> None:
    chain = _plan(*STARTPROJECT)
    told = leaning_on(chain, rules.SESSION)
    assert [finding.layer_ids[0] for finding in told] == [rules.AUTHENTICATION, rules.MESSAGE]
    assert leaning_on(chain, rules.COMMON) == []
    assert leaning_on(chain, rules.SESSION, off=[rules.AUTHENTICATION, rules.MESSAGE]) == []


def test_a_layer_listed_twice_is_told_with_both_ids() -> None:
    assert _told("duplicate", advise(_plan("site.A", "site.B", "site.A"))) == [["site.A", "site.A#2"]]


def test_an_entry_that_took_itself_out_is_told_with_what_it_said() -> None:
    chain = _plan("site.A")
    chain.not_used = [NotUsed("site.debug.Banner", "only on Mondays")]
    assert "only on Mondays" in advise(chain)[0].message


def test_the_adaptation_rule_is_djangos() -> None:
    chain = _plan("a.A", "a.B|sync", "a.C", "a.D|async", "a.E", interface="asgi").layers
    assert adapted(chain, "asgi") == ["sync", "sync", "async", "async", "async"]
    assert adapted(chain, "wsgi") == ["sync", "sync", "async", "async", "sync"]
    assert hops(chain, "asgi") == 2
    assert hops(chain, "wsgi") == 2


def test_a_sync_only_layer_is_told_where_it_would_save_hops() -> None:
    chain = _plan("site.A", "site.B", "site.Old|sync", "site.C", interface="asgi")
    assert _told("hop", advise(chain)) == [["site.Old"]]
    scattered = _plan("site.One|sync", "site.Async|async", "site.Two|sync", "site.B", interface="asgi")
    told = [finding for finding in advise(scattered) if finding.code == "hop"]
    assert "would save 2 hops of 4" in told[0].message


def test_a_move_that_breaks_an_order_rule_is_not_proposed() -> None:
    chain = _plan(f"{rules.SESSION}|sync", "site.Async|async", f"{rules.AUTHENTICATION}|sync", interface="asgi")
    told = [finding.message for finding in advise(chain) if finding.code == "hop"]
    assert not [message for message in told if "AuthenticationMiddleware only" in message and "first" in message]


def test_nothing_is_foretold_when_django_adapted_otherwise_than_the_rule_says() -> None:
    chain = _plan("site.Old|sync", "site.Async|async", "site.Two|sync", interface="asgi")
    chain.layers[1].runs = "sync"
    assert _told("hop", advise(chain)) == []


def test_no_hops_no_advice_under_wsgi() -> None:
    assert _told("hop", advise(_plan("site.A|sync", "site.B", "site.C|sync"))) == []


def _numbers(path: str, **numbers: float) -> Statistics:
    return Statistics(200, layers=[LayerStatistics(path, path.rpartition(".")[2], 0, **numbers)])  # type: ignore[arg-type]


def test_a_layer_that_changed_nothing_in_many_requests_is_told() -> None:
    chain = _plan("site.Idle")
    told = advise(chain, statistics=_numbers("site.Idle", count=200))
    assert [finding.message for finding in told] == ["Idle changed nothing in 200 requests."]
    assert advise(chain, statistics=_numbers("site.Idle", count=200, changed=1)) == []
    assert advise(chain, statistics=_numbers("site.Idle", count=ENOUGH - 1)) == []


def test_a_layer_that_takes_much_of_the_time_is_told() -> None:
    told = advise(_plan("site.Slow"), statistics=_numbers("site.Slow", count=100, changed=100, share=0.4))
    assert [finding.code for finding in told] == ["costly"]
    assert "40%" in told[0].message


def test_numbers_of_layers_no_longer_in_the_chain_are_passed_over() -> None:
    assert advise(_plan("site.A"), statistics=_numbers("site.Gone", count=200)) == []


def test_the_gravest_come_first() -> None:
    chain = _plan(rules.AUTHENTICATION, rules.SESSION, rules.SECURITY, "site.A", "site.A")
    severities = [finding.severity for finding in advise(chain)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert set(severities) == {"error", "warning", "info"}


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.parametrize("layers", [1, 8, 13, 40])
def test_advice_names_only_layers_of_the_chain(interface: str, layers: int) -> None:
    chain = sample_plan(layers, interface)
    known = {layer.id for layer in chain.layers}
    assert all(set(finding.layer_ids) <= known for finding in advise(chain))
