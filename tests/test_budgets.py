"""How large a thing may grow before it is two things: 400 lines a file, 60 a function, 6 parameters.

SIZES lists what is over budget and by how much. It is empty, and it can only shrink: an entry that is larger than the
thing has become must be lowered, and one for a thing within budget must go. Nothing silences a check, either.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("mcpgov", "tests", "benchmarks", "scripts")
FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 60, 6
SIZES: Mapping[str, int] = {}


def sources() -> dict[str, str]:
    """Every Python file of ours by its path, as text."""
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}


def measure(path: str, source: str) -> Iterator[tuple[str, int, int]]:
    """What is measured in one file: its name, its size, and its budget."""
    yield path, len(source.splitlines()), FILE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{path}::{node.name}"
            yield f"{name} lines", (node.end_lineno or node.lineno) - node.lineno + 1, FUNCTION_LINES
            yield f"{name} parameters", len(parameters(node.args)), PARAMETERS


def parameters(arguments: ast.arguments) -> list[str]:
    """The names a caller has to think of; *args and **kwargs count, self and cls do not."""
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]
    return [argument.arg for argument in every if argument.arg not in {"self", "cls"}]


def complaints(files: Mapping[str, str], sizes: Mapping[str, int]) -> Iterator[str]:
    """What is over budget and not listed, or listed and not exactly so large."""
    measured = {name: (size, budget) for path, source in files.items() for name, size, budget in measure(path, source)}
    for name, (size, budget) in measured.items():
        if size > sizes.get(name, budget):
            yield f"{name}: {size}, of at most {sizes.get(name, budget)}"
    for name, size in sizes.items():
        now, budget = measured.get(name, (0, 0))
        if now < size or now <= budget:
            yield f"{name}: SIZES says {size}, but it is {now}: lower or remove the entry"


# No check is silenced, no work is left for later, no test is left out.
SILENCED = re.compile(
    r"#\s*(?:noqa|type: ignore|pyright: ignore|pragma)|\bTO[D]O\b|\bFIX[M]E\b|\bpytest\.(?:mark\.)?(?:skip|xfail)"
)


def test_everything_is_within_its_budget() -> None:
    assert list(complaints(sources(), SIZES)) == []


def silenced(files: Mapping[str, str]) -> list[str]:
    """The lines that switch a check or a test off."""
    lines = ((path, line.strip()) for path, source in files.items() for line in source.splitlines())
    return [f"{path}: {line}" for path, line in lines if SILENCED.search(line)]


def test_nothing_is_silenced() -> None:
    assert silenced(sources()) == []


@pytest.mark.parametrize("line", ["import os  # " + "noqa: F401", "# TO" + "DO later", "@pytest" + ".mark.skip"])
def test_what_is_silenced_is_reported(line: str) -> None:
    assert silenced({"x.py": line}) == [f"x.py: {line}"]


LONG_FUNCTION = "def long():\n" + "    pass\n" * FUNCTION_LINES
BREACHES = {
    "file": "#\n" * (FILE_LINES + 1),
    "function": LONG_FUNCTION,
    "method": "class A:\n    async def long(self):\n" + "        pass\n" * FUNCTION_LINES,
    "parameters": "def f(a, b, c, /, d, *rest, e=1, **more): ...\n",
}


@pytest.mark.parametrize("source", BREACHES.values(), ids=BREACHES)
def test_what_is_over_budget_is_reported(source: str) -> None:
    assert len(list(complaints({"x.py": source}, {}))) == 1


def test_six_parameters_beside_self_are_within_budget() -> None:
    assert list(complaints({"x.py": "class A:\n    def f(self, a, b, c, d, e, f): ...\n"}, {})) == []


def test_a_listed_size_may_stay_but_not_grow_and_must_shrink_with_the_thing() -> None:
    listed = {"x.py::long lines": FUNCTION_LINES + 1}
    assert list(complaints({"x.py": LONG_FUNCTION}, listed)) == []
    assert list(complaints({"x.py": LONG_FUNCTION + "    pass\n"}, listed)) == ["x.py::long lines: 62, of at most 61"]
    assert list(complaints({"x.py": "def long(): ...\n"}, listed)) != []
