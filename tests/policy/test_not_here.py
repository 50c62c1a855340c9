"""An element that is not here is refused by name, with what does its work."""

import pytest

from mcpgov.policy.not_here import NOT_HERE
from mcpgov.policy.registry import ELEMENTS
from tests.policy.calls import problems


@pytest.mark.parametrize("name", sorted(NOT_HERE))
def test_element_of_api_management_that_is_not_here_is_refused_by_name(name: str) -> None:
    assert name not in ELEMENTS
    assert problems(f"inbound: [{name}: {{}}]") == [f"1:11: {name} is not supported ({NOT_HERE[name]})"]
