"""The ordinary end of a process: what it was asked last is kept, and a store that is blocked does not stop it."""

import sqlite3
from contextlib import closing

from tests.sites import Site

ASKED = """
from django.test import Client

client = Client(SERVER_NAME="localhost")
for number in range(50):
    client.get(f"/asked/{number}/")
"""


def test_what_was_asked_last_is_kept_when_the_process_ends(site: Site) -> None:
    site.manage("shell", "-c", ASKED)
    listed = site.manage("pipeline", "tail", "--last", "100", "--count", "50", "--path", "/asked/").stdout
    assert [f"/asked/{number}/" in listed for number in range(50)] == [True] * 50


def test_a_blocked_store_does_not_keep_the_process_from_ending(site: Site) -> None:
    site.configure(f"PIPELINE_INSPECTOR = {{'STORE': {str(site.folder / 'kept.sqlite3')!r}}}")
    site.manage("shell", "-c", ASKED)
    with closing(sqlite3.connect(site.folder / "kept.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ended = site.manage("shell", "-c", ASKED)
    assert "Traceback" not in ended.stderr
