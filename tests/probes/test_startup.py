"""How a process came to serve is told from its real stacks, and finding out leaves nothing behind."""

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps

from pipeline_inspector import clock, faults
from pipeline_inspector.probes import paths, startup
from pipeline_inspector.records import Process, from_json, to_json

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The state of a process that has not begun to serve."""
    monkeypatch.setattr(startup, "_state", startup._State())
    faults.forget()
    yield
    assert faults.seen() == []


def functions(frames: list[Any]) -> list[str]:
    return [frame.function for frame in frames]


def test_each_moment_keeps_its_time_and_its_stack_outermost_first() -> None:
    startup.apps_ready()
    startup.chain_loaded("wsgi", [("some.Middleware", 5, 6)])
    startup.first_request("wsgi")
    told = startup.process()
    assert [moment.name for moment in told.moments] == ["apps ready", "chain loaded", "first request"]
    times = [moment.at_ns for moment in told.moments]
    assert times == sorted(times)
    assert times[0] > 0
    for moment in told.moments:
        path = told.path[moment.name]
        assert path[-1].function == "test_each_moment_keeps_its_time_and_its_stack_outermost_first"
        assert path[-1].file == __file__
        assert all("/pipeline_inspector/probes/" not in frame.file for frame in path)
    assert told.layers == [("some.Middleware", 5, 6)]
    assert told.interface == "wsgi"


def test_only_the_first_time_counts() -> None:
    startup.chain_loaded("asgi")
    before = startup.process()
    startup.chain_loaded("wsgi")
    assert startup.process() is before
    assert before.interface == "asgi"


def test_a_moment_on_another_thread_tells_the_main_threads_stack_too() -> None:
    def serve() -> None:
        startup.first_request("wsgi")

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    path = startup.process().path
    assert functions(path["first request"])[-1].endswith("serve")
    main = path["first request (MainThread)"]
    assert "test_a_moment_on_another_thread_tells_the_main_threads_stack_too" in functions(main)
    assert main[0].file != __file__


def test_a_deep_stack_is_bounded() -> None:
    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        else:
            startup.first_request("wsgi")

    deeper(300)
    path = startup.process().path["first request"]
    assert len(path) == paths.FRAMES_KEPT
    assert path[-1].function.endswith("deeper")


def test_what_is_told_of_a_process_can_be_kept_and_opened() -> None:
    startup.apps_ready()
    told = startup.process()
    assert from_json(to_json(told), Process) == told
    assert told.pid == os.getpid()
    assert re.fullmatch(r"[0-9a-f]{8}", told.id)
    assert told.python == ".".join(map(str, sys.version_info[:3]))
    assert told.settings_module
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told.started_at)


def test_the_process_started_before_it_imported_us() -> None:
    started = startup._state.started_wall
    assert 0 < clock.wall() - started < 24 * 3600 * 1_000_000_000
    assert startup._age_ns() >= clock.now() - startup._imported_at


def test_without_the_systems_word_the_start_is_our_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> float:
        raise OSError("no such clock")

    monkeypatch.setattr(startup, "_uptime_s", unknown)
    assert 0 < startup._age_ns() <= clock.now() - startup._imported_at


def test_secrets_on_the_command_line_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["manage.py", "runserver", "--token", "abc", "--password=def", "8000", "postgres://u:ghi@host/db"]
    monkeypatch.setattr(sys, "argv", arguments)
    told = startup.process().argv
    assert told[:2] == ["manage.py", "runserver"]
    assert told[5] == "8000"
    assert not any(secret in " ".join(told) for secret in ("abc", "def", "ghi"))


def test_the_reloader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUN_MAIN", raising=False)
    assert startup._tell(startup._state).reloader is False
    monkeypatch.setenv("RUN_MAIN", "true")
    assert startup._tell(startup._state).reloader is True


# -- apps -----------------------------------------------------------------------------------------------------------------


class Later(AppConfig):
    """An app listed after ours."""

    name = "later"
    path = "/nowhere"
    calls = 0
    fails = False

    def ready(self) -> None:
        self.calls += 1
        if self.fails:
            raise RuntimeError("not ready")

    def import_models(self) -> None:
        self.calls += 1


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> dict[str, AppConfig]:
    """Three apps: one before ours, ours, one after it."""
    listed: dict[str, AppConfig] = {name: Later(name, sys) for name in ("earlier", "pipeline_inspector", "later")}
    for name, config in listed.items():
        config.name = name
    monkeypatch.setattr(apps, "app_configs", listed)
    return listed


def test_ready_of_later_apps_is_timed_and_nothing_stays(configs: dict[str, AppConfig]) -> None:
    startup.apps_ready()
    for config in configs.values():
        config.ready()
    assert [name for name, _, _ in startup.process().apps] == ["later"]
    assert startup.process().apps[0][2] > 0
    assert "ready" not in vars(configs["later"])
    configs["later"].ready()
    assert configs["later"].calls == 2


def test_asked_while_models_are_imported_more_is_seen(configs: dict[str, AppConfig]) -> None:
    startup.watch_apps()
    configs["later"].import_models()
    for config in configs.values():
        config.ready()
    startup.apps_ready()
    told = {name: (imported, ready) for name, imported, ready in startup.process().apps}
    assert set(told) == {"earlier", "pipeline_inspector", "later"}
    assert told["later"][0] > 0
    assert told["earlier"][0] == 0
    assert all(ready > 0 for _, ready in told.values())
    assert all("import_models" not in vars(config) for config in configs.values())


def test_an_app_that_fails_fails_as_before(configs: dict[str, AppConfig]) -> None:
    startup.apps_ready()
    vars(configs["later"])["fails"] = True
    with pytest.raises(RuntimeError, match="not ready"):
        configs["later"].ready()
    assert startup.process().apps[0][0] == "later"


# -- who serves -----------------------------------------------------------------------------------------------------------


def test_the_innermost_caller_is_named_before_what_it_stands_in() -> None:
    assert startup._server(["/x/django/test/client.py", "/x/uvicorn/main.py"]) == ("test client", "")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("/x/site-packages/waitress/server.py", "waitress"),
        ("/x/site-packages/django/core/management/commands/runserver.py", "runserver"),
        ("/x/lib/python3.11/wsgiref/handlers.py", "wsgiref"),
        ("/x/site-packages/uvicorn/server.py", r"uvicorn \d.*"),
        ("/x/site-packages/gunicorn/workers/sync.py", r"gunicorn \d.*"),
        ("/x/site-packages/daphne/server.py", r"daphne \d.*"),
        ("/x/somewhere/else.py", ""),
    ],
)
def test_a_server_is_known_by_its_files(file: str, told: str) -> None:
    found = startup._server(["/site/app.py", file]) or ("", "")
    assert re.fullmatch(told, startup._with_version(*found, within_runserver=False))


def test_a_stack_without_a_server_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "stacks", dict)  # another test's live server may still have its thread
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(startup.software()()))
    thread.start()
    thread.join()
    assert told == [""]


def test_call_path_ends_with_who_asks() -> None:
    path = paths.here()
    assert path[-1].function == "test_call_path_ends_with_who_asks"
    assert path[0].file != __file__


# -- processes ------------------------------------------------------------------------------------------------------------


def test_a_forked_child_is_a_process_of_its_own() -> None:
    code = """
        import json, os
        import django
        from django.conf import settings
        settings.configure()
        django.setup()
        from pipeline_inspector.probes import paths, startup
        startup.chain_loaded("wsgi")
        parent = startup.process()
        reading, writing = os.pipe()
        if os.fork() == 0:
            child = startup.process()
            names = [moment.name for moment in child.moments]
            os.write(writing, json.dumps([child.id, child.pid == os.getpid(), names]).encode())
            os._exit(0)
        os.wait()
        child = json.loads(os.read(reading, 10000))
        print(json.dumps([parent.id, startup.process().id, *child]))
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": ""}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=True
    )
    parent, still, child, own_pid, moments = json.loads(run.stdout)
    assert parent == still != child
    assert own_pid is True
    assert moments == ["chain loaded"]


def test_changed_sources_are_the_sites_own_that_are_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, written in (("changed", 2_000_000_000), ("old", 1_000_000_000)):
        file = tmp_path / f"{name}_module.py"
        file.write_text("")
        os.utime(file, (written, written))
        module = type(sys)(f"{name}_module")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    gone = type(sys)("gone_module")
    gone.__file__ = str(tmp_path / "gone.py")
    monkeypatch.setitem(sys.modules, "gone_module", gone)
    monkeypatch.setitem(sys.modules, "no_module", None)
    found = startup.changed_since(1_900_000_000 * 1_000_000_000)
    assert found == [str(tmp_path / "changed_module.py")]
    assert not any("site-packages" in file for file in startup.changed_since(0))
