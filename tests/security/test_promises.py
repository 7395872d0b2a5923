"""The page of promises names tests that exist, and every test of safety stands on a file that it names."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
DOCUMENT = CHECKOUT / "docs" / "security.md"


def test_every_promise_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT.read_text())
    assert len(named) > 30
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (CHECKOUT / file).read_text()]
    assert missing == []


def test_every_file_of_safety_tests_is_named() -> None:
    text = DOCUMENT.read_text()
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    assert [name for name in sorted(files) if name not in text] == []


def test_the_readme_leads_to_the_promises() -> None:
    assert "(docs/security.md)" in (CHECKOUT / "README.md").read_text()
