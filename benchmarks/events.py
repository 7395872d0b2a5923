"""What one more query or template costs: asked for in turn with a request in hand and with none, in one process."""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from benchmarks.pairs import Pair, beside, quiet

ROUNDS = 120
INCLUDES = 20


def events(rounds: int = ROUNDS) -> dict[str, float]:
    """Microseconds that recording one event adds, by its kind, over changing depths of the stack: the median over the quiet
    pairs of turns with it and without."""
    from django.contrib.auth.models import Group
    from django.db import connection
    from django.http import HttpResponse
    from django.template import Context, Engine
    from django.urls import path

    from benchmarks import subject, urls
    from pipeline_inspector.recording.tape import put_down, take

    def raw() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    engine = Engine(loaders=[("django.template.loaders.locmem.Loader", subject._TEMPLATES)])
    plain, including = engine.get_template("row.html"), engine.get_template("includes.html")
    extending = Engine(
        loaders=[("django.template.loaders.locmem.Loader", {**subject._TEMPLATES, "page": "{% extends 'base.html' %}"})]
    ).get_template("page")
    numbers = range(INCLUDES)
    kinds: dict[str, tuple[Callable[[], Any], int]] = {
        "a query by a cursor": (raw, 1),
        "a list of objects": (lambda: list(Group.objects.filter(pk=1)), 1),
        "`first()`": (lambda: Group.objects.filter(pk=1).first(), 1),
        "`update()`": (lambda: Group.objects.filter(pk=1).update(name="bench"), 1),
        "a template": (lambda: plain.render(Context({"number": 1})), 1),
        "an included template": (lambda: including.render(Context({"numbers": numbers})), INCLUDES),
        "a template that extends another": (lambda: extending.render(Context({"title": "bench"})), 2),
    }
    with_it: dict[str, list[int]] = {name: [] for name in kinds}
    without: dict[str, list[int]] = {name: [] for name in kinds}

    def measure(request: Any) -> HttpResponse:
        """A view: every kind once at each depth of the stack, with the request in hand every other time."""
        tape = request._pipeline_tape
        for depth in range(subject.DEEPEST):
            for number, (name, (work, _)) in enumerate(kinds.items()):
                recorded = (depth + number + tape.number) % 2
                token = take(tape if recorded else None)
                start = perf_counter_ns()
                subject._at_depth(depth, work)
                (with_it if recorded else without)[name].append(perf_counter_ns() - start)
                put_down(token)
            tape.events.clear()
            tape.query_count = tape.template_count = 0
        return HttpResponse()

    urls.urlpatterns.append(path("measure/", measure))
    subject._migrate()
    call = subject._wsgi_call("/measure/")
    call()
    pairs: dict[str, list[Pair]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for times in (*with_it.values(), *without.values()):
            times.clear()
        call()
        call()  # what was recorded is not, and the other way round
        for name, both in pairs.items():
            both.append((statistics.median(without[name]), statistics.median(with_it[name])))
    return {name: beside(quiet(pairs[name]))[0] / count / 1e3 for name, (_, count) in kinds.items()}


if __name__ == "__main__":
    from benchmarks.subject import STOCK, begin
    from benchmarks.tools import TOOLS

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        begin(TOOLS["inspector"], Path(folder), STOCK)
        json.dump(events(), sys.stdout)
