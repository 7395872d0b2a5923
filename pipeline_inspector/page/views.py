"""The pages, and the answer to everything under the prefix: ``answer()``."""

import os
from typing import Any, cast

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import Resolver404, get_resolver

from pipeline_inspector import conf, faults
from pipeline_inspector.page import access, chain, csrf, denied, events, fragments, panels, problems, query, responses
from pipeline_inspector.page.responses import Refused, by_method
from pipeline_inspector.page.source import base, newest, reader
from pipeline_inspector.page.viewer import Viewer
from pipeline_inspector.reader import Filter, Reader
from pipeline_inspector.records import Plan, RequestRecord, Summary
from pipeline_inspector.store.base import StoreError

URLS = "pipeline_inspector.page.urls"


def answer(request: HttpRequest) -> HttpResponseBase:
    """The answer to a request whose path lies under the prefix. Never raises. May block: not for an event loop."""
    host = access.host_of(request)
    try:
        response = _answer(request)
    except Exception as error:
        faults.note("page: " + request.path_info[:100], error)
        response = _failure(
            request, Refused(500, "fault", f"The inspector failed here: {type(error).__name__}: {error}")
        )
    return responses.finish(response, method=request.method or "", host=host)


def _answer(request: HttpRequest) -> HttpResponseBase:
    verdict = access.may_look(request)
    if not verdict.ok:
        return denied.as_json(verdict) if _is_api(request) else denied.as_page(verdict)
    try:
        rest = "/" + request.path_info.removeprefix(conf.current().prefix)
        found = get_resolver(URLS).resolve(rest)
        response: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
        csrf.set_cookie(request, response)
    except Resolver404:
        response = _nowhere(request)
    except Refused as refused:
        response = _failure(request, refused)
    except StoreError as error:
        response = _failure(request, Refused(503, "store", str(error)))
    except RequestDataTooBig as error:
        response = _failure(request, Refused(413, "too_big", str(error)))
    except (SuspiciousOperation, BadRequest) as error:
        response = _failure(request, Refused(400, "bad_request", str(error)))
    return response


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(conf.current().prefix + "api/")


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def _nowhere(request: HttpRequest) -> HttpResponseBase:
    if request.method in ("GET", "HEAD") and not request.path_info.endswith("/"):
        try:
            get_resolver(URLS).resolve("/" + request.path_info.removeprefix(conf.current().prefix) + "/")
        except Resolver404:
            pass
        else:
            return HttpResponseRedirect(request.get_full_path(force_append_slash=True))
    return _failure(request, Refused(404, "unknown_address", "The inspector has no page at this address."))


def _failure(request: HttpRequest, refused: Refused) -> HttpResponseBase:
    """A refusal in the form that was asked for: JSON, a plain sentence for a script of the page, or a page."""
    if _is_api(request):
        return responses.error(refused)
    if _is_htmx(request) or request.method not in ("GET", "HEAD") or refused.status >= 500:
        response = HttpResponse(refused.message, status=refused.status, content_type="text/plain; charset=utf-8")
    else:
        title = "Not there" if refused.status == 404 else "Not understood"
        html = fragments.notice_page("gone", base(request), title=title, message=refused.message)
        response = HttpResponse(html, status=refused.status)
    for name, value in refused.headers.items():
        response[name] = value
    return response


# -- the list and the chosen request ----------------------------------------------------------------------------------


def _index(request: HttpRequest) -> HttpResponseBase:
    seq = reader().store.last_seq()
    page = _requests_page(request, query.read(query.parameters(request)).wanted)
    return HttpResponse(page, headers={"X-Inspector-Seq": str(seq)})


def _requests_page(request: HttpRequest, wanted: Filter, stage: str = "", record: RequestRecord | None = None) -> str:
    source = reader()
    seq = source.store.last_seq()
    running = source.store.running()
    rows = source.newest(fragments.ROWS, wanted)
    over = {row.id for row in rows}
    in_hand = [row for row in running if row.id not in over and source.wants(wanted, row)]
    return fragments.requests_page(
        base=base(request),
        csrf_token=csrf.token(request),
        summaries=rows,
        in_hand=in_hand,
        stage=stage,
        chain=chain.drawn(request, source, record),
        selected=record.id if record else None,
        live=cast("Any", events.transport(request)),
        last_seq=max(seq, rows[-1].seq) if rows else seq,
        filtered=wanted != Filter(),
        query=query.as_text(wanted),
        server=_server(source),
        title=f"{record.request.method} {record.request.path}" if record else "Requests",
        problems=problems.told(source),
        more=len(rows) == fragments.ROWS,
    )


