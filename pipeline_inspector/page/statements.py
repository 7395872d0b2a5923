"""The tab Queries: like statements together, what they cost, and which of them ask too often."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pipeline_inspector.page.formats import percent
from pipeline_inspector.page.sql import readable, told
from pipeline_inspector.readings.places import Place, Places
from pipeline_inspector.records import Query, RequestRecord

HIDDEN = "•••"
"""Stands for a value that was hidden before anything was kept."""

QUERIES = 200
"""No more statements than this are drawn; what is left out is counted."""

N_PLUS_ONE = 3
"""From so many like statements that fetch on, a group is called by that name."""

SHOUTED = 3
"""So many N+1 groups are named above the list, the costliest first; the rest is counted."""


_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")


class _Execution(NamedTuple):
    """One run of a statement."""

    query: Query
    ns: int
    start_ns: int | None
    place: Place


class _Group(NamedTuple):
    """Like statements together. ``same``: so many of the runs ask for what an earlier one had asked for already;
    ``share``: their part of all time spent on queries, in percent."""

    sql: str
    told: str
    runs: list[_Execution]
    ns: int
    n_plus_one: bool
    same: int
    share: str
    transaction: str


def context(record: RequestRecord) -> dict[str, Any]:
    """What the template of the tab needs."""
    places = Places(record)
    total = sum(places.duration(query.span) for query in record.queries)
    groups = [_group(runs, places, total) for runs in _alike(record.queries)]
    repeated = sorted((group for group in groups if group.n_plus_one), key=lambda group: -group.ns)
    return {
        "groups": groups[:QUERIES],
        "hidden": max(0, len(groups) - QUERIES),
        "total_ns": total,
        "of_request": f"{100 * total / record.duration_ns:.0f}" if record.duration_ns else "",
        "writes": sum(query.sql.lstrip(" (").upper().startswith(_WRITES) for query in record.queries),
        "repeated": repeated[:SHOUTED],
        "more_repeated": repeated[SHOUTED:],
        "more_runs": sum(len(group.runs) for group in repeated[SHOUTED:]),
    }


def _alike(queries: Iterable[Query]) -> list[list[Query]]:
    """Queries in the order in which they ran, like ones together where the first of them ran."""
    found: dict[object, list[Query]] = {}
    for position, query in enumerate(queries):
        key = ("alone", position) if query.duplicate_group is None else ("group", query.duplicate_group)
        found.setdefault(key, []).append(query)
    return list(found.values())


def _group(queries: list[Query], places: Places, total_ns: int) -> _Group:
    runs = [
        _Execution(query, places.duration(query.span), places.start(query.span), places.of(query.span))
        for query in queries
    ]
    ns = sum(run.ns for run in runs)
    inside = sum(query.in_transaction for query in queries)
    return _Group(
        sql=readable(queries[0].sql),
        told=told(queries[0].sql),
        runs=runs,
        ns=ns,
        n_plus_one=len(runs) >= N_PLUS_ONE and _fetches(queries[0]),
        same=_asked_again(queries),
        share=percent(ns / total_ns if total_ns else 0),
        transaction=""
        if not inside
        else "in transaction"
        if inside == len(runs)
        else f"{inside} of {len(runs)} in transaction",
    )


def _fetches(query: Query) -> bool:
    return query.sql.lstrip(" (").upper().startswith(("SELECT", "WITH"))


def _asked_again(queries: list[Query]) -> int:
    """How many repeat an earlier one to the letter; where a parameter is hidden, that cannot be told."""
    whole = [query for query in queries if HIDDEN not in "".join([query.sql, *(query.params or ())])]
    return len(whole) - len({(query.sql, *(query.params or ())) for query in whole})
