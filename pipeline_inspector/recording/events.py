"""The events of a tape as plain data, secrets hidden: the hooks that Django called, and what else ran. Runs on the recorder
thread only.
"""

import sys
from collections.abc import Callable
from typing import Any

from pipeline_inspector import compiled
from pipeline_inspector.packed import NEVER
from pipeline_inspector.recording.frames import line_at
from pipeline_inspector.recording.kinds import AGAIN, CACHE, HOOK, LOG, QUERIES_KEPT, QUERY, RENDER, TEMPLATE
from pipeline_inspector.recording.numbering import Texts, Threads
from pipeline_inspector.recording.redaction import Redactor
from pipeline_inspector.recording.slots import EXIT
from pipeline_inspector.recording.tape import Tape

TEMPLATES_KEPT = 1000
OTHERS_KEPT = 500
MESSAGE_KEPT = 1000

Many = list[tuple[Any, ...]]
Events = tuple[Many, Many, Many, Many, Many, Many]
"""Renders, entries of layers once more, queries, templates, calls of caches, log lines."""

QUERIES, TEMPLATES = 2, 3
NOTHING: Events = [], [], [], [], [], []


def since(stamp: int, start: int) -> int:
    """Nanoseconds from ``start`` to ``stamp``; ``NEVER`` for a moment that did not come."""
    return stamp - start if stamp else NEVER


def hooks(tape: Tape, start: int, threads: Threads) -> tuple[Many, Many, Many, int, int]:
    """The hooks of ``tape``, begun at ``start``, as they are kept; the events of those that the core called, and all that
    are no hooks; nanoseconds in ``process_view``, and the position of the layer whose hook answered (0: none did)."""
    kept: Many = []
    called: Many = []
    others: Many = []
    in_hooks = answerer = 0
    left = tape.slots[EXIT]
    for event in tape.events:
        if event[0] != HOOK:
            others.append(event)
            continue
        _, began, ended, thread, position, hook, answered, _, _, inside, inside_ended, error = event
        before_view = hook == "process_view"
        if before_view and answered:
            answerer = answerer or position
        if left and left < began:
            continue  # the core ran again, for a layer that called inward once more
        called.append(event)
        if hook:
            if inside:  # else it was called as it is, and not by way of another thread or task
                inside, inside_ended = since(inside, start), since(inside_ended, start)
            else:
                inside = inside_ended = NEVER
            kept.append(
                (began - start, ended - start, threads[thread], position, hook, answered, inside, inside_ended, error)
            )
            if before_view:
                in_hooks += ended - began
    return kept, called, others, in_hooks, answerer


plain_hooks: Callable[[Tape], tuple[bytes, int] | None] = getattr(compiled.half, "plain_hooks", lambda _: None)
"""The hooks of a tape, packed, and nanoseconds in ``process_view``, where they are all that ran, on one thread, and just
returned; None: ``hooks()`` tells them."""


def others(tape: Tape, events: Many, start: int, texts: Texts, threads: Threads, redactor: Redactor) -> Events:
    """``events`` of ``tape``, begun at ``start``, that are no hooks, as they are kept. What is too much is counted."""
    renders: Many = []
    again: Many = []
    queries: Many = []
    templates: Many = []
    cache_calls: Many = []
    logs: Many = []
    left = tape.slots[EXIT] or sys.maxsize
    for event in events:
        kind = event[0]
        times = event[1] - start, event[2] - start, threads[event[3]]
        if kind == QUERY:
            if len(queries) < QUERIES_KEPT:
                _, _, _, _, sql, params, alias, rows, many, inside, error, code, place = event
                if type(rows) is list:
                    rows = rows[0]
                told = redactor.sql_params(sql, params)
                number = texts[redactor.sql(sql)]
                function = code.co_qualname if code is not None else ""
                file = texts.file(code)
                queries.append(
                    (*times, number, told, alias, rows, many, inside, error, file, line_at(code, place), function)
                )
        elif kind == RENDER:
            if left >= event[1]:
                renders.append(times)
        elif kind == AGAIN:
            again.append((times[0], event[4]))
        elif kind == TEMPLATE and len(templates) < TEMPLATES_KEPT:
            _, _, _, _, name, engine, keys, relation, file = event
            number = texts["\0".join(map(str, keys))]
            templates.append((*times, str(name), engine, number, relation, texts[str(file or "")]))
        elif kind == CACHE and len(cache_calls) < OTHERS_KEPT:
            _, _, _, _, alias, operation, key, hit, code, place = event
            cache_calls.append(
                (*times, alias, operation, redactor.text(key), hit, texts.file(code), line_at(code, place))
            )
        elif kind == LOG and len(logs) < OTHERS_KEPT:
            _, _, _, _, level, logger, template, args, file, line = event
            message = redactor.log(logger, template, args)[:MESSAGE_KEPT]
            logs.append((*times, level, logger, message, texts[str(file)], line))
        else:
            tape.dropped += 1
    return renders, again, queries, templates, cache_calls, logs
