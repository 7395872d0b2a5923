"""The flame graph of ``docs/performance.md``: eight stock layers, asked as fast as can be. ``python -m benchmarks.flame``."""

import subprocess

from benchmarks.peers import PYTHON, ROOT, environment, prepare

PICTURE = ROOT / "docs" / "images" / "flame.svg"


def main() -> None:
    """Sample the measured process and draw."""
    prepare()
    command = [PYTHON.with_name("py-spy"), "record", "--rate", "500", "--output", PICTURE, "--"]
    subject = [PYTHON, "-m", "benchmarks.subject", "inspector"]
    subprocess.run(
        [*command, *subject],
        input="wsgi|eight stock layers|8\n",
        text=True,
        env=environment(),
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
