"""Beside other tools that wrap Django: a toolbar, a profiler and an error tracker, in any order."""

import json
import os
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.neighbours_site import PATHS
from tests.sites import PACKAGE_FOLDER

CHECKOUT = Path(__file__).parent.parent
OTHERS = ("debug_toolbar", "silk")
US = "pipeline_inspector"
LAYERS = [
    "DebugToolbarMiddleware",
    "SessionMiddleware",
    "SilkyMiddleware",
    "CommonMiddleware",
    "marking",
    "AuthenticationMiddleware",
]


def run(folder: Path, when: str, *apps: str) -> dict[str, Any]:
    """What came out of the site with ``apps``, the error tracker started ``first`` or ``last``."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.neighbours_site", str(folder), when, *apps],
        cwd=folder,
        env={**env, "PYTHONPATH": os.pathsep.join(map(str, (PACKAGE_FOLDER, CHECKOUT)))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def without_us(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The site's folder with its database, and what the three say without us."""
    folder = tmp_path_factory.mktemp("neighbours")
    return folder, run(folder, "first", *OTHERS)


@pytest.mark.parametrize(
    ("apps", "when"), [(apps, ("first", "last")[n % 2]) for n, apps in enumerate(permutations((*OTHERS, US)))]
)
def test_in_any_order_the_answers_are_the_same_all_layers_are_seen_and_a_switch_works(
    apps: tuple[str, ...], when: str, without_us: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    made, expected = without_us
    shutil.copy(made / "site.sqlite3", tmp_path)
    told = run(tmp_path, when, *apps)

    assert told["on"] == expected["on"]
    for interface in ("wsgi", "asgi"):
        assert [(path, status) for path, status, _ in told["off"][interface]] == [
            (path, status) for path, status, _ in expected["on"][interface]
        ]
        assert not any(marked for _, _, marked in told["off"][interface])
    assert told["faults"] == []
    assert {"middleware.django"} <= set(told["sentry"])

    records = told["records"]
    assert [record["path"] for record in records] == [*PATHS] * 4
    statuses = [status for interface in ("wsgi", "asgi") for _, status, _ in expected["on"][interface]]
    assert [record["status"] for record in records] == statuses * 2
    for number, record in enumerate(records):
        assert list(record["layers"]) == LAYERS
        assert record["layers"].pop("marking") == ("passed" if number < len(records) // 2 else "off")
        assert set(record["layers"].values()) == {"passed"}
        assert record["adds_up"]
        assert (record["path"] == "/query/") == any("django_session" in sql for sql in record["queries"])
