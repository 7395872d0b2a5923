"""The JSON API: rows and records, filters, exports, the chain and its switches, and what it says to bad input."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline_inspector.control import toggles
from pipeline_inspector.page import query
from pipeline_inspector.reader import Filter
from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.records import RequestRecord, from_json
from tests import samples
from tests.page.conftest import Client, Kept, error_of

SECURITY = "django.middleware.security.SecurityMiddleware"


def test_rows_come_newest_last_with_the_last_seq(client: Client, kept: Kept) -> None:
    ids = [kept.add(path=f"/{number}/").id for number in range(3)]
    told = client.json("requests/")
    assert [row["id"] for row in told["requests"]] == ids
    assert told["last_seq"] == 3


def test_without_after_the_newest_are_told(client: Client, kept: Kept) -> None:
    ids = [kept.add().id for _ in range(5)]
    assert [row["id"] for row in client.json("requests/?limit=2")["requests"]] == ids[3:]


def test_after_walks_over_everything_once(client: Client, kept: Kept) -> None:
    ids = [kept.add("passed" if number % 3 else "raised").id for number in range(20)]
    seen, seq = [], 0
    while True:
        told = client.json(f"requests/?after={seq}&limit=3&exception=ValueError")
        if not told["requests"]:
            break
        seen += [row["id"] for row in told["requests"]]
        seq = told["last_seq"]
    assert seen == ids[::3]
    assert client.json("requests/?after=0&path=/nowhere/") == {"requests": [], "last_seq": 20}


def test_an_empty_store_has_no_rows(client: Client, kept: Kept) -> None:
    assert client.json("requests/") == {"requests": [], "last_seq": 0}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("method=get", {"passed", "answered", "not_found"}),
        ("method=POST", {"raised"}),
        ("status=404", {"not_found"}),
        ("status=5xx", {"raised"}),
        ("status=3XX", {"answered"}),
        ("path=ARTICLES", {"passed"}),
        ("exception=valueerror", {"raised"}),
        ("view=articlelist", {"passed", "answered"}),
        ("layer=AuditMiddleware", {"passed", "raised", "not_found"}),
        ("layer=nobody", set()),
        ("min_ms=100000", set()),
        ("min_ms=0.0", {"passed", "answered", "raised", "not_found"}),
        ("method=&path=&status=&min_ms=&layer=&view=&after=&limit=", {"passed", "answered", "raised", "not_found"}),
    ],
)
def test_filters_choose_rows(client: Client, kept: Kept, asked: str, expected: set[str]) -> None:
    plan = samples.plan(13)
    kept.store.put_plan(plan)
    paths = {"passed": "/articles/", "answered": "/choose/", "raised": "/edit/", "not_found": "/nothing/"}
    kinds = {kept.add(kind, path=path, layers=13).id: kind for kind, path in paths.items()}
    wanted = {kinds[row["id"]] for row in client.json("requests/?" + asked)["requests"]}
    if asked.startswith(("view=", "layer=Audit")):
        expected = {
            kinds[row_id]
            for row_id, record in kept.records.items()
            if query.read(_query(asked)).wanted.matches(samples.summary(record), plan)
        }
        assert expected
    assert wanted == expected


def _query(text: str) -> Any:
    from django.http import QueryDict

    return QueryDict(text)


@pytest.mark.parametrize(
    "asked",
    [
        "after=x",
        "after=-1",
        "after=1.0",
        "after=" + "9" * 1000,
        "after=9223372036854775808",
        "after=%D9%A1",
        "limit=0",
        "limit=1001",
        "limit=1e2",
        "limit=+5",
        "min_ms=nan",
        "min_ms=inf",
        "min_ms=-1",
        "min_ms=1_0",
        "min_ms=1e999",
        "status=99",
        "status=6xx",
        "status=200%0a",
        "path=" + "a" * 201,
        "unknown=1",
        "after=1&after=2",
        "a=1&" * 1100,
        "before=1",
        "limit=%00",
        "paused=1",
    ],
)
def test_a_parameter_that_cannot_be_used_is_a_400_that_names_it(client: Client, kept: Kept, asked: str) -> None:
    response = client.get("api/requests/?" + asked)
    assert response.status_code == 400
    if not asked.startswith("a=1"):
        assert asked.partition("=")[0] in error_of(response)["message"]


@pytest.mark.parametrize("asked", ["path=%ff%fe", "path=%00", "view=%F0%9F%A6%84", "path=" + "%C3%BC" * 200])
def test_odd_text_is_only_text(client: Client, kept: Kept, asked: str) -> None:
    kept.add()
    assert client.json("requests/?" + asked)["requests"] == []


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    raw=st.one_of(st.binary(max_size=200), st.from_regex(rb"(after|limit|min_ms|status|path)=.{0,50}", fullmatch=True))
)
def test_no_query_string_at_all_breaks_the_list(raw: bytes, kept: Kept) -> None:
    response = Client().get("api/requests/?" + quote(raw, safe="=&%"))
    assert response.status_code in (200, 400)
    json.loads(response.content)


@given(
    wanted=st.builds(
        Filter,
        method=st.text(max_size=20),
        path=st.text(max_size=50),
        status=st.sampled_from(["", "404", "5xx", "running"]),
        min_ms=st.sampled_from([0.0, 0.5, 20.0, 1500.0]),
        layer=st.text(max_size=50),
        view=st.text(max_size=50),
        exception=st.text(max_size=50),
    )
)
def test_a_filter_survives_the_way_through_an_address(wanted: Filter) -> None:
    assert query.read(_query(query.as_text(wanted))).wanted == wanted


# -- one record -------------------------------------------------------------------------------------------------------


def test_a_record_is_told_whole(client: Client, kept: Kept) -> None:
    record = kept.add("raised_rescued")
    response = client.get(f"api/requests/{record.id}/")
    assert response["Content-Type"] == "application/json"
    assert from_json(response.content, RequestRecord) == record


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "9" * 1000,
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%ff%fe",
        "'; DROP TABLE requests; --",
        "a" * 100_000,
        "%0a",
        ".",
    ],
)
def test_a_request_that_is_not_kept_is_a_404(client: Client, kept: Kept, name: str) -> None:
    for path in (f"api/requests/{name}/", f"api/requests/{name}/export/json/"):
        response = client.get(path)
        assert response.status_code == 404
        assert len(response.content) < 1000
        error_of(response)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_record_is_given_in_every_format_as_a_file(client: Client, kept: Kept, name: str) -> None:
    record = kept.add("n_plus_one")
    response = client.get(f"api/requests/{record.id}/export/{name}/")
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith(f'attachment; filename="request-{record.id}')
    assert response["Content-Type"].startswith(EXPORTS[name].content_type)
    assert response.content


def test_an_unknown_format_is_a_404_that_lists_the_known(client: Client, kept: Kept) -> None:
    response = client.get(f"api/requests/{kept.add().id}/export/exe/")
    assert response.status_code == 404
    assert "chrome-trace" in error_of(response)["message"]


def test_delete_forgets_all_and_seq_goes_on(client: Client, kept: Kept) -> None:
    kept.add()
    response = client("DELETE", "api/requests/", X_Inspector_Token=kept.store.token())
    assert (response.status_code, response.content) == (204, b"")
    assert client.json("requests/") == {"requests": [], "last_seq": 1}
    kept.add()
    assert client.json("requests/")["last_seq"] == 2


# -- the chain --------------------------------------------------------------------------------------------------------


def _put(client: Client, kept: Kept, layer: str, body: Any, **headers: str) -> Any:
    return client("PUT", f"api/layers/{layer}/", body=body, X_Inspector_Token=kept.store.token(), **headers)


def test_the_pipeline_tells_layers_switches_findings_and_statistics(client: Client, kept: Kept) -> None:
    kept.add()
    told = client.json("pipeline/")
    assert [layer["id"] for layer in told["layers"]] == [layer.id for layer in samples.plan().layers]
    assert {layer["enabled"] for layer in told["layers"]} == {True}
    assert told["not_used"] == [{"path": "shop.debug.BannerMiddleware", "message": "only with DEBUG_BANNER"}]
    assert told["statistics"]["count"] == 1
    assert isinstance(told["findings"], list)


def test_before_any_chain_is_loaded_the_pipeline_is_empty(client: Client, kept: Kept) -> None:
    from pipeline_inspector.store import configured
    from pipeline_inspector.store.memory import MemoryStore

    with configured.use(MemoryStore(lambda: 10)):
        assert client.json("pipeline/")["layers"] == []


@pytest.mark.parametrize("name", [SECURITY, "SecurityMiddleware"])
def test_a_layer_is_switched_off_and_on_for_everyone(client: Client, kept: Kept, name: str) -> None:
    told = json.loads(_put(client, kept, name, {"enabled": False}).content)
    assert [layer["id"] for layer in told["layers"] if not layer["enabled"]] == [SECURITY]
    assert kept.store.control().off == (SECURITY,)
    assert Client().json("pipeline/")["layers"][0]["off_for"] == "everyone"
    told = json.loads(_put(client, kept, name, {"enabled": True, "scope": "everyone"}).content)
    assert all(layer["enabled"] for layer in told["layers"])


def test_a_layer_is_switched_off_for_the_asking_browser_alone(client: Client, kept: Kept) -> None:
    response = _put(client, kept, "SecurityMiddleware", {"enabled": False, "scope": "me"})
    cookie = response.cookies[toggles.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert kept.store.control().off_for == {cookie.value: (SECURITY,)}
    assert client.json("pipeline/")["layers"][0]["off_for"] == "me"
    assert Client().json("pipeline/")["layers"][0]["enabled"] is True
    again = _put(client, kept, "SecurityMiddleware", {"enabled": True, "scope": "me"})
    assert toggles.COOKIE not in again.cookies
    assert kept.store.control().off_for == {}


def test_a_badly_formed_browser_token_is_not_taken(client: Client, kept: Kept) -> None:
    client.factory.cookies[toggles.COOKIE] = "x\\y"
    response = _put(client, kept, "SecurityMiddleware", {"enabled": False, "scope": "me"})
    assert list(kept.store.control().off_for) == [response.cookies[toggles.COOKIE].value]


def test_the_second_of_a_path_is_reached_by_its_escaped_id(client: Client, kept: Kept) -> None:
    plan = samples.plan(2)
    plan.layers[1].id = plan.layers[0].id + "#2"
    plan.id = "doubled"
    kept.store.put_plan(plan)
    assert _put(client, kept, quote(plan.layers[1].id, safe=""), {"enabled": False}).status_code == 200
    assert kept.store.control().off == (plan.layers[1].id,)


def test_a_class_name_that_several_have_is_a_409(client: Client, kept: Kept) -> None:
    plan = samples.plan(2)
    plan.layers[0].id, plan.layers[1].id, plan.id = "a.Same", "b.Same", "same"
    kept.store.put_plan(plan)
    response = _put(client, kept, "Same", {"enabled": False})
    assert response.status_code == 409
    assert "a.Same, b.Same" in error_of(response)["message"]


@pytest.mark.parametrize("name", ["Nobody", "%00", "9" * 5000, "%F0%9F%A6%84", "a%0ab"])
def test_an_unknown_layer_is_a_404(client: Client, kept: Kept, name: str) -> None:
    assert _put(client, kept, name, {"enabled": False}).status_code == 404
    assert kept.store.control().off == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"enabled": 1}',
        b'{"enabled": "false"}',
        b'{"enabled": true, "scope": "you"}',
        b'{"enabled": true, "more": 1}',
        b"\xff\xfe",
        b'{"enabled": true}{}',
        b"[" * 10_000,
    ],
)
def test_a_body_of_another_shape_is_a_400(client: Client, kept: Kept, body: bytes) -> None:
    response = _put(client, kept, "SecurityMiddleware", body, Content_Type="application/json")
    assert response.status_code == 400
    error_of(response)
    assert kept.store.control().version == 0


def test_a_body_that_is_too_big_is_a_413(client: Client, kept: Kept) -> None:
    body = b'{"enabled": false, "scope": "' + b"x" * 20_000 + b'"}'
    assert _put(client, kept, "SecurityMiddleware", body, Content_Type="application/json").status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_that_is_not_called_json_is_a_415(client: Client, kept: Kept, kind: str) -> None:
    response = _put(client, kept, "SecurityMiddleware", b'{"enabled": false}', Content_Type=kind)
    assert response.status_code == 415


# -- methods and addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("api/requests/", "DELETE, GET, HEAD, OPTIONS"),
        ("api/requests/1/", "GET, HEAD, OPTIONS"),
        ("api/pipeline/", "GET, HEAD, OPTIONS"),
        ("api/layers/x/", "OPTIONS, PUT"),
        ("api/openapi.json", "GET, HEAD, OPTIONS"),
        ("", "GET, HEAD, OPTIONS"),
        ("actions/clear/", "OPTIONS, POST"),
        ("assets/denied.css", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_a_405_that_lists_those_allowed(client: Client, kept: Kept, path: str, allowed: str) -> None:
    response = client("PATCH", path)
    assert (response.status_code, response["Allow"]) == (405, allowed)
    assert client("BREW" * 30, path).status_code == 405
    options = client("OPTIONS", path)
    assert (options.status_code, options["Allow"]) == (204, allowed)


def test_head_is_get_without_the_body(client: Client, kept: Kept) -> None:
    kept.add()
    head, whole = client("HEAD", "api/requests/"), client.get("api/requests/")
    assert head.content == b""
    assert head["Content-Length"] == str(len(whole.content))


@pytest.mark.parametrize(
    "path", ["api/", "api/nothing/", "api/requests", "api/requests//", "api/%00", "api/../../etc/passwd"]
)
def test_an_unknown_address_is_a_404_as_json(client: Client, kept: Kept, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    error_of(response)
