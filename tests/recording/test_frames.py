"""Where the user's own code stands on a stack."""

import json
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from pipeline_inspector import compiled
from pipeline_inspector.recording.frames import line_at, users_place


def test_the_innermost_line_of_the_users_own_is_found_through_library_calls() -> None:
    found = []

    class Users(json.JSONEncoder):
        def default(self, o: object) -> object:
            found.append(users_place(sys._getframe(0).f_back))
            return "seen"

    json.dumps([object()], cls=Users, indent=1)
    code, place = found[0]
    assert code is not None
    assert code.co_filename == __file__
    assert code.co_name.startswith("test_the_innermost_line")
    assert line_at(code, place) == code.co_firstlineno + 8


def test_a_thread_that_only_lends_itself_did_not_call() -> None:
    """Sync code that waits in ``async_to_sync`` runs the sync work of the coroutine, on top of its own stack."""
    found = {}

    async def work() -> None:
        found["line"] = await sync_to_async(eval)("users_place(sys._getframe(0).f_back)", dict(globals()))

    async_to_sync(work)()
    assert found["line"] == (None, 0)


def test_a_stack_without_a_line_of_the_users_own_has_none() -> None:
    found: list[object] = []

    def look() -> None:
        foreign = sys._getframe(1)
        assert foreign.f_code.co_filename == threading.__file__
        found.extend(users_place(foreign) for _ in range(2))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(None, 0), (None, 0)]


def test_nobody_is_looked_for_beyond_eighty_frames() -> None:
    deep: dict[str, Any] = {"look": users_place, "here": sys._getframe}
    exec(compile("def go(more):\n    return go(more - 1) if more else look(here())", "<made>", "exec"), deep)
    code, place = deep["go"](70)
    line = sys._getframe().f_lineno - 1
    assert code is not None
    assert code.co_name == "test_nobody_is_looked_for_beyond_eighty_frames"
    assert line_at(code, place) == line
    assert deep["go"](90) == (None, 0)


ASKING = """
import gc, os, sys, threading
from pipeline_inspector.recording import frames
class Held: pass
def garbage():
    held = Held()
    held.itself, held.here = held, threading.local()
    held.here.number = 1
ended = threading.Event()
for _ in range(30):
    threading.Thread(target=ended.wait, daemon=True).start()
gc.set_threshold(20, 1, 1)
for _ in range(2000):
    garbage()
    assert len(frames.stacks()) == 30
assert gc.isenabled()
gc.disable()
frames.stacks()
assert not gc.isenabled()
gc.enable()
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
else:
    frames.stacks()
    os._exit(0 if gc.isenabled() else 1)
"""


@pytest.mark.parametrize("pure", ["", "1"])
def test_whoever_asks_where_threads_are_never_waits_for_the_collector(pure: str) -> None:
    environment = {**os.environ, compiled.PURE: pure}
    asked = subprocess.run([sys.executable, "-c", ASKING], env=environment, timeout=60, capture_output=True, text=True)
    assert (asked.returncode, asked.stderr) == (0, "")
