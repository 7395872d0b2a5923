"""Where the user's own code stands on a stack."""

import json
import sys

from asgiref.sync import async_to_sync, sync_to_async

from pipeline_inspector.recording.frames import users_line


def test_the_innermost_line_of_the_users_own_is_found_through_library_calls() -> None:
    found = []

    class Users(json.JSONEncoder):
        def default(self, o: object) -> object:
            found.append(users_line(sys._getframe(0).f_back))
            return "seen"

    json.dumps([object()], cls=Users, indent=1)
    code, line = found[0]
    assert code is not None
    assert code.co_filename == __file__
    assert code.co_name.startswith("test_the_innermost_line")
    assert line > 0


def test_a_thread_that_only_lends_itself_did_not_call() -> None:
    """Sync code that waits in ``async_to_sync`` runs the sync work of the coroutine, on top of its own stack."""
    found = {}

    async def work() -> None:
        found["line"] = await sync_to_async(eval)("users_line(sys._getframe(0).f_back)", dict(globals()))

    async_to_sync(work)()
    assert found["line"] == (None, 0)
