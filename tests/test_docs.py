"""The documents tell of every setting, check, command, option and export, and their links lead somewhere."""

import re
from argparse import Action, ArgumentParser, _SubParsersAction
from pathlib import Path

import pytest
from django.core.management import load_command_class

import pipeline_inspector
from pipeline_inspector import conf
from pipeline_inspector.readings.exports import EXPORTS

CHECKOUT = Path(__file__).parent.parent
DOCS = CHECKOUT / "docs"
README = CHECKOUT / "README.md"
CHECKS = Path(pipeline_inspector.__file__).parent / "checks.py"


def _text(name: str) -> str:
    return (DOCS / name).read_text()


def _headings(name: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", _text(name), re.MULTILINE)


@pytest.mark.parametrize("key", conf.DEFAULTS)
def test_every_setting_has_its_own_section_with_its_default(key: str) -> None:
    section = _text("settings.md").partition(f"\n## `{key}`\n")[2].partition("\n## ")[0]
    default = repr(conf.DEFAULTS[key]).replace("'", '"')
    assert f"Default: `{default}`" in section


@pytest.mark.parametrize("key", conf.DEFAULTS)
def test_the_readme_lists_every_setting_with_its_default(key: str) -> None:
    default = repr(conf.DEFAULTS[key]).replace("'", '"')
    assert f"| `{key}` | `{default}` |" in README.read_text()


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert {heading.strip("`") for heading in _headings("settings.md") if heading.startswith("`")} == set(conf.DEFAULTS)


def test_every_check_has_its_own_section_and_no_other_has() -> None:
    written = set(re.findall(r"\b[EWI]\d{3}\b", CHECKS.read_text()))
    documented = {
        heading.strip("`").rpartition(".")[2] for heading in _headings("checks.md") if heading.startswith("`")
    }
    assert documented == written


def _parser(app: str, name: str) -> ArgumentParser:
    return load_command_class(app, name).create_parser("manage.py", name)


def _own_options(parser: ArgumentParser) -> list[str]:
    """The options of ``parser`` that are not of every Django command."""
    common = {option for action in _parser("demo_site", "loaddemo")._actions for option in action.option_strings}
    options = [option for action in parser._actions for option in action.option_strings]
    return [option for option in options if option not in common and option.startswith("--")]


def _words() -> dict[str, ArgumentParser]:
    actions: list[Action] = _parser("pipeline_inspector", "pipeline")._actions
    (words,) = [action for action in actions if isinstance(action, _SubParsersAction)]
    return dict(words.choices)


@pytest.mark.parametrize("word", _words())
def test_every_word_of_the_command_is_documented_with_its_options(word: str) -> None:
    section = _text("commands.md").partition(f"\n## `pipeline {word}")[2].partition("\n## ")[0]
    assert section
    assert [option for option in _own_options(_words()[word]) if f"`{option}" not in section] == []


def test_no_word_is_documented_that_does_not_exist() -> None:
    found = re.findall(r"^## `pipeline (\w+)", _text("commands.md"), re.MULTILINE)
    assert sorted(found) == sorted(_words())


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_is_documented(name: str) -> None:
    assert f"| `{name}` |" in _text("commands.md")


@pytest.mark.parametrize("command", ["loaddemo", "traffic"])
def test_the_commands_of_the_demo_are_documented_with_their_options(command: str) -> None:
    text = _text("demo.md")
    assert f"manage.py {command}" in text
    assert [option for option in _own_options(_parser("demo_site", command)) if f"`{option}" not in text] == []


def _pages() -> list[Path]:
    return [README, *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_links_to_files_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_readme_links_to_every_document() -> None:
    text = README.read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in text] == []


def test_this_version_is_in_the_change_log() -> None:
    assert f"\n## [{pipeline_inspector.__version__}]" in (CHECKOUT / "CHANGELOG.md").read_text()


def test_make_help_names_every_task() -> None:
    text = (CHECKOUT / "Makefile").read_text()
    tasks = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()) - {"help", "wheel"}
    assert {task for task in tasks if f'"make {task} ' not in text} == set()
