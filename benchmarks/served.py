"""The measured site for a real server: ``benchmarks.served:wsgi`` or ``:asgi``, with the tool named in ``BENCH_TOOL``."""

import os
from pathlib import Path

from benchmarks import subject
from benchmarks.tools import TOOLS

subject.begin(TOOLS[os.environ["BENCH_TOOL"]], Path(os.environ["BENCH_FOLDER"]), subject.STOCK)

from django.core.asgi import get_asgi_application  # noqa: E402 - needs the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402

if os.environ.get("BENCH_MIGRATE"):
    from django.core.management import call_command

    call_command("migrate", verbosity=0)

wsgi = get_wsgi_application()
asgi = get_asgi_application()
