"""``manage.py pipeline``: the chain and its switches, the requests and their records, on the command line."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from django.apps import apps
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import BaseCommand, CommandError, CommandParser

from pipeline_inspector import conf
from pipeline_inspector.control import toggles
from pipeline_inspector.control.advice import Finding, advise, leaning_on
from pipeline_inspector.management import text
from pipeline_inspector.reader import Filter, Reader
from pipeline_inspector.readings.exports import EXPORTS
from pipeline_inspector.readings.statistics import Statistics
from pipeline_inspector.records import NotUsed, Plan, PlanLayer, RequestRecord, to_json
from pipeline_inspector.store import configured
from pipeline_inspector.store.base import StoreError

LOADED_WITHIN = 5.0
LOOK_EVERY = 0.2
AT_ONCE = 200
NEWEST = "last"


class SwitchedLayer(PlanLayer, kw_only=True):
    """A layer of the chain, ``enabled`` for everyone."""

    enabled: bool


class Pipeline(msgspec.Struct):
    """What ``--json`` prints: the answer of the API's ``pipeline/``."""

    layers: list[SwitchedLayer]
    not_used: list[NotUsed]
    findings: list[Finding]
    statistics: Statistics
    interface: str
    plan_id: str


class Command(BaseCommand):
    """Without a word of its own, prints the chain."""

    help = "Print the middleware chain, switch layers off and on, and read the recorded requests."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """One word says what to do."""
        parser.add_argument("--json", action="store_true", help="print the chain as JSON")
        words = parser.add_subparsers(dest="word", metavar="word")
        for word, (_, about) in _WORDS.items():
            _ARGUMENTS.get(word, _no_arguments)(words.add_parser(word, help=about, description=about))

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the word says. Raises ``CommandError`` when that cannot be done."""
        act = _WORDS[options["word"]][0] if options["word"] else Command.print_chain
        try:
            act(self, Reader(configured.store()), options)
        except (StoreError, toggles.UnknownLayer) as error:
            raise CommandError(str(error)) from error

    def print_chain(self, reader: Reader, options: dict[str, Any]) -> None:
        """The chain as text or JSON."""
        plan = _plan(reader)
        state = reader.store.control()
        figures = reader.statistics()
        findings = advise(plan, state.off, figures, csrf_use_sessions=settings.CSRF_USE_SESSIONS)
        if options["json"]:
            layers = [
                SwitchedLayer(**msgspec.structs.asdict(layer), enabled=layer.id not in state.off)
                for layer in plan.layers
            ]
            answer = Pipeline(layers, plan.not_used, findings, figures, plan.interface, plan.id)
            self.stdout.write(to_json(answer).decode())
        else:
            self.stdout.write(text.lines(text.chain(plan, state, findings, self.style)))
            self.stdout.write(f"\nRequests are kept in {reader.store.location()}.")

    def switch_off(self, reader: Reader, options: dict[str, Any]) -> None:
        """A layer off for everyone, and what will miss it."""
        plan = _plan(reader)
        layer_id = toggles.resolve(options["name"], (layer.id for layer in plan.layers))
        off = reader.store.control().off
        missing = leaning_on(plan, layer_id, off, csrf_use_sessions=settings.CSRF_USE_SESSIONS)
        toggles.switch(reader.store, layer_id, enabled=False)
        self.stdout.write(f"{layer_id} is off for everyone, from the next request on.")
        self.stdout.writelines(f"{line}\n" for finding in missing for line in text.advice(finding, self.style))

    def switch_on(self, reader: Reader, options: dict[str, Any]) -> None:
        """A layer on again; also one that has left the chain since."""
        off = reader.store.control().off
        known = dict.fromkeys([*(layer.id for layer in _plan(reader).layers), *off])
        layer_id = toggles.resolve(options["name"], known)
        toggles.switch(reader.store, layer_id, enabled=True)
        self.stdout.write(f"{layer_id} is on, from the next request on.")

    def reset(self, reader: Reader, options: dict[str, Any]) -> None:
        """Every layer on."""
        toggles.reset(reader.store)
        self.stdout.write("Every layer is on, for everyone, from the next request on.")

    def tail(self, reader: Reader, options: dict[str, Any]) -> None:
        """The newest requests, then each as it comes; until Ctrl-C, or so many lines."""
        wanted = Filter(**{name: options[name] for name in Filter.__struct_fields__})
        left = options["count"]
        seq = reader.store.last_seq()
        rows = reader.newest(options["last"], wanted) if options["last"] else []
        try:
            while True:
                for row in rows[:left]:
                    self.stdout.write(to_json(row).decode() if options["json"] else text.row(row, self.style))
                left = None if left is None else left - len(rows)
                if left is not None and left <= 0:
                    return
                while reader.store.last_seq() == seq:
                    time.sleep(LOOK_EVERY)
                rows, seq = reader.after(seq, AT_ONCE, wanted)
        except KeyboardInterrupt:
            return

    def show(self, reader: Reader, options: dict[str, Any]) -> None:
        """One request as text."""
        self.stdout.write(text.lines(text.record(_record(reader, options["id"]), self.style)))

    def export(self, reader: Reader, options: dict[str, Any]) -> None:
        """One request in a format that other tools open."""
        content = EXPORTS[options["format"]].render(_record(reader, options["id"]))
        if options["output"] == "-":
            self.stdout.write(content.decode())
            return
        try:
            Path(options["output"]).write_bytes(content)
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{len(content)} bytes in {options['output']}")

    def token(self, reader: Reader, options: dict[str, Any]) -> None:
        """The token that state-changing calls of the API carry."""
        self.stdout.write(reader.store.token())


def _record(reader: Reader, record_id: str) -> RequestRecord:
    if record_id == NEWEST:
        newest = reader.newest(1, Filter())
        record_id = newest[0].id if newest else record_id
    found = reader.record(record_id)
    if found is None:
        raise CommandError(
            f"No request {record_id!r} is kept in {reader.store.location()}. 'manage.py pipeline tail --json' prints ids."
        )
    return found


def _plan(reader: Reader) -> Plan:
    """The chain that the site loaded last; when it has loaded none yet, it is loaded here. Raises ``CommandError``."""
    plan = reader.newest_plan()
    if plan is not None:
        return plan
    if not conf.current().enabled:
        raise CommandError(
            f"The inspector is off (DEBUG is {settings.DEBUG}), so no chain is known. "
            f"Set DEBUG or {conf.NAME}['ENABLED'] to True."
        )
    is_asgi = apps.is_installed("daphne") and getattr(settings, "ASGI_APPLICATION", None)
    ASGIHandler() if is_asgi else WSGIHandler()
    until = time.monotonic() + LOADED_WITHIN
    while (plan := reader.newest_plan()) is None:
        if time.monotonic() > until:
            raise CommandError(f"The chain was loaded, but {reader.store.location()} did not get it: {_why(reader)}")
        time.sleep(0.02)
    return plan


def _why(reader: Reader) -> str:
    return " ".join(reader.store.problems()) or "no problem is known."


def _name_argument(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="a class name, or the dotted path when several share it")


def _id_argument(parser: ArgumentParser) -> None:
    parser.add_argument("id", help=f"the id of a request, or '{NEWEST}' for the newest")


def _export_arguments(parser: ArgumentParser) -> None:
    _id_argument(parser)
    parser.add_argument("--format", choices=list(EXPORTS), default="json", help="default: json")
    parser.add_argument("-o", "--output", default="-", help="the file to write (default: standard output)")


def _tail_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a line of JSON for each request")
    parser.add_argument("--last", type=int, default=10, help="how many to begin with (default 10)")
    parser.add_argument("--count", type=int, default=None, help="stop after so many lines (default: on Ctrl-C)")
    for name in ("method", "path", "status", "layer", "view", "exception"):
        parser.add_argument(f"--{name}", default="", help=f"only requests of this {name}")
    parser.add_argument("--min-ms", type=float, default=0.0, help="only requests that took so long")


def _no_arguments(parser: ArgumentParser) -> None:
    """A word that stands alone."""


_WORDS: dict[str, tuple[Callable[[Command, Reader, dict[str, Any]], None], str]] = {
    "off": (Command.switch_off, "switch a layer off, for everyone"),
    "on": (Command.switch_on, "switch a layer on again"),
    "reset": (Command.reset, "switch every layer on"),
    "tail": (Command.tail, "print requests as they come"),
    "show": (Command.show, "print one request"),
    "export": (Command.export, "write one request in a format that other tools open"),
    "token": (Command.token, "print the token that changes by the API need"),
}
_ARGUMENTS: dict[str, Callable[[ArgumentParser], None]] = {
    "off": _name_argument,
    "on": _name_argument,
    "tail": _tail_arguments,
    "show": _id_argument,
    "export": _export_arguments,
}
