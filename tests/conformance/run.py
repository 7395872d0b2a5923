"""Runs Django's own tests without and with the inspector: the results must be the same.

    python tests/conformance/run.py [--django 5.2] [--labels view_tests …] [--parallel 2] [--fresh]

For each version of Django: a virtual environment under ``.conformance/`` with that Django, what the app needs and this
checkout; the tests from the source distribution; one run bare (kept, as it never changes) and one with the app installed
and recording. A test that passed bare must pass; only new failures, errors and skips count. Exit code 0: none.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
WORK = CHECKOUT / ".conformance"
RECORDED_AT_LEAST = 500
LONGEST = 3000.0

VERSIONS = {"5.2": (3, 10), "6.1": (3, 12)}
"""Django's series, and the oldest Python it runs on."""

LABELS = [
    *("middleware", "middleware_exceptions", "handlers", "asgi", "wsgi", "view_tests", "urlpatterns"),
    *("urlpatterns_reverse", "sessions_tests", "csrf_tests", "messages_tests", "auth_tests", "cache"),
    *("conditional_processing", "decorators", "test_client", "test_client_regress", "signals"),
    *("template_tests", "template_backends", "requests_tests", "responses", "logging_tests"),
    *("file_uploads", "servers", "staticfiles_tests", "async", "generic_views", "syndication_tests"),
    *("flatpages_tests", "redirects_tests", "sites_tests"),
]

NEEDED_BY_TESTS = ["jinja2", "tblib"]


class Trouble(Exception):  # noqa: N818
    """The comparison could not be made; the message says why and what to do."""


@dataclass
class Verdict:
    """What a comparison showed for one version of Django."""

    django: str
    python: str
    bare: dict[str, Any]
    watched: dict[str, Any]
    seconds: float

    @property
    def new(self) -> dict[str, str]:
        """Tests that came out worse with the app, and what they said."""
        return {
            f"{kind}: {name}": text
            for kind in ("failures", "errors", "skipped")
            for name, text in self.watched[kind].items()
            if name not in self.bare[kind]
        } | {
            f"unexpected success: {name}": "" for name in set(self.watched["unexpected"]) - set(self.bare["unexpected"])
        }

    @property
    def missing(self) -> int:
        """How many tests did not run any more."""
        return max(0, self.bare["run"] - self.watched["run"])

    @property
    def proven(self) -> bool:
        """Were requests really recorded?"""
        return bool(self.watched["recorded"] > self.watched["needed"])

    @property
    def fine(self) -> bool:
        """The same as without us, and nothing of ours failed."""
        return self.proven and not self.new and not self.missing and not self.watched["faults"]


def main() -> int:
    """Compare the versions asked for; 0 when all came out the same."""
    asked = _arguments()
    WORK.mkdir(exist_ok=True)
    verdicts, troubles = [], []
    for series in asked.django or VERSIONS:
        try:
            verdicts.append(compare(series, asked))
        except (Trouble, subprocess.TimeoutExpired) as trouble:
            troubles.append(f"Django {series}: {trouble}")
    if verdicts:
        print(_table(verdicts))
    for verdict in verdicts:
        _explain(verdict)
    for trouble in troubles:
        print(f"\n{trouble}", file=sys.stderr)
    return 0 if not troubles and all(verdict.fine for verdict in verdicts) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--django", "--only", nargs="+", choices=list(VERSIONS), help="only these series (default: all)"
    )
    parser.add_argument("--labels", nargs="+", default=LABELS, help="labels of Django's tests")
    parser.add_argument("--parallel", type=int, default=1, help="processes per run (bare and watched run side by side)")
    parser.add_argument("--fresh", action="store_true", help="run bare again, whatever is kept of it")
    parser.add_argument("--python", help="this Python instead of the one found")
    return parser.parse_args()


def compare(series: str, asked: argparse.Namespace) -> Verdict:
    """Both runs of one series."""
    began = time.monotonic()
    place = Place(series, find_python(series, asked.python))
    place.prepare()
    labels = asked.labels
    if missing := [label for label in labels if not (place.tests / label.partition(".")[0]).exists()]:
        raise Trouble(f"its tests have no {', '.join(missing)}")
    kept = WORK / f"bare-{place.version}-{place.python_version}-{_digest(labels)}.json"
    if asked.fresh:
        kept.unlink(missing_ok=True)
    with ThreadPoolExecutor(2) as both:
        watched = both.submit(place.run, "watched", labels, asked.parallel)
        if kept.exists():
            bare = json.loads(kept.read_text())
        else:
            bare = both.submit(place.run, "bare", labels, asked.parallel).result()
            kept.write_text(json.dumps(bare))
        found = watched.result()
    found["needed"] = RECORDED_AT_LEAST if labels == LABELS else 0
    return Verdict(place.version, place.python_version, bare, found, time.monotonic() - began)


def find_python(series: str, named: str | None = None) -> str:
    """A Python that this Django runs on: the one named, this one, one on the PATH, or one of pyenv's."""
    least = VERSIONS[series]
    candidates = [named] if named else [sys.executable, *_on_path(), *_of_pyenv()]
    for candidate in candidates:
        if candidate and _version_of(candidate) >= least:
            return candidate
    raise Trouble(
        f"it needs Python {least[0]}.{least[1]} or newer, and none was found (looked at {', '.join(map(str, candidates))}). "
        f"Install one, name one with --python, or compare only the others with --django."
    )


def _on_path() -> list[str]:
    return [found for name in ("python3.13", "python3.12", "python3.14") if (found := shutil.which(name))]


