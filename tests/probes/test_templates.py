"""Each template is seen rendering once, by its relation to the one around it, and none of its values is looked at."""

import asyncio
import traceback
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import django
import pytest
from django.http import HttpRequest
from django.template import Context, Engine, RequestContext, TemplateSyntaxError, engines
from django.template.base import Template
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.test import RequestFactory

from pipeline_inspector import faults
from pipeline_inspector.probes import templates
from pipeline_inspector.recording.kinds import EVENT_LIMIT, RENDER, TEMPLATE
from pipeline_inspector.recording.tape import Tape
from tests.probes.taping import events, taping

SOURCES = {
    "page.html": '{% extends "middle.html" %}{% block body %}{{ title }}{% include "row.html" %}{% endblock %}',
    "middle.html": '{% extends "base.html" %}',
    "base.html": "<p>{% block body %}{% endblock %}</p>",
    "row.html": "<i>{{ title }}</i>",
    "list.html": '{% for item in items %}{% include "row.html" with title=item only %}{% endfor %}',
    "broken.html": '{% include "failing.html" %}',
    "failing.html": "{{ thing.fail }}",
    "lost.html": "{% extends nothing %}",
}


class Seen(NamedTuple):
    start: int
    end: int
    thread: int
    name: str
    engine: str
    keys: tuple[str, ...]
    relation: str
    file: str


class Thing:
    """A value that notices when somebody looks at it, and can fail."""

    def __init__(self) -> None:
        self.looked = 0

    def fail(self) -> None:
        raise LookupError("failed inside a template")

    def __str__(self) -> str:
        self.looked += 1
        return "seen"

    __repr__ = __str__

    def __bool__(self) -> bool:
        self.looked += 1
        return True


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    templates.install()
    faults.forget()
    yield
    assert faults.seen() == []


@pytest.fixture
def engine() -> Engine:
    return Engine(loaders=[("django.template.loaders.locmem.Loader", SOURCES)])


def renders(tape: Tape) -> list[Seen]:
    return sorted((Seen(*event) for event in events(tape, TEMPLATE)), key=lambda seen: (seen.start, -seen.end))


def test_extends_and_include_are_told_apart_and_lie_inside_each_other(engine: Engine) -> None:
    with taping() as tape:
        text = engine.get_template("page.html").render(Context({"title": "News"}))
    assert text == "<p>News<i>News</i></p>"
    seen = renders(tape)
    assert [(one.name, one.relation) for one in seen] == [
        ("page.html", "render"),
        ("middle.html", "extends"),
        ("base.html", "extends"),
        ("row.html", "include"),
    ]
    assert [one.keys for one in seen[:3]] == [("title",)] * 3
    for outer, inner in pairwise(seen):
        assert outer.start <= inner.start <= inner.end <= outer.end
    assert tape.template_count == 4
    assert {one.engine for one in seen} == {"django"}


def test_an_include_in_a_loop_is_seen_each_time(engine: Engine) -> None:
    with taping() as tape:
        engine.get_template("list.html").render(Context({"items": ["a", "b", "c"]}))
    assert [one.relation for one in renders(tape)] == ["render", "include", "include", "include"]
    assert renders(tape)[1].keys == ("title",)


def test_a_template_rendered_inside_a_tag_is_a_render_of_its_own(engine: Engine) -> None:
    inner = engine.get_template("row.html")

    class Tag:
        def text(self) -> str:
            return inner.render(Context({"title": "own"}))

    with taping() as tape:
        engine.from_string("{{ tag.text }}").render(Context({"tag": Tag()}))
    assert [(one.name, one.relation) for one in renders(tape)] == [("<string>", "render"), ("row.html", "render")]


def test_context_names_are_kept_without_looking_at_values(engine: Engine) -> None:
    thing = Thing()
    with taping() as tape:
        engine.get_template("row.html").render(Context({"title": "x", "thing": thing}))
    assert set(renders(tape)[0].keys) == {"title", "thing"}
    assert thing.looked == 0


def test_names_of_a_context_are_bounded(engine: Engine) -> None:
    with taping() as tape:
        engine.get_template("row.html").render(Context({str(number): number for number in range(10_000)}))
    assert len(renders(tape)[0].keys) == templates.KEYS_KEPT


def test_a_dict_of_the_sites_own_kind_is_not_asked_for_its_names(engine: Engine) -> None:
    class Own(dict[str, int]):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("asked")

    with taping() as tape:
        engine.get_template("row.html").render(Context(Own(own=1)))
    assert renders(tape)[0].keys == ("own",)


def test_what_context_processors_add_shows_in_included_templates() -> None:
    def processor(_: HttpRequest) -> dict[str, Any]:
        return {"added": 1}

    engine = Engine(loaders=[("django.template.loaders.locmem.Loader", SOURCES)])
    with taping() as tape:
        context = RequestContext(RequestFactory().get("/"), {"title": "x"}, [processor])
        engine.get_template("page.html").render(context)
    assert "added" in renders(tape)[-1].keys


