"""Each export is well-formed by the rules of its format, whatever the record holds."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.readings.server_timing import server_timing
from pipeline_inspector.records import RequestRecord, Span, from_json
from tests import samples

HOSTILE = "</title><script>alert(1)</script>'\"<img src=x onerror=alert(1)> ]]> \x00 é"
every_kind = pytest.mark.parametrize("kind", samples.KINDS)


def _export(name: str, record: RequestRecord) -> Any:
    return json.loads(EXPORTS[name].render(record))


def _hostile(text: str) -> RequestRecord:
    """A record in which every text that a request or a project can choose is ``text``."""
    record = samples.record("raised")
    record.request.path = record.request.query = record.request.method = text
    record.request.headers = [(text, text), ("Cookie", text), ("Host", text)]
    if record.response:
        record.response.headers = [(text, text), ("Set-Cookie", text), ("Location", text)]
    if record.exception:
        record.exception.message = text
    for query in record.queries:
        query.sql = text
    for template in record.templates:
        template.name = text
    for line in record.logs:
        line.message = text
    for span in record.spans:
        span.name = text
    for layer in record.layers:
        layer.name = layer.path = text
    return record


def test_the_table_has_the_formats_of_the_public_interface() -> None:
    assert list(EXPORTS) == ["chrome-trace", "har", "html", "json"]


@every_kind
def test_json_is_the_record_itself(kind: str) -> None:
    record = samples.record(kind)
    assert from_json(EXPORTS["json"].render(record), RequestRecord) == record


# -- chrome-trace -----------------------------------------------------------------------------------------------------


@every_kind
def test_every_span_is_a_complete_event_of_the_trace(kind: str) -> None:
    record = samples.record(kind)
    trace = _export("chrome-trace", record)
    assert set(trace) == {"traceEvents", "displayTimeUnit", "otherData"}
    complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert all({"pid", "tid", "name", "cat", "ts", "dur", "args"} == set(event) - {"ph"} for event in complete)
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in complete)
    spans = [event for event in complete if event["cat"] not in ("request", "layer")]
    assert sorted(event["name"] for event in spans) == sorted(span.name for span in record.spans)
    assert {event["ph"] for event in trace["traceEvents"]} <= {"X", "M", "i"}


def _assert_nested(trace: Any) -> None:
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    for track in {event["tid"] for event in events}:
        open_ends: list[float] = []
        mine = [(event["ts"], event["ts"] + event["dur"]) for event in events if event["tid"] == track]
        for start, end in sorted(mine, key=lambda span: (span[0], -span[1])):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1] + 1e-6
            open_ends.append(end)


@every_kind
def test_events_of_one_track_are_apart_or_inside_each_other(kind: str) -> None:
    _assert_nested(_export("chrome-trace", samples.record(kind)))


_times = st.integers(-(10**6), 10**7)


@given(st.lists(st.tuples(_times, st.integers(0, 10**7), st.sampled_from(["loop", "thread"])), max_size=30))
@settings(deadline=None)
def test_overlapping_spans_of_a_thread_get_tracks_of_their_own(spans: list[tuple[int, int, str]]) -> None:
    record = samples.record("passed")
    record.layers = []
    record.spans = [
        Span(number, None, "view", str(number), None, start, length, thread)
        for number, (start, length, thread) in enumerate(spans)
    ]
    trace = _export("chrome-trace", record)
    _assert_nested(trace)
    named = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M" and e["name"] == "thread_name"}
    for event in trace["traceEvents"]:
        if event.get("cat") == "view":
            assert named[event["tid"]] == record.spans[int(event["name"])].thread


def test_layers_lie_inside_each_other_on_a_track_of_their_own() -> None:
    events = _export("chrome-trace", samples.record("passed"))["traceEvents"]
    layers = [event for event in events if event.get("cat") == "layer"]
    assert len(layers) == 8
    ends = [event["ts"] + event["dur"] for event in layers]
    assert ends == sorted(ends, reverse=True)
    assert len({event["tid"] for event in layers}) == 1


# -- har --------------------------------------------------------------------------------------------------------------


@every_kind
def test_an_archive_has_all_that_har_1_2_asks_for(kind: str) -> None:
    log = _export("har", samples.record(kind))["log"]
    assert log["version"] == "1.2"
    assert set(log["creator"]) == {"name", "version"}
    (entry,) = log["entries"]
    datetime.fromisoformat(entry["startedDateTime"])
    numbers = [value for name, value in entry["timings"].items() if name != "comment"]
    assert entry["time"] == pytest.approx(sum(numbers))
    assert min(numbers) >= 0
    assert set(entry["timings"]) >= {"send", "wait", "receive"}
    request, response = entry["request"], entry["response"]
    common = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
    assert set(request) == common | {"method", "url", "queryString"}
    assert set(response) == common | {"status", "statusText", "content", "redirectURL"}
    assert set(response["content"]) == {"size", "mimeType"}
    for pairs in (request["headers"], request["queryString"], response["headers"]):
        assert all(set(pair) == {"name", "value"} for pair in pairs)
    assert urlsplit(request["url"]).netloc == "shop.test:8000"


def test_an_archive_splits_cookies_and_query() -> None:
    entry = _export("har", samples.record("passed"))["log"]["entries"][0]
    assert [pair["name"] for pair in entry["request"]["cookies"]] == ["sessionid", "csrftoken"]
    assert entry["request"]["queryString"] == [{"name": "page", "value": "2"}, {"name": "tag", "value": "django"}]
    (cookie,) = entry["response"]["cookies"]
    assert cookie == {"name": "sessionid", "value": "•••", "httpOnly": True, "path": "/", "sameSite": "Lax"}


def test_an_unfinished_request_has_status_0_in_the_archive() -> None:
    assert _export("har", samples.record("running"))["log"]["entries"][0]["response"]["status"] == 0


def test_an_address_with_odd_characters_is_quoted() -> None:
    record = samples.record("passed")
    record.request.path, record.request.query = "/a b/é?#%41", "q=<x>&r=%20"
    url = _export("har", record)["log"]["entries"][0]["request"]["url"]
    assert url == "http://shop.test:8000/a%20b/%C3%A9%3F%23%2541?q=%3Cx%3E&r=%20"


# -- html -------------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """What a browser would find: the tags with their attributes, and the text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def _harmless(page: _Page) -> Iterator[str]:
    for tag, attributes in page.tags:
        if tag in ("script", "img", "iframe", "object", "embed", "link", "base", "form", "a"):
            yield tag
        yield from (name for name in attributes if name.startswith("on") or name in ("style", "src", "href"))


