"""Jinja2's templates are seen as Django's are, nested as they were brought in, and Jinja2 notices nothing."""

import asyncio
import traceback
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.template import engines
from django.test import RequestFactory, override_settings

from pipeline_inspector import faults
from pipeline_inspector.probes import jinja, templates
from pipeline_inspector.recording.kinds import EVENT_LIMIT, TEMPLATE
from pipeline_inspector.recording.tape import Tape
from tests.probes.taping import events, taping

SOURCES = {
    "page.html": '{% extends "middle.html" %}{% block body %}{{ title }}{% include "row.html" %}{% endblock %}',
    "middle.html": '{% extends "base.html" %}',
    "base.html": "<p>{% block body %}{% endblock %}</p>",
    "row.html": "<i>{{ title }}</i>",
    "list.html": '{% for title in items %}{% include "row.html" %}{% endfor %}',
    "alone.html": '{% include "plain.html" without context %}{% include "plain.html" without context %}',
    "plain.html": "plain",
    "macros.html": "{% macro bold(x) %}<b>{{ x }}</b>{% endmacro %}",
    "using.html": '{% from "macros.html" import bold %}{% import "macros.html" as m with context %}{{ bold(m.bold(1)) }}',
    "broken.html": '{% extends "broken-base.html" %}',
    "broken-base.html": '{% include "failing.html" %}',
    "failing.html": "{{ fail() }}",
    "broken-import.html": '{% import "failing-module.html" as m %}',
    "failing-module.html": "{{ 1 // 0 }}",
    "lost.html": '{% include "nowhere.html" ignore missing %}{% include ["nowhere.html", "plain.html"] %}',
}

Told = tuple[str, str]


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    templates.install()
    jinja.install()
    faults.forget()
    yield
    assert faults.seen() == []


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    with override_settings(TEMPLATES=[_backend(tmp_path)]):
        yield engines["jinja"]


def _backend(folder: Path, **options: Any) -> dict[str, Any]:
    backend = "django.template.backends.jinja2.Jinja2"
    return {"BACKEND": backend, "NAME": "jinja", "DIRS": [str(folder)], "OPTIONS": options}


def told(tape: Tape) -> list[Told]:
    """Name and relation of each template, in the order in which they began."""
    seen = sorted(events(tape, TEMPLATE), key=lambda event: (event[0], -event[1]))
    return [(event[3], event[6]) for event in seen]


def test_a_render_is_seen_with_names_and_file(engine: Any, tmp_path: Path) -> None:
    with taping() as tape:
        assert engine.get_template("row.html").render({"title": "you"}, RequestFactory().get("/")) == "<i>you</i>"
        assert engine.from_string("{{ a }}").render({"a": 1}) == "1"
    first, second = events(tape, TEMPLATE)
    assert first[3:] == ("row.html", "jinja2", ("title",), "render", str(tmp_path / "row.html"))
    assert second[3:] == ("<string>", "jinja2", ("a",), "render", "")


def test_extends_and_include_lie_inside_each_other(engine: Any) -> None:
    with taping() as tape:
        text = engine.get_template("page.html").render({"title": "News"})
    assert text == "<p>News<i>News</i></p>"
    assert told(tape) == [
        ("page.html", "render"),
        ("middle.html", "extends"),
        ("base.html", "extends"),
        ("row.html", "include"),
    ]
    seen = sorted(events(tape, TEMPLATE))
    assert [one[5] for one in seen[:3]] == [("title",)] * 3
    for outer, inner in pairwise(seen):
        assert outer[0] <= inner[0] <= inner[1] <= outer[1]
    assert tape.template_count == 4


def test_an_include_is_seen_each_time_with_the_names_it_was_given(engine: Any) -> None:
    with taping() as tape:
        assert engine.get_template("list.html").render({"items": ["a", "b"]}) == "<i>a</i><i>b</i>"
    assert told(tape) == [("list.html", "render"), ("row.html", "include"), ("row.html", "include")]
    included = next(event for event in events(tape, TEMPLATE) if event[6] == "include")
    assert {"items", "title"} <= set(included[5])
    assert not {"range", "dict", "lipsum"} & set(included[5])


