"""Sends varied requests to the running demo site, at a chosen rate."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_site.visitor import Visitor

VISITORS = 4
GIVE_UP_AFTER = 30.0


class Command(BaseCommand):
    """``manage.py traffic --rate 5``: until Ctrl-C, for ``--seconds``, or until nobody has answered for half a minute."""

    help = "Send varied requests to the running demo site."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Rate, duration, address, patience and seed."""
        parser.add_argument("--rate", type=float, default=5.0, help="errands a second (default 5)")
        parser.add_argument("--seconds", type=float, default=None, help="stop after so long (default: on Ctrl-C)")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="the site (default http://127.0.0.1:8000)")
        parser.add_argument(
            "--wait", type=float, default=30.0, help="seconds to wait for the site to start (default 30)"
        )
        parser.add_argument("--seed", type=int, default=None, help="for the same choices each time")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send until told to stop, then say how many answers of which status came back."""
        if options["rate"] <= 0:
            raise CommandError(f"--rate is {options['rate']}; it takes a number of errands a second greater than 0.")
        base = options["url"].rstrip("/")
        _wait_for(base, options["wait"])
        statuses = self._send(base, options["rate"], options["seconds"], random.Random(options["seed"]))
        counted = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
        self.stdout.write(f"{statuses.total()} errands: {counted or 'none'}")

    def _send(self, base: str, rate: float, seconds: float | None, chance: random.Random) -> Counter[str]:
        statuses: Counter[str] = Counter()
        crew = threading.local()
        until = None if seconds is None else time.monotonic() + seconds
        answered_at = time.monotonic()

        def errand() -> None:
            nonlocal answered_at
            if not hasattr(crew, "visitor"):
                crew.visitor = Visitor(base, random.Random(chance.random()))
            try:
                statuses[str(crew.visitor.run_errand())] += 1
                answered_at = time.monotonic()
            except OSError:
                statuses["no answer"] += 1

        with ThreadPoolExecutor(VISITORS) as pool:
            try:
                while (until is None or time.monotonic() < until) and time.monotonic() < answered_at + GIVE_UP_AFTER:
                    pool.submit(errand)
                    time.sleep(chance.uniform(0.5, 1.5) / rate)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
        return statuses


def _wait_for(base: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            Visitor(base, random.Random()).get("/health/")
        except OSError as error:
            if time.monotonic() > until:
                raise CommandError(f"No site answers at {base} after {seconds:g} s: {error}") from None
            time.sleep(0.2)
        else:
            return
