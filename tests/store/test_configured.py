"""Which store a process uses: what the setting says."""

import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from django.test import override_settings

from pipeline_inspector.store import configured
from pipeline_inspector.store.memory import MemoryStore
from pipeline_inspector.store.redis import RedisStore
from pipeline_inspector.store.sqlite import SqliteStore
from tests.store.places import batch

_WITHOUT_REDIS = """
import sys
sys.modules["redis"] = None
try:
    import pipeline_inspector.store.redis
except ImportError as error:
    print(error)
"""


def test_there_is_one_store_and_a_changed_setting_makes_another(tmp_path: Path) -> None:
    with override_settings(PIPELINE_INSPECTOR={"STORE": str(tmp_path / "a.sqlite3")}):
        first = configured.store()
        assert configured.store() is first
        assert first.location() == str(tmp_path / "a.sqlite3")
    with override_settings(PIPELINE_INSPECTOR={"STORE": tmp_path / "b.sqlite3"}):
        assert configured.store().location() == str(tmp_path / "b.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_without_a_setting_it_is_a_file_in_the_users_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda app: tmp_path / app)
    with override_settings(PIPELINE_INSPECTOR={}):
        where = Path(configured.store().location())
    assert where.parent.parent == tmp_path / "django-pipeline-inspector"
    assert where.parent.name.startswith("tests-")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_one_in_the_projects_folder() -> None:
    with override_settings(PIPELINE_INSPECTOR={"STORE": "var/inspector.sqlite3"}):
        assert configured.store().location() == str(configured.project_folder() / "var" / "inspector.sqlite3")


def test_an_address_means_redis_with_the_projects_name() -> None:
    with override_settings(PIPELINE_INSPECTOR={"STORE": "redis://example.test:1/2"}):
        store = configured.store()
        assert isinstance(store, RedisStore)
        assert store.location() == "Redis at example.test:1, database 2, keys pipeline-inspector:tests:*"


def test_a_malformed_address_means_memory_and_is_told() -> None:
    with override_settings(PIPELINE_INSPECTOR={"STORE": "redis://example.test:port/"}):
        store = configured.store()
    assert isinstance(store, MemoryStore)
    assert any("Port could not be cast" in problem for problem in store.problems())


def test_without_the_redis_package_the_extra_is_named() -> None:
    said = subprocess.run([sys.executable, "-c", _WITHOUT_REDIS], capture_output=True, text=True, check=True).stdout
    assert "pip install 'django-pipeline-inspector[redis]'" in said


def test_another_store_can_be_used_for_a_while(tmp_path: Path) -> None:
    usual = configured.store()
    mine = MemoryStore(lambda: 5)
    with configured.use(mine) as used:
        assert used is mine
        assert configured.store() is mine
        with configured.use(SqliteStore(tmp_path / "x", lambda: 5)) as inner:
            assert configured.store() is inner
        assert configured.store() is mine
    assert configured.store() is usual


def test_the_limit_is_that_of_the_setting(tmp_path: Path) -> None:
    setting = {"STORE": str(tmp_path / "a.sqlite3")}
    with override_settings(PIPELINE_INSPECTOR=setting):
        configured.store().append(batch(50))
        with override_settings(PIPELINE_INSPECTOR={**setting, "MAX_REQUESTS": 10}):
            configured.store().append(batch(1))
            assert len(list(configured.store().newest())) == 10
        configured.close()


@pytest.mark.parametrize(
    ("module", "file", "name"),
    [
        ("shop.settings", "shop/settings.py", "shop"),
        ("config.settings.local", "config/settings/local.py", "projects-shop"),
        ("config.settings", "config/settings/__init__.py", "projects-shop"),
        ("settings", "settings.py", "projects-shop"),
    ],
)
def test_the_projects_name_is_that_of_its_package_or_else_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, file: str, name: str
) -> None:
    folder = tmp_path / "projects shop"
    monkeypatch.setitem(sys.modules, module, type(sys)(module))
    monkeypatch.setattr(sys.modules[module], "__file__", str(folder / file), raising=False)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", module)
    assert configured.project_folder() == folder
    assert configured.project_name() == name
