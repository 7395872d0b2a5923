"""A test runner that writes what came out as JSON, to the file named by ``CONFORMANCE_RESULTS``."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner


class WritingRunner(DiscoverRunner):
    """Django's runner; besides, it writes the tests that did not pass, and how many requests were recorded."""

    def setup_test_environment(self, **kwargs: Any) -> None:
        """As Django does it; the recorder takes what it needs, though the tests keep this process as busy as can be."""
        super().setup_test_environment(**kwargs)
        if (recorder := sys.modules.get("pipeline_inspector.recording.recorder")) is not None:
            recorder.SHARE = 1.0  # type: ignore[attr-defined]

    def suite_result(self, suite: Any, result: Any, **kwargs: Any) -> int:
        """What the runner returns; the file is written on the way."""
        told = {
            "run": result.testsRun,
            "failures": {str(test.id()): text for test, text in result.failures},
            "errors": {str(test.id()): text for test, text in result.errors},
            "skipped": {str(test.id()): reason for test, reason in result.skipped},
            "unexpected": [str(test.id()) for test in result.unexpectedSuccesses],
            "recorded": _recorded(),
            "faults": _faults(),
        }
        Path(os.environ["CONFORMANCE_RESULTS"]).write_text(json.dumps(told))
        return int(super().suite_result(suite, result, **kwargs))


def _recorded() -> int:
    if "pipeline_inspector.recording.recorder" not in sys.modules:
        return 0
    from pipeline_inspector.recording import recorder
    from pipeline_inspector.store import configured

    recorder.flush(30)
    return int(configured.store().last_seq())


def _faults() -> list[str]:
    if "pipeline_inspector.faults" not in sys.modules:
        return []
    from pipeline_inspector import faults

    return [f"{fault.where}: {fault.message} ({fault.count}×)" for fault in faults.seen()]
