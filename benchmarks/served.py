"""The measured site for a real server: ``benchmarks.served:wsgi`` or ``:asgi``, with the tool named in ``BENCH_TOOL``."""

import mmap
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from threading import local
from wsgiref.types import StartResponse, WSGIEnvironment

from benchmarks import subject
from benchmarks.tools import TOOLS

subject.begin(TOOLS[os.environ["BENCH_TOOL"]], Path(os.environ["BENCH_FOLDER"]), subject.STOCK)

from django.core.asgi import get_asgi_application  # noqa: E402 - needs the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402

if os.environ.get("BENCH_MIGRATE"):
    from django.core.management import call_command

    call_command("migrate", verbosity=0)

application = get_wsgi_application()
asgi = get_asgi_application()

if os.environ.get("BENCH_COUNT"):
    _file = Path(os.environ["BENCH_FOLDER"]) / f"served-{os.getpid()}"
    _file.write_bytes(bytes(4096))
    with _file.open("r+b") as opened:
        _counts = memoryview(mmap.mmap(opened.fileno(), 4096)).cast("Q")
    _places, _own = count(), local()

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The site; each thread counts its requests in the file of its process."""
        if not hasattr(_own, "place"):
            _own.place = next(_places)
        _counts[_own.place] += 1
        return application(environ, start_response)
else:
    wsgi = application
