"""The house keeps its shape: imports point down, files say what they are for, templates carry no script and no style."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline_inspector

PACKAGE = Path(pipeline_inspector.__file__).parent
CHECKOUT = Path(__file__).parent.parent
NAME = "pipeline_inspector"

FLOORS = [
    {"records", "clock", "conf", "packed", "compiled"},
    {"faults"},
    {"store", "live", "readings", "checks", "assembly"},
    {"recording", "control", "reader"},
    {"probes", "page", "management"},
    {"middleware"},
    {"wiring"},
    {"testing"},
    {"pytest_plugin"},
    {"apps"},
]
"""The rooms from the ground up. A room imports only rooms on floors beneath its own."""

NEVER = {
    "page": {"probes", "recording"},
    "management": {"probes", "recording"},
    "probes": {"page", "management", "control", "reader"},
    "middleware": {"page", "management", "control", "store"},
    "recording": {"store", "readings"},
}
"""What a room leaves alone although it lies beneath: the wings meet only on the record, the store and the control state."""

ONLY = {"readings": {"records"}, "control": {"records", "store", "readings"}}

OURS_TO_USE = {"django", "channels", "asgiref", "msgspec", "platformdirs", "django_htmx"}
OPTIONAL = {"redis": "store", "pytest": "pytest_plugin", "pytest_django": "pytest_plugin", "daphne": "probes"}
"""Packages that come with an extra, or with the site, and the one room that may know them."""

LATE = {("pytest_plugin", "pipeline_inspector.testing")}
"""A plugin is imported before Django's settings are known, so it may not import what needs them."""

STANDS_ALONE = {"denied.html"}
"""What a stranger is shown loads nothing, so it holds its style, a constant of ours whose digest the policy names."""

LINES_MAX = 420


def _files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def _short(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent if path.is_relative_to(PACKAGE) else CHECKOUT))


each_file = pytest.mark.parametrize("path", _files(), ids=_short)


def _room(module: str) -> str:
    """The room of a dotted path inside the package; empty for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def _room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py").removeprefix("__init__")


def _imports(tree: ast.AST) -> Iterator[str]:
    """Dotted paths of all modules imported anywhere in ``tree``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == NAME:
            yield from (f"{NAME}.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            yield node.module or ""


def _rooms_used(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    own = _room_of(path)
    return {_room(module) for module in _imports(tree) if module.split(".")[0] == NAME} - {own, ""}


def _floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_its_floor() -> None:
    rooms = {_room_of(path) for path in _files()} - {""}
    assert rooms == set().union(*FLOORS)


@each_file
def test_imports_point_down(path: Path) -> None:
    own = _room_of(path)
    if own:
        assert {room for room in _rooms_used(path) if _floor(room) >= _floor(own)} == set()


@each_file
def test_the_two_wings_leave_each_other_alone(path: Path) -> None:
    own, used = _room_of(path), _rooms_used(path)
    assert used & NEVER.get(own, set()) == set()
    assert own not in ONLY or used <= ONLY[own]


@each_file
def test_no_import_of_another_room_is_put_off_into_a_function(path: Path) -> None:
    functions = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    late = {module for function in functions for module in _imports(function) if module.split(".")[0] == NAME}
    own = _room_of(path)
    assert {module for module in late if _room(module) != own and (own, module) not in LATE} == set()


@each_file
def test_only_declared_packages_are_imported(path: Path) -> None:
    tops = {module.split(".")[0] for module in _imports(ast.parse(path.read_text()))}
    foreign = tops - set(sys.stdlib_module_names) - OURS_TO_USE - {NAME, ""}
    assert {top for top in foreign if OPTIONAL.get(top) != _room_of(path)} == set()


@each_file
def test_a_file_begins_by_saying_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    if path.name == "__init__.py" and path.parent != PACKAGE:
        assert text.strip() == ""
        return
    purpose = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
    assert purpose.endswith((".", ":")), "the first paragraph is made of whole sentences"
    assert len(purpose) <= 400, "it is short"


def test_the_package_itself_holds_nothing_but_its_version() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert [ast.unparse(node) for node in tree.body[1:]] == [f"__version__ = '{pipeline_inspector.__version__}'"]


@each_file
def test_files_stay_readable_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX
    assert "util" not in path.name


def _templates() -> list[Path]:
    folders = [PACKAGE / "templates", CHECKOUT / "templates"]
    return sorted(path for folder in folders for path in folder.rglob("*.html") if path.name not in STANDS_ALONE)


@pytest.mark.parametrize("path", _templates(), ids=_short)
def test_templates_carry_no_script_and_no_style(path: Path) -> None:
    text = path.read_text()
    found = [
        *re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", text),
        *re.findall(r"<style[^>]*>", text),
        *re.findall(r"<[^>]*\sstyle\s*=[^>]*>", text),
        *re.findall(r"<[^>]*\son[a-z]+\s*=[^>]*>", text),
        *re.findall(r"hx-on[:-][^\s>]*", text),
        *re.findall(r"javascript:[^\"']*", text),
    ]
    assert found == []


@pytest.mark.parametrize("path", _templates(), ids=_short)
def test_templates_mark_nothing_safe(path: Path) -> None:
    assert re.findall(r"\|\s*safe\b|autoescape\s+off", path.read_text()) == []


def test_only_the_pages_put_together_pieces_that_were_already_escaped() -> None:
    marking = {path for path in _files() if re.search(r"\bmark_safe\(", path.read_text())}
    assert {_room_of(path) for path in marking} <= {"page"}
