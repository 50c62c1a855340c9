"""What is deployed to Azure has the columns that are exported, and asks for no other: read offline, run nowhere."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mcpgov.audit.formats.azure_monitor import COLUMNS, STREAM, TABLE
from mcpgov.audit.record import ControlEvent
from mcpgov.decision import Reason

FOLDER = Path(__file__).parents[2] / "deploy" / "azure" / "monitor"
QUERIES = sorted(FOLDER.glob("*.kql"))
NAMES = {column.name for column in COLUMNS}
PAGE = (FOLDER.parents[2] / "docs" / "azure-monitor.md").read_text("utf-8")
TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
PAIRS = {")": "(", "]": "[", "}": "{"}


def bare(text: str) -> str:
    """The text without comments, and with nothing in its quotes."""
    return TEXT.sub('""', re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


def defined(text: str) -> set[str]:
    """The names that a query gives to something itself."""
    return set(re.findall(r"\b([A-Z]\w*)\s*=(?![=~])", text))


def unbalanced(text: str) -> str:
    """The brackets and quotes that have no other half."""
    left: list[str] = []
    for letter in bare(text).replace('""', ""):
        if letter in "([{\"'":
            left.append(letter)
        elif letter in PAIRS and (not left or left.pop() != PAIRS[letter]):
            return letter
    return "".join(left)


def test_the_table_and_the_rule_have_the_columns_that_are_exported() -> None:
    written = json.loads((FOLDER / "columns.json").read_text("utf-8"))
    assert written == [{"name": column.name, "type": column.type} for column in COLUMNS]
    bicep = (FOLDER / "main.bicep").read_text("utf-8")
    assert f"var table = '{TABLE}'" in bicep
    assert f"Custom-{TABLE}" == STREAM
    assert bicep.count("loadJsonContent('columns.json')") == 1
    assert "loadTextContent('calls.kql')" in bicep
    assert unbalanced(re.sub(r"'[^'\n]*'", "", bicep)) == ""


def test_the_page_has_the_same_columns() -> None:
    assert re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE) == [(one.name, one.type) for one in COLUMNS]


@pytest.mark.parametrize("place", QUERIES, ids=lambda place: place.stem)
def test_a_query_asks_for_columns_that_there_are(place: Path) -> None:
    text = bare(place.read_text("utf-8"))
    known = NAMES | defined(text) | {TABLE, "McpGovCalls"}
    if "McpGovCalls" in text:
        known |= defined(bare((FOLDER / "calls.kql").read_text("utf-8")))
    assert set(re.findall(r"\b[A-Z]\w*", text)) - known == set()
    assert re.search(rf"^(?:{TABLE}|McpGovCalls|Records)$", text, re.MULTILINE)


@pytest.mark.parametrize("place", QUERIES, ids=lambda place: place.stem)
def test_a_query_is_whole_and_its_words_are_those_of_the_records(place: Path) -> None:
    text = place.read_text("utf-8")
    assert text.startswith("// ")
    assert unbalanced(text) == ""
    for column, words in (("ControlEvent", set(ControlEvent)), ("DecisionReason", set(Reason))):
        for listed in re.findall(rf"\b{column} (?:== |in \()([^)\n]*)", text):
            assert set(re.findall(r'"([a-z-]+)"', listed.split(" and ")[0])) <= words


def test_the_workbook_shows_the_same_queries() -> None:
    book: dict[str, Any] = json.loads((FOLDER / "workbook.json").read_text("utf-8"))
    shown = {item["name"]: item["content"]["query"] for item in book["items"] if item["type"] == 3}
    assert shown == {place.stem: place.read_text("utf-8") for place in QUERIES if place.stem != "calls"}


@pytest.mark.parametrize("text", ["a | where (b", 'a == "b', "a)", "f([)]"])
def test_a_broken_query_is_found(text: str) -> None:
    assert unbalanced(text)
