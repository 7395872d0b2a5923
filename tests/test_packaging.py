"""The wheel carries what the app needs, says what it is, and works in a site that has nothing else of the project."""

import re
import subprocess
import sys
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


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
    files = {path for path in SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {str(path.relative_to(CHECKOUT)) for path in files} - names == set()
    assert any(name.endswith(".html") for name in names)
    assert any(name.endswith(".js") for name in names)
    assert "pipeline_inspector/py.typed" in names


def test_the_wheel_carries_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {
        "pipeline_inspector",
        f"django_pipeline_inspector-{__version__}.dist-info",
    }


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
