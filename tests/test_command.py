"""``manage.py pipeline``: each word, on a store with sample requests, and beside a running server."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.records import RequestRecord, Sealed
from pipeline_inspector.store import configured
from pipeline_inspector.store.base import StoreError
from pipeline_inspector.store.memory import MemoryStore
from tests import samples
from tests.sites import Site

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
Keep = Callable[..., RequestRecord]


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """An empty store in memory, in place of the configured one."""
    store = MemoryStore(lambda: 100)
    with configured.use(store):
        yield store


@pytest.fixture
def keep(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """``keep(kind)``: keep a sample request of that kind, with its chain."""
    kept: dict[bytes, RequestRecord] = {}
    for made in ("assemble", "abridged"):
        monkeypatch.setattr(f"pipeline_inspector.reader.{made}", lambda sealed, plan: kept[sealed.payload])

    def keep(kind: str = "passed") -> RequestRecord:
        record = samples.record(kind, seq=len(kept) + 1)
        summary = samples.summary(record)
        kept[record.id.encode()] = record
        store.put_plan(samples.plan())
        record.seq = store.append([Sealed(summary, record.id.encode(), summary.plan_id)])
        return record

    return keep


def _run(*arguments: str) -> str:
    output = StringIO()
    call_command("pipeline", *arguments, stdout=output, no_color=True)
    return output.getvalue()


def test_without_a_word_it_prints_the_chain_outermost_first(keep: Keep) -> None:
    keep()
    printed = _run()
    places = [printed.index(layer.id) for layer in samples.plan().layers]
    assert places == sorted(places)
    assert "shop.debug.BannerMiddleware  not used: only with DEBUG_BANNER" in printed
    assert printed.endswith("\nRequests are kept in memory of this process.\n")
    assert "process_request, process_view, process_response" in printed


def test_the_chain_says_what_is_off_and_advises(keep: Keep) -> None:
    keep()
    _run("off", "SessionMiddleware")
    printed = _run()
    row = next(line for line in printed.splitlines() if SESSIONS in line)
    assert " off " in row
    assert "AuthenticationMiddleware leans on SessionMiddleware" in printed


def test_the_chain_as_json_has_what_the_api_answers(keep: Keep, store: MemoryStore) -> None:
    keep()
    _run("off", SESSIONS)
    found = json.loads(_run("--json"))
    assert set(found) == {"layers", "not_used", "findings", "statistics", "interface", "plan_id"}
    assert [layer["id"] for layer in found["layers"]] == [layer.id for layer in samples.plan().layers]
    assert [layer["id"] for layer in found["layers"] if not layer["enabled"]] == [SESSIONS]
    assert found["statistics"]["count"] == 1


def test_off_and_on_switch_a_layer_for_everyone(keep: Keep, store: MemoryStore) -> None:
    keep()
    assert f"{SESSIONS} is off for everyone" in _run("off", "SessionMiddleware")
    assert store.control().off == (SESSIONS,)
    assert f"{SESSIONS} is on" in _run("on", "SessionMiddleware")
    assert store.control().off == ()


def test_off_tells_what_leans_on_the_layer(keep: Keep) -> None:
    keep()
    assert "every request fails" in _run("off", "SessionMiddleware")


def test_reset_switches_every_layer_on(keep: Keep, store: MemoryStore) -> None:
    keep()
    _run("off", "SessionMiddleware")
    _run("off", "CommonMiddleware")
    _run("reset")
    assert store.control().off == ()


def test_a_name_that_no_layer_has_is_an_error_that_lists_those_there_are(keep: Keep) -> None:
    keep()
    with pytest.raises(CommandError, match=r"No middleware 'Sessions'.*SessionMiddleware"):
        _run("off", "Sessions")


def test_on_works_for_a_layer_that_has_left_the_chain(keep: Keep, store: MemoryStore) -> None:
    keep()
    store.change_control(lambda state: type(state)(state.version, ("gone.OldMiddleware",)))
    _run("on", "OldMiddleware")
    assert store.control().off == ()


def test_tail_begins_with_the_newest_requests_oldest_first(keep: Keep) -> None:
    for kind in ("passed", "answered", "not_found"):
        keep(kind)
    printed = _run("tail", "--last", "2", "--count", "2").splitlines()
    assert [line.split()[2] for line in printed] == ["302", "404"]
    assert "/admin/" in printed[0]


def test_tail_prints_each_request_as_it_comes(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("passed")
    coming = iter(["answered", "not_found"])
    monkeypatch.setattr("pipeline_inspector.management.commands.pipeline.time.sleep", lambda _: keep(next(coming)))
    printed = _run("tail", "--json", "--last", "0", "--count", "2").splitlines()
    assert [json.loads(line)["status"] for line in printed] == [302, 404]


def test_tail_passes_over_what_is_not_wanted(keep: Keep) -> None:
    for kind in ("passed", "raised", "not_found"):
        keep(kind)
    printed = _run("tail", "--status", "5xx", "--count", "1").splitlines()
    assert [line.split()[2] for line in printed] == ["500"]


def test_tail_ends_quietly_on_ctrl_c(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    keep("passed")
    monkeypatch.setattr("pipeline_inspector.management.commands.pipeline.time.sleep", interrupt)
    assert len(_run("tail").splitlines()) == 1


@pytest.mark.parametrize("kind", samples.KINDS)
def test_show_prints_every_layer_query_and_exception(keep: Keep, kind: str) -> None:
    record = keep(kind)
    printed = _run("show", record.id)
    assert printed.startswith(f"{record.request.method} {record.request.path}")
    assert all(layer.name in printed for layer in record.layers)
    assert printed.count("SELECT") >= sum(query.sql.startswith("SELECT") for query in record.queries)
    assert record.exception is None or record.exception.message in printed


def test_show_last_prints_the_newest_request(keep: Keep) -> None:
    keep("passed")
    keep("not_found")
    assert "/favicon.ico 404" in _run("show", "last")


def test_a_request_that_is_not_kept_is_an_error(keep: Keep) -> None:
    keep()
    with pytest.raises(CommandError, match="No request 'nothing' is kept"):
        _run("show", "nothing")


@pytest.mark.parametrize("name", EXPORTS)
def test_export_writes_the_file_or_standard_output(keep: Keep, name: str, tmp_path: Path) -> None:
    record = keep()
    file = tmp_path / "out"
    assert str(file) in _run("export", record.id, "--format", name, "-o", str(file))
    assert file.read_bytes() == EXPORTS[name].render(record)
    assert _run("export", record.id, "--format", name).rstrip("\n").encode() == file.read_bytes().rstrip(b"\n")


def test_export_to_a_place_that_cannot_be_written_is_an_error(keep: Keep, tmp_path: Path) -> None:
    record = keep()
    with pytest.raises(CommandError, match="cannot be written"):
        _run("export", record.id, "-o", str(tmp_path / "no" / "folder"))


def test_token_prints_the_token_of_the_store(store: MemoryStore) -> None:
    assert _run("token").strip() == store.token()


def test_a_store_that_cannot_be_read_is_an_error(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StoreError("The file is damaged.")

    monkeypatch.setattr(store, "plans", fail)
    with pytest.raises(CommandError, match=r"The file is damaged\."):
        _run()


@override_settings(DEBUG=False, PIPELINE_INSPECTOR={})
def test_where_the_inspector_is_off_the_missing_chain_is_explained(store: MemoryStore) -> None:
    with pytest.raises(CommandError, match="The inspector is off"):
        _run()


def test_in_a_fresh_project_the_chain_is_loaded(site: Site) -> None:
    printed = site.manage("pipeline").stdout
    assert "Chain of the WSGI handler" in printed
    assert "django.middleware.clickjacking.XFrameOptionsMiddleware" in printed


def test_in_a_fresh_asgi_project_the_asgi_chain_is_loaded(make_site: Callable[..., Site]) -> None:
    assert "Chain of the ASGI handler" in make_site("daphne", "pipeline_inspector").manage("pipeline").stdout


def test_a_switch_on_the_command_line_holds_in_the_running_server(site: Site) -> None:
    server = site.serve("gunicorn")
    assert server.get("/").headers["X-Frame-Options"] == "DENY"
    site.manage("pipeline", "off", "XFrameOptionsMiddleware")
    assert "X-Frame-Options" not in server.get("/").headers
    site.manage("pipeline", "reset")
    assert server.get("/").headers["X-Frame-Options"] == "DENY"


def test_requests_of_a_running_server_are_shown_and_exported(site: Site) -> None:
    server = site.serve("gunicorn")
    server.get("/not/here/")
    assert "404" in site.manage("pipeline", "tail", "--path", "/not/here/", "--count", "1").stdout
    assert "/not/here/ 404" in site.manage("pipeline", "show", "last").stdout
    exported = json.loads(site.manage("pipeline", "export", "last", "--format", "har").stdout)
    assert exported["log"]["entries"][0]["response"]["status"] == 404
