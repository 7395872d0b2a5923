"""The measured processes: in a virtual environment of their own, ``.bench/venv``, which also holds the tools beside ours."""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".bench"
PYTHON = FOLDER / "venv" / "bin" / "python"
NEEDS = (
    *("django>=5.2,<5.3", "asgiref", "channels", "django-htmx", "msgspec", "platformdirs", "gunicorn", "uvicorn"),
    *("django-debug-toolbar", "django-silk", "sentry-sdk", "opentelemetry-sdk", "opentelemetry-instrumentation-django"),
    *("opentelemetry-instrumentation-asgi", "py-spy"),
)


def prepare() -> None:
    """Make the environment when it is missing or asks for other packages."""
    note = FOLDER / "needs"
    if note.exists() and note.read_text() == "\n".join(NEEDS) and PYTHON.exists():
        return
    print(f"Installing what is measured into {FOLDER}", file=sys.stderr)
    venv.create(FOLDER / "venv", with_pip=True, clear=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *NEEDS], check=True)
    note.write_text("\n".join(NEEDS))


def environment() -> dict[str, str]:
    """What the measured processes find in their environment. All sources are compiled once, as in installed packages."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(FOLDER / "compiled"),
        "DJANGO_SETTINGS_MODULE": "",
    }


class Process:
    """A measured process, ``python -m`` with ``command``, that answers each line with one. ``environ`` is added to its
    environment."""

    def __init__(self, *command: str, environ: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**environment(), **(environ or {})},
            cwd=ROOT,
        )
        self._out: IO[str] = self.process.stdout  # type: ignore[assignment]
        self._in: IO[str] = self.process.stdin  # type: ignore[assignment]

    def line(self) -> str:
        """The next line it says. Raises ``RuntimeError`` when it has ended."""
        line = self._out.readline()
        if not line:
            raise RuntimeError(f"the measured process {self.process.args!r} ended with {self.process.wait()}")
        return line.strip()

    def answer(self, question: str) -> str:
        """What it says to ``question``."""
        self._in.write(f"{question}\n")
        self._in.flush()
        return self.line()

    def close(self) -> None:
        """End the process."""
        self._in.close()
        self.process.wait(30)


class Subject(Process):
    """One measured site in a process; ``ask()`` gives what it answers."""

    def __init__(self, tool: str) -> None:
        super().__init__("benchmarks.subject", tool)
        while self.line() != "ready":
            pass

    def ask(self, interface: str, case: str, amount: float) -> dict[str, float]:
        """One question of ``benchmarks.subject``."""
        answer: dict[str, float] = json.loads(self.answer(f"{interface}|{case}|{amount}"))
        return answer


@contextmanager
def subjects(tools: list[str]) -> Iterator[dict[str, Subject]]:
    """A process for each tool."""
    with ExitStack() as stack:
        made = {}
        for tool in tools:
            made[tool] = Subject(tool)
            stack.callback(made[tool].close)
        yield made


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one server's files."""
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        yield Path(name)