def _of_pyenv() -> list[str]:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    versions = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False).stdout.split()
    root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
    return [str(Path(root, "versions", version, "bin", "python")) for version in reversed(versions)]


def _version_of(python: str) -> tuple[int, ...]:
    """Its version; ``(0,)`` when it does not start (pyenv's stand-ins on the PATH may not)."""
    try:
        told = subprocess.run(
            [python, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:3])"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError:
        return (0,)
    return tuple(map(int, told.stdout.split())) if told.returncode == 0 else (0,)


def _digest(labels: list[str]) -> str:
    return sha256(" ".join(labels).encode()).hexdigest()[:10]


class Place:
    """Where one series of Django is tested: its environment and its tests."""

    def __init__(self, series: str, python: str) -> None:
        self.series = series
        self.base_python = python
        self.python_version = ".".join(map(str, _version_of(python)))
        self.folder = WORK / f"django-{series}-python-{self.python_version}"
        self.python = self.folder / "venv" / "bin" / "python"
        self.version = ""
        self.tests = Path()

    def prepare(self) -> None:
        """Environment and tests, as far as they are not there yet; the checkout is installed anew each time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ready = self.folder / "ready"
        if not ready.exists():
            shutil.rmtree(self.folder / "venv", ignore_errors=True)
            print(f"Django {self.series}: an environment of Python {self.python_version}", flush=True)
            self._call([self.base_python, "-m", "venv", self.folder / "venv"])
            self._pip("install", f"django=={self.series}.*", *NEEDED_BY_TESTS, CHECKOUT)
            ready.touch()
        self._pip("install", "--force-reinstall", "--no-deps", CHECKOUT)
        self.version = self._call([self.python, "-c", "import django; print(django.__version__)"]).strip()
        self.tests = self.folder / f"django-{self.version}" / "tests"
        if not self.tests.exists():
            self._fetch_tests()

    def _fetch_tests(self) -> None:
        print(f"Django {self.version}: its source distribution, which holds its tests", flush=True)
        fetched = self.folder / "sdist"
        self._pip("download", "--no-binary", ":all:", "--no-deps", "--dest", fetched, f"django=={self.version}")
        archive = next(fetched.glob("[dD]jango-*.tar.gz"))
        with tarfile.open(archive) as tar:
            tar.extractall(self.folder, filter="data")
        unpacked = self.folder / archive.name.removesuffix(".tar.gz")
        unpacked.rename(self.tests.parent) if unpacked != self.tests.parent else None
        # The installed Django is the one tested, not the sources beside the tests.
        shutil.rmtree(self.tests.parent / "django")

    def run(self, kind: str, labels: list[str], parallel: int) -> dict[str, Any]:
        """One run of the tests, ``bare`` or ``watched``; its results."""
        results = self.folder / f"{kind}.json"
        results.unlink(missing_ok=True)
        store = self.folder / f"store-{kind}" / "store.sqlite3"  # both kinds may run at the same time
        shutil.rmtree(store.parent, ignore_errors=True)
        store.parent.mkdir()
        log = self.folder / f"{kind}.log"
        print(f"Django {self.version}, {kind}: {len(labels)} labels, output in {log.relative_to(CHECKOUT)}", flush=True)
        with log.open("w") as output:
            done = subprocess.run(
                [
                    self.python,
                    "runtests.py",
                    f"--settings=conformance_{kind}",
                    f"--parallel={parallel}",
                    "--noinput",
                    *labels,
                ],
                cwd=self.tests,
                env=self._environment(results, store),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LONGEST,
                check=False,
            )
        if not results.exists():
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise Trouble(f"the {kind} run ended with {done.returncode} and no results. The end of {log}:\n{tail}")
        told: dict[str, Any] = json.loads(results.read_text())
        return told

    def _environment(self, results: Path, store: Path) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTHON", "PYTEST"))
        }
        return {
            **kept,
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CONFORMANCE_RESULTS": str(results),
            "CONFORMANCE_STORE": str(store),
        }

    def _pip(self, *arguments: str | Path) -> None:
        self._call([self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments])

    def _call(self, command: list[str | Path]) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise Trouble(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def _table(verdicts: list[Verdict]) -> str:
    rows = [("Django", "Python", "tests", "bare: not passed", "with the app: new", "recorded", "seconds", "")]
    for verdict in verdicts:
        bare = len(verdict.bare["failures"]) + len(verdict.bare["errors"])
        rows.append(
            (
                verdict.django,
                verdict.python,
                str(verdict.watched["run"]),
                str(bare),
                str(len(verdict.new) + verdict.missing),
                str(verdict.watched["recorded"]),
                f"{verdict.seconds:.0f}",
                "same" if verdict.fine else "DIFFERENT",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(["", *lines])


def _explain(verdict: Verdict) -> None:
    for name, text in verdict.new.items():
        print(f"\nDjango {verdict.django}, new {name}\n{text.rstrip()}")
    if verdict.missing:
        print(f"\nDjango {verdict.django}: {verdict.missing} tests did not run with the app")
    for fault in verdict.watched["faults"]:
        print(f"\nDjango {verdict.django}: the app noted a failure of its own: {fault}")
    if not verdict.proven:
        print(
            f"\nDjango {verdict.django}: {verdict.watched['recorded']} requests were recorded, more than "
            f"{verdict.watched['needed']} are needed for the comparison to mean anything"
        )


if __name__ == "__main__":
    sys.exit(main())