def test_a_context_that_is_no_dict_gives_no_names_and_is_not_asked(engine: Engine) -> None:
    class Strange:
        def __getitem__(self, key: str) -> str:
            raise KeyError(key)

        def __contains__(self, key: str) -> bool:
            return False

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("asked")

    with taping() as tape:
        engine.get_template("row.html").render(Context(Strange()))  # type: ignore[arg-type]
    assert renders(tape)[0].keys == ()


def test_the_file_of_a_template_is_where_it_was_loaded_from(tmp_path: Any) -> None:
    (tmp_path / "a.html").write_text("a")
    with taping() as tape:
        Engine(dirs=[str(tmp_path)]).get_template("a.html").render(Context())
        Engine().from_string("b").render(Context())
    assert [(one.name, one.file) for one in renders(tape)] == [("a.html", str(tmp_path / "a.html")), ("<string>", "")]


@pytest.mark.parametrize("name", ["broken.html", "lost.html"])
def test_an_exception_leaves_as_without_us(engine: Engine, name: str) -> None:
    def fail() -> BaseException:
        with pytest.raises((LookupError, TemplateSyntaxError)) as caught:
            engine.get_template(name).render(Context({"thing": Thing()}))
        return caught.value

    fail()
    bare = fail()
    with taping() as tape:
        watched = fail()
    lines = [[(line.filename, line.name) for line in traceback.extract_tb(e.__traceback__)] for e in (bare, watched)]
    assert lines[1] == [line for line in lines[0] if "pipeline_inspector/probes" not in line[0]]
    assert str(watched) == str(bare)
    assert renders(tape)[0].name == name


def test_nothing_is_kept_outside_a_request(engine: Engine) -> None:
    with taping() as tape:
        pass
    engine.get_template("page.html").render(Context({"title": "x"}))
    assert SimpleTemplateResponse(engine.get_template("row.html")).is_rendered is False
    assert tape.events == []
    assert tape.template_count == 0


def test_templates_beyond_the_tapes_end_are_counted_all_the_same(engine: Engine) -> None:
    with taping() as tape:
        tape.events.extend([(-1,)] * EVENT_LIMIT)
        engine.get_template("row.html").render(Context())
    assert (tape.template_count, tape.dropped) == (1, 1)


def test_installing_twice_keeps_each_render_once(engine: Engine) -> None:
    templates.install()
    with taping() as tape:
        engine.get_template("row.html").render(Context())
    assert len(renders(tape)) == 1


def test_methods_keep_their_names_and_the_private_render_is_not_touched() -> None:
    assert Template.render.__qualname__ == "Template.render"
    assert Template.render.__module__ == "django.template.base"
    assert "pipeline_inspector" not in Template._render.__code__.co_filename


def test_a_template_response_is_seen_when_it_really_renders() -> None:
    template = engines["django"].from_string("hello {{ name }}")
    with taping() as tape:
        response = TemplateResponse(RequestFactory().get("/"), template, {"name": "you"})
        assert events(tape, RENDER) == []
        response.render()
        response.render()
    assert response.content == b"hello you"
    ((start, end, _),) = events(tape, RENDER)
    (render,) = renders(tape)
    assert start <= render.start <= render.end <= end


def test_a_template_response_that_fails_is_seen_and_its_exception_goes_on() -> None:
    template = engines["django"].from_string("{{ thing.fail }}")
    with taping() as tape, pytest.raises(LookupError, match="failed inside") as caught:
        SimpleTemplateResponse(template, {"thing": Thing()}).render()
    assert len(events(tape, RENDER)) == 1
    assert all("pipeline_inspector/probes" not in line.filename for line in traceback.extract_tb(caught.tb))


def test_two_tasks_that_extend_at_once_keep_their_own_parents(engine: Engine) -> None:
    tapes: dict[str, Tape] = {}

    async def work(name: str) -> None:
        with taping() as tape:
            tapes[name] = tape
            await asyncio.to_thread(engine.get_template(name).render, Context({"title": "x"}))

    async def both() -> None:
        await asyncio.gather(work("page.html"), work("middle.html"))

    asyncio.run(both())
    assert [one.name for one in renders(tapes["page.html"])] == ["page.html", "middle.html", "base.html", "row.html"]
    assert [one.name for one in renders(tapes["middle.html"])] == ["middle.html", "base.html"]


def test_a_partial_is_an_include_of_its_page() -> None:
    if django.VERSION < (6, 0):
        assert not hasattr(django.template.base, "PartialTemplate")
        return
    sources = {"p.html": "{% partialdef row %}<i>{{ x }}</i>{% endpartialdef %}{% partial row %}"}
    engine = Engine(loaders=[("django.template.loaders.locmem.Loader", sources)])
    with taping() as tape:
        assert engine.get_template("p.html").render(Context({"x": 1})) == "<i>1</i>"
        assert engine.get_template("p.html#row").render(Context({"x": 2})) == "<i>2</i>"
    assert [(one.name, one.relation) for one in renders(tape)] == [
        ("p.html", "render"),
        ("row", "include"),
        ("row", "render"),
    ]