def test_a_template_included_without_context_is_seen_though_jinja2_has_it_ready(engine: Any) -> None:
    template = engine.get_template("alone.html")
    assert template.render() == "plainplain"
    with taping() as tape:
        assert template.render() == "plainplain"
    assert told(tape) == [("alone.html", "render"), ("plain.html", "include"), ("plain.html", "include")]


def test_imports_are_seen(engine: Any) -> None:
    with taping() as tape:
        assert engine.get_template("using.html").render() == "<b><b>1</b></b>"
    assert told(tape) == [("using.html", "render"), ("macros.html", "import"), ("macros.html", "import")]


def test_what_is_missing_is_passed_over_and_the_first_there_is_taken(engine: Any) -> None:
    with taping() as tape:
        assert engine.get_template("lost.html").render() == "plain"
    assert told(tape) == [("lost.html", "render"), ("plain.html", "include")]


@pytest.mark.parametrize("name", ["broken.html", "broken-import.html"])
def test_an_exception_leaves_as_without_us_and_what_it_left_is_told(engine: Any, name: str) -> None:
    def fail() -> None:
        raise LookupError("failed inside a template")

    def lines() -> list[tuple[str, str, int | None]]:
        with pytest.raises((LookupError, ZeroDivisionError)) as caught:
            engine.get_template(name).render({"fail": fail})
        return [(line.filename, line.name, line.lineno) for line in traceback.extract_tb(caught.tb)]

    lines()
    bare = [line for line in lines() if "pipeline_inspector/probes" not in line[0]]
    with taping() as tape:
        watched = lines()
    assert watched[1:] == bare[1:]
    assert len(told(tape)) == (3 if name == "broken.html" else 2)


def test_a_page_rendered_by_a_page_is_a_render_of_its_own(engine: Any) -> None:
    with taping() as tape:
        page = engine.from_string("{{ draw() }}{% include 'row.html' %}")
        page.render({"draw": lambda: engine.get_template("page.html").render({"title": 1}), "title": 2})
    assert told(tape)[-1] == ("row.html", "include")
    assert [name for name, relation in told(tape) if relation == "render"] == ["<string>", "page.html"]


def test_many_includes_are_counted_when_they_are_not_kept(engine: Any) -> None:
    with taping() as tape:
        text = engine.get_template("list.html").render({"items": range(EVENT_LIMIT + 5)})
    assert text.count("<i>") == EVENT_LIMIT + 5
    assert tape.template_count == EVENT_LIMIT + 6
    assert tape.dropped == 6


def test_outside_a_request_and_by_hand_jinja2_is_what_it_was(engine: Any) -> None:
    template = engine.get_template("page.html").template
    own = template.__dict__["root_render_func"]
    assert template.root_render_func is own
    assert not hasattr(type(template), "root_render_func")
    with taping() as tape:
        assert template.root_render_func is own
        assert template.render(title=1) == "".join(template.generate(title=1)) == "<p>1<i>1</i></p>"
        assert str(template.environment.get_template("macros.html").module) == ""
    assert told(tape) == []


def test_a_native_environment_gives_native_values(tmp_path: Path) -> None:
    for name, text in {"all.html": "{% include 'one.html' %}", "one.html": "{{ [1, 2] }}"}.items():
        (tmp_path / name).write_text(text)
    from jinja2.nativetypes import NativeEnvironment

    backend = _backend(tmp_path, environment=f"{__name__}.native", autoescape=False)
    globals()["native"] = NativeEnvironment
    with override_settings(TEMPLATES=[backend]), taping() as tape:
        assert engines["jinja"].get_template("all.html").render() == [1, 2]
    assert told(tape) == [("all.html", "render"), ("one.html", "include")]


def test_in_async_mode_the_outermost_template_is_seen(tmp_path: Path) -> None:
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    with override_settings(TEMPLATES=[_backend(tmp_path, enable_async=True)]):
        template = engines["jinja"].get_template("page.html")
        with taping() as tape:
            assert template.render({"title": "x"}) == "<p>x<i>x</i></p>"
            assert asyncio.run(template.template.render_async(title="x")) == "<p>x<i>x</i></p>"
    assert told(tape) == [("page.html", "render")]
