"""docs/security.md, docs/owasp.md and SECURITY.md are true: the tests, reasons, limits and links that they name are
there, and no line of OWASP's lists is left out.
"""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import ANSWERS
from mcpgov.limit_settings import Limits
from mcpgov.pinning.mode import PinMode
from mcpgov.policy.registry import ELEMENTS
from tests.test_invariants import ROOT, exists

PAGES: Final = ("docs/security.md", "docs/owasp.md", "SECURITY.md", "CONTRIBUTING.md")
ANSWERED: Final = frozenset({"met", "by configuration", "partly", "not ours", "no"})
# How many lines each part of a chapter has: AISVS 1.0 C10, the MCP Top 10 of 2025, ASVS 5.0 V16.
AISVS: Final = {"10.1": 3, "10.2": 7, "10.3": 5, "10.4": 8}
ASVS: Final = {"16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4}
# A status with the reasons behind it, as the tables write them: 400 `invalid-encoding`, `invalid-json`.
STATUS: Final = re.compile(r"(\d{3}) ((?:`[a-z-]+`(?:, )?)+)")


def text(page: str) -> str:
    """A page of the repository."""
    return (ROOT / page).read_text("utf-8")


def named_tests(page: str) -> list[str]:
    """The tests that a page names, whether or not they are spelled as tests are."""
    return re.findall(r"`(tests/[^`]*::[^`]*)`", text(page))


def rows(page: str) -> Iterator[list[str]]:
    """The cells of each row of each table, without those of heads."""
    for line in text(page).splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def answers() -> dict[str, tuple[str, str]]:
    """Each line of OWASP's lists with its answer and how it comes about."""
    found = [row for row in rows("docs/owasp.md") if re.fullmatch(r"\d+\.\d+\.\d+|MCP\d\d", row[0])]
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: (row[-2], row[-1]) for row in found}


def numbered(parts: dict[str, int]) -> list[str]:
    """The lines of a chapter."""
    return [f"{part}.{number}" for part, many in parts.items() for number in range(1, many + 1)]


def section(page: str, title: str) -> str:
    """What stands under a heading of the second level."""
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", text(page), re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no section {title}"
    return found[1]


def anchors(page: str) -> set[str]:
    """What the headings of a page can be linked by."""
    titles = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    assert [test for test in named_tests(page) if not exists(test)] == []


def test_the_lists_are_answered_whole_and_in_order() -> None:
    assert list(answers()) == [*numbered(AISVS), *(f"MCP{number:02}" for number in range(1, 11)), *numbered(ASVS)]
    assert (sum(AISVS.values()), sum(ASVS.values())) == (23, 17)


def test_every_answer_is_one_of_five_and_what_is_met_is_held_by_a_test() -> None:
    for line, (answer, how) in answers().items():
        assert answer in ANSWERED, line
        assert answer in {"no", "not ours"} or "`tests/" in how, line


def test_every_reason_that_is_named_with_a_status_is_answered_with_it() -> None:
    found = STATUS.findall(text("docs/security.md"))
    named = [(int(status), reason) for status, reasons in found for reason in re.findall(r"[a-z-]+", reasons)]
    assert len(named) > 30
    assert [pair for pair in named if ANSWERS[Reason(pair[1])].status != pair[0]] == []


@pytest.mark.parametrize("page", ["docs/security.md", "docs/owasp.md"])
def test_every_word_with_dashes_is_a_reason_an_element_or_a_mode(page: str) -> None:
    words = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text(page)))
    assert words - {*Reason, *ELEMENTS, *PinMode} == set()


def test_every_limit_says_what_happens_at_it() -> None:
    told = set(re.findall(r"`limits\.(\w+)`", section("docs/security.md", "Limits")))
    assert told == set(Limits.model_fields)


def test_the_ten_invariants_are_those_of_contributing() -> None:
    ours = re.findall(r"^\| \d+ \| \*\*(.*?)\.?\*\*", section("docs/security.md", "The ten invariants"), re.MULTILINE)
    theirs = re.findall(r"^\d+\. \*\*(.*?)\.?\*\*", section("CONTRIBUTING.md", "Invariants"), re.MULTILINE)
    assert len(ours) == 10
    assert [
        name for name, whole in zip(ours, theirs, strict=True) if not whole.startswith(name.partition(",")[0])
    ] == []


@pytest.mark.parametrize("page", ["docs/security.md", "docs/owasp.md", "SECURITY.md"])
def test_every_place_on_another_page_that_is_linked_is_there(page: str) -> None:
    folder = (ROOT / page).parent
    for target, anchor in re.findall(r"\]\(([\w./-]*\.md)#([\w-]+)\)", text(page)):
        assert anchor in anchors((folder / target).resolve().relative_to(ROOT).as_posix()), f"{target}#{anchor}"


def test_a_test_that_is_not_there_and_a_line_that_is_left_out_are_seen() -> None:
    assert not exists("tests/test_security_page.py::test_that_is_gone")
    assert numbered({"10.1": 2}) == ["10.1.1", "10.1.2"]
    with pytest.raises(ValueError, match="made-up"):
        Reason("made-up")
