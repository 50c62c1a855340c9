"""Whatever the text of a policy file, what comes of it is a list of problems, and each has a place inside the file.

MCPGOV_DOCUMENTS says how many texts of each syntax are tried (10000).
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy_files import GIVEN, Given, lint_policies

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY: Final = Path(__file__).parents[2] / "policies"
DOCUMENTS: Final = int(os.environ.get("MCPGOV_DOCUMENTS", "10000"))
STEP: Final = re.compile(r"^(?= {4}<[a-z])", re.MULTILINE)
SECTION: Final = re.compile(r"^  <(inbound|backend|outbound|on-error)>(.*?)^  </\1>", re.DOTALL | re.MULTILINE)
CUTS: Final = (  # into words, into whole values, into characters
    re.compile(r"\w+|\s+|[^\w\s]"),
    re.compile(r'(?<=[">])[^"<>]+(?=["<])|[\w.-]+|.', re.DOTALL),
    re.compile(".", re.DOTALL),
)
PIECES: Final = (
    *("{{name}}", "{{", "}}", "${{ ", "${{ mcp.tool.name }}", "${env:A}", "$${", "@(", '@(context.RequestId + "x")'),
    *("@{ return 1; }", "@(", ")", "'", '"', "\\", "{", "}", "[", "]", "<", ">", "/>", "&lt;", "&", ": ", "- ", ", "),
    *(
        "\n",
        "\r\n",
        "\t",
        " ",
        "  ",
        "# ",
        "|",
        ">",
        "*",
        "&a",
        "!!x ",
        "---\n",
        "\0",
        "\ud800",
        "\ufeff",
        "\U0001f600",
    ),
    *("true", "null", "~", "0", "-1", "1.5", "1e999", "9" * 30, "2026-01-01", "..", "(", "(?=a)", "fragment-id: a"),
    *("do: []", "<base />", "base", "mode: report", 'mode="report"', "when", "condition", "name", "value", "tool"),
)


def xml_seeds() -> Iterator[str]:
    """Each element of the library alone in its section, and each fragment."""
    for file in sorted((LIBRARY / "xml").glob("*.xml")):
        text = file.read_text("utf-8")
        found = [(name, step.strip()) for name, body in SECTION.findall(text) for step in STEP.split(body)[1:]]
        yield from (
            f"<policies>\n<{name}><base />\n{step}\n</{name}></policies>" for name, step in found if step != "<base />"
        )
        if not found:
            yield re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)


def yaml_seeds() -> Iterator[str]:
    """Each element of the library alone in its section, and each fragment."""
    for file in sorted(LIBRARY.glob("*.yaml")):
        if file.name.endswith(".test.yaml"):
            continue
        head = ""
        for part in re.split(r"^(?=\S|  - )", file.read_text("utf-8"), flags=re.MULTILINE):
            if part.startswith("  - "):
                yield head + part
            elif not part.startswith("#"):
                head = part


SEEDS: Final = {"xml": tuple(xml_seeds()), "yaml": tuple(yaml_seeds())}


def mutated(text: str, chance: random.Random) -> str:
    """`text` with a few of its words, values or characters deleted, doubled, swapped, copied or replaced."""
    parts = chance.choice(CUTS).findall(text)
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        match chance.randrange(6):
            case 0:
                parts[at] = ""
            case 1:
                parts[at] *= 2
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts[at] += chance.choice(PIECES)
            case 4:
                parts[at] = chance.choice(PIECES)
            case _:
                parts[at] = parts[other]
    return "".join(parts)


def wrong_with(text: str, ending: str, number: int = 0) -> int:
    """How much is wrong with a file whose named values are one of GIVEN; each problem must have a place inside it."""
    place = Path(f"seed.{ending}")
    (linted,) = lint_policies({place: text}, given := Given(GIVEN[number % len(GIVEN)]), given)
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]" if ending == "yaml" else r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    for problem in (*linted.problems, *linted.remarks):
        if problem.line == 0:
            assert problem.column == 0, text
            continue
        assert problem.file == str(place), text
        assert 1 <= problem.line <= len(lines), (text, problem)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, (text, problem)
    return len(linted.problems)


@pytest.mark.parametrize("ending", SEEDS)
def test_every_element_is_among_the_seeds_and_each_seed_loads(ending: str) -> None:
    assert [text for text in SEEDS[ending] if wrong_with(text, ending)] == []
    everything = "".join(SEEDS[ending])
    assert {name for name in ELEMENTS if not re.search(rf"[<\s\[]{name}[\s:>]", everything)} == set()


@pytest.mark.parametrize("ending", SEEDS)
def test_whatever_the_text_only_problems_with_a_place_inside_it_come_of_it(ending: str) -> None:
    chance, loads = random.Random(ending), 0
    for number in range(DOCUMENTS):
        loads += not wrong_with(mutated(SEEDS[ending][number % len(SEEDS[ending])], chance), ending, number)
    assert DOCUMENTS // 20 < loads < DOCUMENTS - DOCUMENTS // 20  # both ways are walked
