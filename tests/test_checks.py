"""Wrong set-ups, and what the system checks say of them."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.test import override_settings
from django.urls import include, path, re_path

from pipeline_inspector import conf
from pipeline_inspector.checks import check, register
from tests.sites import Site


def _nothing(request: Any) -> None:
    """A view, and a callable that says no."""


not_a_callable = 7
access = _nothing


def _found(setting: object, **others: Any) -> list[checks.CheckMessage]:
    with override_settings(PIPELINE_INSPECTOR=setting, **{"DEBUG": True, **others}):
        return check()


def _ids(setting: object, **others: Any) -> list[str | None]:
    return [message.id for message in _found(setting, **others)]


def test_while_another_thread_exchanges_the_settings_the_last_ones_hold() -> None:
    before = conf.current()
    kept = settings.__dict__.pop("_wrapped")  # as Django does for an instant, when override_settings() begins or ends
    try:
        assert conf.current() is before
    finally:
        settings._wrapped = kept
    assert conf.current() is before


def test_a_project_without_the_setting_is_fine() -> None:
    assert _ids({}) == []


def test_a_setting_that_is_no_dict_is_an_error() -> None:
    (message,) = _found(["ENABLED"])
    assert (message.id, message.level) == ("pipeline_inspector.E001", checks.ERROR)
    assert "['ENABLED']" in message.msg


def test_an_unknown_key_is_an_error_that_lists_the_known_ones() -> None:
    (message,) = _found({"ENABLE": True})
    assert message.id == "pipeline_inspector.E002"
    assert "'ENABLE'" in message.msg
    assert "ENABLED" in (message.hint or "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ENABLED", "yes"),
        ("PREFIX", "__inspector__"),
        ("STORE", ""),
        ("MAX_REQUESTS", 0),
        ("MAX_REQUESTS", True),
        ("IGNORE", "/health/"),
        ("IGNORE", ["health/"]),
        ("REDACT", ["(unclosed"]),
        ("ACCESS", 3),
        ("ALLOWED_HOSTS", [3]),
        ("CHANNEL_LAYER", ""),
        ("EDITOR", "notepad"),
    ],
)
def test_a_bad_value_is_an_error_that_shows_the_value_and_the_rule(key: str, value: object) -> None:
    (message,) = _found({key: value})
    assert message.id == "pipeline_inspector.E003"
    assert repr(value) in message.msg
    assert key in message.msg
    assert "takes" in (message.hint or "")


def test_enabled_in_production_without_access_is_an_error() -> None:
    assert _ids({"ENABLED": True}, DEBUG=False) == ["pipeline_inspector.E004"]


@pytest.mark.parametrize(
    ("setting", "debug"),
    [({"ENABLED": True}, True), ({}, False), ({"ENABLED": True, "ACCESS": "tests.test_checks.access"}, False)],
)
def test_enabled_is_fine_in_development_or_with_access(setting: dict[str, Any], debug: bool) -> None:
    assert _ids(setting, DEBUG=debug) == []


@pytest.mark.parametrize(
    "dotted", ["tests.test_checks.nobody", "no_such_module.access", "tests.test_checks.not_a_callable"]
)
def test_access_that_cannot_be_called_is_an_error(dotted: str) -> None:
    (message,) = _found({"ACCESS": dotted})
    assert message.id == "pipeline_inspector.E005"
    assert dotted in message.msg


def test_an_alias_that_is_no_channel_layer_is_an_error_that_lists_those_there_are() -> None:
    layers = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    (message,) = _found({"CHANNEL_LAYER": "redis"}, CHANNEL_LAYERS=layers)
    assert message.id == "pipeline_inspector.E006"
    assert "default" in (message.hint or "")
    assert _ids({"CHANNEL_LAYER": "default"}, CHANNEL_LAYERS=layers) == []


def test_a_layer_in_memory_with_several_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    (message,) = _found({})
    assert (message.id, message.level) == ("pipeline_inspector.I001", checks.INFO)
    assert "3" in message.msg


def test_a_shared_layer_with_several_workers_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    assert _ids({}, CHANNEL_LAYERS={"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}) == []


def test_a_store_in_redis_without_its_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ids({"STORE": "redis://localhost/0"}) == []
    monkeypatch.setattr("pipeline_inspector.checks.find_spec", lambda name: None)
    (message,) = _found({"STORE": "redis://:pass@localhost/0"})
    assert message.id == "pipeline_inspector.E007"
    assert "pass" not in message.msg
    assert "[redis]" in (message.hint or "")


@pytest.fixture
def urlconf(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``urlconf(*patterns)``: the name of a URLconf with those."""

    def make(*patterns: Any) -> str:
        module = ModuleType("urls_of_a_check")
        module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module.__name__

    return make


def test_a_prefix_that_hides_pages_of_the_site_is_a_warning(urlconf: Callable[..., str]) -> None:
    root = urlconf(path("tools/", include([path("", _nothing)])))
    (message,) = _found({"PREFIX": "/tools/"}, ROOT_URLCONF=root)
    assert (message.id, message.level) == ("pipeline_inspector.W001", checks.WARNING)
    assert "tools/" in message.msg


def test_a_pattern_that_matches_everything_is_no_collision(urlconf: Callable[..., str]) -> None:
    assert _ids({}, ROOT_URLCONF=urlconf(re_path("^.*$", _nothing))) == []


def test_a_broken_urlconf_is_left_to_djangos_own_checks() -> None:
    assert _ids({}, ROOT_URLCONF="no_such_urlconf") == []


def test_registered_twice_the_checks_run_once() -> None:
    register()
    register()
    with override_settings(PIPELINE_INSPECTOR={"ENABLE": 1}):
        found = [message.id for message in checks.run_checks(tags=["pipeline_inspector"])]
    assert found == ["pipeline_inspector.E002"]


def test_check_deploy_fails_when_enabled_without_debug(site: Site) -> None:
    site.configure('DEBUG = False\nALLOWED_HOSTS = ["a.test"]\nPIPELINE_INSPECTOR = {"ENABLED": True}')
    done = site.manage("check", "--deploy", check=False)
    assert done.returncode == 1
    assert "pipeline_inspector.E004" in done.stderr
