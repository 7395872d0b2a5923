"""The list says where a process began, and which sources had changed."""

import msgspec

from pipeline_inspector.page import rows
from tests import samples

ROW = samples.summary(samples.record("passed"))


def test_the_first_row_of_a_process_is_marked_with_what_changed() -> None:
    began = msgspec.structs.replace(ROW, began=["/shop/views.py", "/shop/models.py", "/shop/urls.py"], pid=41)
    html = rows.row(began, "/__inspector__/")
    assert "process 41 began here" in html
    assert "views.py" in html
    assert "and 2 more changed" in html


def test_other_requests_are_not_marked() -> None:
    assert "began here" not in rows.row(ROW, "/__inspector__/")
