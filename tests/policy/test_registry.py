"""Every element is registered once, under its own name, and describes itself."""

from pathlib import Path

import pytest

from mcpgov.policy import elements
from mcpgov.policy.element import RETURN, SECTIONS
from mcpgov.policy.not_here import NOT_HERE
from mcpgov.policy.registry import ELEMENTS

FILES = sorted(Path(elements.__path__[0]).glob("[a-z]*.py"))


def test_every_file_of_the_room_is_one_registered_element() -> None:
    assert {file.stem.replace("_", "-") for file in FILES} == set(ELEMENTS)
    assert not ELEMENTS.keys() & NOT_HERE


@pytest.mark.parametrize("name", sorted(ELEMENTS))
def test_element_is_named_after_its_file_and_says_what_each_attribute_is(name: str) -> None:
    element = ELEMENTS[name]
    assert element.name == name
    assert set(element.sections) <= {*SECTIONS, RETURN}
    assert all(attribute.about for attribute in element.attributes)
    assert len({attribute.name for attribute in element.attributes}) == len(element.attributes)
