"""Gets what the tests need besides Python packages: a Chromium that starts, a Redis server, and a C compiler.

What is there is used. A missing browser is downloaded by Playwright; where that fails, and for the others, root installs the
Debian package. Anybody else is told what to install.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Error, sync_playwright
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).parent.parent
LOG = ROOT / "build" / "needs.log"
sys.path.insert(0, str(ROOT))

import hatch_build  # noqa: E402 - it lies beside what it builds


def browser_starts() -> bool:
    """Does one of the browsers that the tests would take start?"""
    with sync_playwright() as playwright:
        places = [os.environ.get("PLAYWRIGHT_CHROMIUM", ""), playwright.chromium.executable_path, "/usr/bin/chromium"]
        found = next((place for place in places if place and Path(place).exists()), None)
        if found is None:
            return False
        try:
            playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"]).close()
        except Error as error:
            _note(f"{found} does not start: {error}")
            return False
        return True


def redis_is_there() -> bool:
    """Is there a ``redis-server`` to start?"""
    return shutil.which("redis-server") is not None


def compiles() -> bool:
    """Can the compiled half of the package be built?"""
    with tempfile.TemporaryDirectory() as folder:
        try:
            hatch_build.compiled(ROOT, Path(folder))
        except (BaseError, CCompilerError, OSError) as error:
            _note(f"the compiled half is not built: {error}")
            return False
        return True


def download_browser() -> None:
    """Playwright's own Chromium."""
    _run([sys.executable, "-m", "playwright", "install", "chromium"], seconds=150)


def install_packages(*names: str) -> None:
    """Debian packages, when we may."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "-qq", "update"], seconds=120)
        _run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", *names], seconds=300)


def _run(command: list[str], *, seconds: float) -> None:
    try:
        with LOG.open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        _note(f"{command} took longer than {seconds:g} s")


def _note(text: str) -> None:
    with LOG.open("a") as log:
        log.write(f"{text}\n")


def provide(name: str, there: Callable[[], bool], ways: dict[str, Callable[[], None]]) -> bool:
    """Try ``ways`` (what it is called, and what to do) one after another until the thing is there."""
    if there():
        return True
    for words, way in ways.items():
        print(f"No {name} yet: trying {words}")
        way()
        if there():
            return True
    print(f"There is no {name}, and none could be installed (see {LOG}). Install it and run this again.")
    return False


if __name__ == "__main__":
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    ready = [
        provide(
            "browser",
            browser_starts,
            {
                "Playwright's own download": download_browser,
                "the Debian package chromium": lambda: install_packages("chromium"),
            },
        ),
        provide(
            "Redis server",
            redis_is_there,
            {"the Debian package redis-server": lambda: install_packages("redis-server")},
        ),
        provide(
            "C compiler with Python's headers",
            compiles,
            {"the Debian packages gcc and python3-dev": lambda: install_packages("gcc", "libc6-dev", "python3-dev")},
        ),
    ]
    sys.exit(0 if all(ready) else 1)
