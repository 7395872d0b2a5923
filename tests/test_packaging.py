"""The wheel carries what the app needs, says what it is, and works in a site that has nothing else of the project."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from pipeline_inspector import __version__
from tests.sites import Site

CHECKOUT = Path(__file__).parent.parent
SOURCES = CHECKOUT / "pipeline_inspector"
COMPILED = f"pipeline_inspector/_compiled{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(folder: Path, target: str = "wheel", **env: str) -> tuple[Path, str]:
    """What is built from the checkout, and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PIPELINE_INSPECTOR_PURE": "", **env},
    )
    assert done.returncode == 0, done.stderr
    (built,) = (path for path in folder.iterdir() if path.suffix in (".whl", ".gz"))
    return built, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return build(tmp_path_factory.mktemp("wheel"))[0]


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_carries_every_file_of_the_package(names: set[str]) -> None:
    made_here = {".pyc", ".so", ".pyd"}
    files = {path for path in SOURCES.rglob("*") if path.is_file() and path.suffix not in made_here}
    assert {str(path.relative_to(CHECKOUT)) for path in files} - names == set()
    assert any(name.endswith(".html") for name in names)
    assert any(name.endswith(".js") for name in names)
    assert "pipeline_inspector/py.typed" in names


def test_the_wheel_carries_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {
        "pipeline_inspector",
        f"django_pipeline_inspector-{__version__}.dist-info",
    }


def test_the_wheel_carries_the_compiled_half_and_says_for_which_python(wheel: Path, names: set[str]) -> None:
    assert COMPILED in names
    assert f"-cp{sys.version_info.major}{sys.version_info.minor}-" in wheel.name


@pytest.mark.parametrize(("env", "told"), [({"PIPELINE_INSPECTOR_PURE": "1"}, ""), ({"CC": "false"}, "is not built")])
def test_without_a_compiler_or_when_asked_to_the_wheel_is_for_every_python(
    env: dict[str, str], told: str, tmp_path: Path
) -> None:
    wheel, said = build(tmp_path, **env)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert told in said
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith((".so", ".pyd"))] == []
        assert "pipeline_inspector/compiled.py" in archive.namelist()


def test_the_source_distribution_carries_what_it_is_built_from(tmp_path: Path) -> None:
    source, _ = build(tmp_path, "sdist")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"hatch_build.py", "pipeline_inspector/compiled_half/module.c", "pyproject.toml"} <= names
    assert [name for name in names if name.endswith((".so", ".pyd"))] == []


def test_the_wheel_says_what_it_is_and_needs(metadata: Message) -> None:
    assert metadata["Name"] == "django-pipeline-inspector"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert {"redis", "test", "dev"} <= set(metadata.get_all("Provides-Extra", []))


def test_what_a_user_installs_is_small_and_not_pinned(metadata: Message) -> None:
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {re.split(r"[<>=!~ ;\[]", line)[0].lower() for line in needed}
    assert names == {"asgiref", "channels", "django", "django-htmx", "msgspec", "platformdirs"}
    assert [line for line in needed if "==" in line or "<" in line] == []
    assert "django>=5.2" in [line.lower() for line in needed]


def test_the_wheel_brings_its_pytest_plugin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "[pytest11]\npipeline_inspector = pipeline_inspector.pytest_plugin" in archive.read(name).decode()


def test_every_tool_is_told_of_in_one_file() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert project["tool"]["mypy"]["strict"] is True
    assert project["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"


def test_a_site_with_the_wheel_serves_the_page_and_every_file_it_names(site: Site, wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    site.env["PYTHONPATH"] = str(unpacked)
    where = site.run("-c", "import pipeline_inspector; print(pipeline_inspector.__file__)").stdout
    assert where.startswith(str(unpacked))
    server = site.serve("runserver")
    page = server.get("/__inspector__/")
    assert page.status_code == 200, page.text
    files = re.findall(r'(?:src|href)="([^"#?]+\.(?:js|css|svg)[^"]*)"', page.text)
    assert files
    assert {file: server.get(file).status_code for file in files} == dict.fromkeys(files, 200)
