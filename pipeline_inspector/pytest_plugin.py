"""The ``pipeline`` fixture: the records of what a test sent through the pipeline."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pipeline_inspector.testing import Records


@pytest.fixture
def pipeline() -> "Iterator[Records]":
    """Records of the requests that the test sends, oldest first; works with ``client``, ``async_client``, ``live_server``.

    Taken in by the test after or before those, in any order.
    """
    from pipeline_inspector.testing import record_pipeline

    with record_pipeline() as records:
        yield records