def _server(source: Reader) -> str:
    """One line on who serves this page."""
    pid = os.getpid()
    own = next((process for process in source.store.processes() if process.pid == pid), None)
    return f"{own.interface.upper()} {own.software} · pid {pid}".strip() if own else f"pid {pid}"


def _request(request: HttpRequest, record_id: str) -> HttpResponseBase:
    source = reader()
    asked = query.parameters(request)
    row = next((row for row in source.store.running() if row.id == record_id), None)
    record = source.record(record_id) if len(record_id) <= 100 else None
    if record is None:
        return _in_hand(request, source, row)
    stage = fragments.stage(record, asked.get("tab", "onion"), base(request), csrf.token(request))
    if _is_htmx(request):
        return HttpResponse(stage + chain.drawn(request, source, record, oob=True))
    return HttpResponse(_requests_page(request, query.read(asked).wanted, stage, record))


def _in_hand(request: HttpRequest, source: Reader, row: Summary | None) -> HttpResponseBase:
    """A request that was running when it was asked for, or that is not kept."""
    if row is not None:
        stage, status = fragments.stage_running(row, _plan_of(source, row), base(request)), 200
    else:
        stage, status = fragments.notice("gone", base(request), limit=conf.current().max_requests), 404
    if _is_htmx(request):
        return HttpResponse(stage, status=status)
    return HttpResponse(_requests_page(request, query.read(query.parameters(request)).wanted, stage), status=status)


def _plan_of(source: Reader, row: Summary) -> Plan | None:
    """The chain of a request in hand; the one loaded last where its own is not kept yet (a process's first request)."""
    alike = (plan for plan in source.store.plans() if plan.interface == row.interface)
    return source.plan(row.plan_id) or next(alike, None)


def _rows(request: HttpRequest) -> HttpResponseBase:
    """``?before=``: older rows. ``?after=``: what a page that asks now and then needs to be up to date. Neither: the
    newest rows."""
    asked = query.read(query.parameters(request))
    if asked.after is None:
        found = reader().newest(min(asked.limit, fragments.ROWS), asked.wanted, asked.before)
        return HttpResponse(fragments.rows(found, base(request)))
    tail = newest(base(request))
    tail.refresh()
    viewer = Viewer(tail, asked.wanted, asked.after, asked.paused)
    return HttpResponse(viewer.update() or "")


# -- the other pages --------------------------------------------------------------------------------------------------


def _pipeline(request: HttpRequest) -> HttpResponseBase:
    source = reader()
    browser = chain.browser_of(request)
    plan, (off, mine), statistics = source.newest_plan(), chain.switches(source, browser), source.statistics()
    page = panels.pipeline_page(
        plan,
        off,
        statistics,
        chain.findings(source, plan, browser, statistics) if plan else [],
        base(request),
        kept_in=source.store.location(),
        csrf_token=csrf.token(request),
        mine=mine,
        problems=problems.told(source),
    )
    return HttpResponse(page)


def _compare(request: HttpRequest) -> HttpResponseBase:
    source, asked = reader(), query.parameters(request)
    a, b = (source.record(asked.get(name, "")[:100]) if asked.get(name) else None for name in ("a", "b"))
    candidates = [row for row in source.newest(fragments.ROWS, Filter()) if row.state != "running"]
    return HttpResponse(panels.compare_page(a, b, base(request), candidates, csrf_token=csrf.token(request)))


def _startup(request: HttpRequest) -> HttpResponseBase:
    page = panels.startup_page(reader().store.processes(), base(request), csrf_token=csrf.token(request))
    return HttpResponse(page)


index = by_method(GET=_index)
one_request = by_method(GET=_request)
rows = by_method(GET=_rows)
pipeline = by_method(GET=_pipeline)
compare = by_method(GET=_compare)
startup = by_method(GET=_startup)
