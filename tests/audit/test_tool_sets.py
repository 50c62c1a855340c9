"""A list of tools has one digest for as long as it is the same."""

import hashlib
from typing import cast

import pytest

from mcpgov.audit.tool_sets import ToolSet, listed
from mcpgov.models import Json

TOOLS: list[Json] = [{"name": "b", "description": "é"}, {"name": "a"}, 7]
EXPECTED = hashlib.sha256('[7,{"name":"a"},{"description":"é","name":"b"}]'.encode()).hexdigest()


def test_the_digest_is_of_the_tools_in_whatever_order() -> None:
    found = ToolSet(f"sha256:{EXPECTED}", 3)
    assert listed({"tools": TOOLS}) == listed({"tools": TOOLS[::-1]}) == found
    assert listed({"tools": TOOLS[1:]}) != found


def test_a_page_says_that_there_are_more() -> None:
    pages = (listed({"tools": TOOLS, "nextCursor": "2"}), listed({"tools": TOOLS}, "2"), listed({"tools": TOOLS}))
    assert [page and page.page for page in pages] == [True, True, False]


@pytest.mark.parametrize("result", [7, {}, {"tools": "x"}, None])
def test_what_is_no_list_has_no_digest(result: Json) -> None:
    assert listed(result) is None


def test_what_is_too_deep_to_write_has_no_digest_and_what_utf_8_cannot_carry_has_one() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert listed({"tools": cast("Json", deep)}) is None
    assert listed({"tools": [{"name": "\ud800"}]}) is not None


def test_what_json_does_not_have_has_no_digest() -> None:
    assert listed({"tools": [{"name": "a", "maximum": float("nan")}]}) is None


def test_a_number_is_the_same_however_it_was_written() -> None:
    assert listed({"tools": [{"name": "a", "minimum": 1.0}]}) == listed({"tools": [{"name": "a", "minimum": 1}]})