@every_kind
def test_the_page_tells_the_whole_record_as_text(kind: str) -> None:
    record = samples.record(kind)
    page = _Page(EXPORTS["html"].render(record))
    told = [layer.path for layer in record.layers] + [query.sql for query in record.queries]
    told += [template.name for template in record.templates] + [line.message for line in record.logs]
    told += [value for _, value in record.request.headers]
    assert [text for text in told if text not in page.text] == []


@every_kind
def test_the_page_loads_and_runs_nothing(kind: str) -> None:
    assert list(_harmless(_Page(EXPORTS["html"].render(samples.record(kind))))) == []


def test_the_page_forbids_scripts_and_loading_by_its_own_policy() -> None:
    page = _Page(EXPORTS["html"].render(samples.record("passed")))
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/]{43}='", policy or "")


@given(st.text(max_size=60).filter(lambda text: "\r" not in text))
@settings(deadline=None, max_examples=40)
def test_text_of_a_request_stays_text_in_the_page(text: str) -> None:
    for hostile in (text, HOSTILE, HOSTILE + text):
        page = _Page(EXPORTS["html"].render(_hostile(hostile)))
        assert list(_harmless(page)) == []


# -- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTS)
def test_hostile_text_breaks_no_export(name: str) -> None:
    content = EXPORTS[name].render(_hostile(HOSTILE))
    assert content.decode()
    if "json" in EXPORTS[name].content_type:
        json.loads(content)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_empty_record_can_be_exported(name: str) -> None:
    empty = RequestRecord(id="e", seq=1, state="aborted", started_at="2026-03-02T09:00:01.250000Z", duration_ns=0)
    assert EXPORTS[name].render(empty)


def test_a_server_timing_header_is_made_of_tokens_quoted_strings_and_numbers() -> None:
    quoted = r'"(?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\.)*"'
    metric = rf"[A-Za-z0-9]+(?:;desc={quoted})?;dur=\d+\.\d{{3}}"
    for record in (samples.record("passed"), samples.record("n_plus_one"), _hostile(HOSTILE)):
        assert re.fullmatch(rf"{metric}(?:, {metric})*", server_timing(record))


def test_a_server_timing_header_tells_the_layers_that_were_reached() -> None:
    text = server_timing(samples.record("answered"))
    assert 'layer1;desc="SessionMiddleware";dur=' in text
    assert "XFrameOptionsMiddleware" not in text


def test_the_page_marks_where_an_exception_was_raised_and_where_it_became_a_response() -> None:
    for kind, times in (("passed", 0), ("raised", 1), ("layer_raised", 1)):
        page = EXPORTS["html"].render(samples.record(kind)).decode()
        marks = ('<circle class="raised"', '<path class="cross"', '<circle class="rescued"')
        assert [page.count(mark) for mark in marks] == [times] * 3
