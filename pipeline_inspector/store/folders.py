"""Folders that belong to the user alone."""

from pathlib import Path

PRIVATE = 0o700


def make_private(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, closed to other users; what is there stays. Raises ``OSError``."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_private(folder.parent)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
