"""CONTRIBUTING.md numbers the invariants and names the tests that hold each; here the names are checked.

An item reads `3. **Every denial is recorded**, ...` and goes on to the next number. In it, each held-by test stands in
backquotes as `tests/path/test_file.py::test_name`.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOW_MANY = 10


def invariants(text: str) -> dict[int, list[str]]:
    """The tests that each numbered invariant names, by its number."""
    section = re.search(r"^## Invariants$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    items = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", section[1] if section else "", re.DOTALL | re.MULTILINE)
    return {int(number): re.findall(r"`(tests/[\w/]+\.py::\w+)`", item) for number, item in items}


def exists(test: str) -> bool:
    """Whether a test, named as pytest names it, is there."""
    path, _, name = test.partition("::")
    file = ROOT / path
    tree = ast.parse(file.read_text("utf-8") if file.is_file() else "")
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return name.startswith("test_") and any(node.name == name for node in functions)


def test_every_invariant_is_numbered_and_names_its_tests() -> None:
    found = invariants((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert list(found) == list(range(1, HOW_MANY + 1))
    assert [number for number, tests in found.items() if not tests] == []


def test_every_named_test_exists() -> None:
    found = invariants((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert [test for tests in found.values() for test in tests if not exists(test)] == []


def test_an_invariant_without_tests_and_a_test_that_is_gone_are_seen() -> None:
    text = "## Invariants\n1. **One.**\n   `tests/test_gone.py::test_gone`\n2. **Two.**\n## Next\n3. not one\n"
    assert invariants(text) == {1: ["tests/test_gone.py::test_gone"], 2: []}
    assert not exists("tests/test_gone.py::test_gone")
    assert not exists("tests/test_invariants.py::test_gone")
    assert exists("tests/test_invariants.py::test_every_named_test_exists")
