"""Hooks of every shape, in their place and in their mode."""

import pytest

from tests.scenarios.comparing import HERE
from tests.scenarios.driving import INTERFACES, bare, watched
from tests.scenarios.reading import outcomes

both = pytest.mark.parametrize("interface", INTERFACES)


@both
@pytest.mark.parametrize("path", ["/broken/", "/missing/", "/", "/template/", "/nothing/"])
def test_a_function_with_hooks_as_attributes_behaves_as_in_django(interface: str, path: str) -> None:
    for chain in ([HERE + "with_exception_attribute"], [HERE + "with_template_attribute"]):
        answer, record = watched(interface, chain, path)
        assert answer.plain == bare(interface, chain, path).plain
        if answer.status == 299:
            assert outcomes(record) == {"with_exception_attribute": "rescued"}
