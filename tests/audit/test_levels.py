"""The first rule that matches says how much is written down, and what a rule cannot see it does not match."""

from dataclasses import replace

import pytest

from mcpgov.audit.levels import DEFAULT, About, Level, LevelRule, Names, rule_for
from tests.audit.calls import ALICE, head, request

CALL = About("github", "tools/call", "delete_repository", "key:3fGh81Kx")


def test_without_a_rule_it_is_metadata() -> None:
    assert rule_for((), CALL) is DEFAULT
    assert DEFAULT.level is Level.METADATA


def test_the_first_rule_that_matches_counts() -> None:
    first = LevelRule(Level.NONE, tools=Names.of(["get_*"]))
    second = LevelRule(Level.REQUEST, connections=Names.of(["git*"]))
    third = LevelRule(Level.REQUEST_RESPONSE)
    assert rule_for((first, second, third), CALL) is second
    assert rule_for((first, second, third), About("github", "tools/call", "get_file", "x")) is first
    assert rule_for((first, second, third), About("jira")) is third


@pytest.mark.parametrize(
    ("patterns", "name", "holds"),
    [
        (None, "", True),
        (None, "x", True),
        (["*"], "x", True),
        (["*"], "", False),
        (["get_*"], "get_file", True),
        (["get_*"], "forget_file", False),
        (["get_?"], "get_10", False),
        (["a", "b"], "b", True),
        (["tools/*"], "tools/call", True),
        (["[ab]"], "a", False),
        (["[ab]"], "[ab]", True),
        (["entra:*:agent-1"], "entra:tenant:agent-1", True),
        (["A"], "a", False),
        (["x"], "x\n", False),
    ],
)
def test_names_are_matched_whole(patterns: list[str] | None, name: str, *, holds: bool) -> None:
    assert (name in Names.of(patterns)) is holds


@pytest.mark.parametrize("part", ["connections", "methods", "tools", "principals"])
def test_every_part_that_is_named_has_to_match(part: str) -> None:
    def rule(pattern: str) -> LevelRule:
        return replace(DEFAULT, **{part: Names.of([pattern])})

    assert rule("*").matches(CALL)
    assert not rule("other").matches(CALL)
    assert rule("*").matches(About("github")) is (part == "connections")


def test_what_is_not_known_yet_is_empty() -> None:
    assert About.of(head(), None, None) == About("city")
    assert About.of(head(), request("get", about=head()), ALICE) == About("city", "tools/call", "get", ALICE.id)
    assert About.of(head(), request("get", "prompts/get", about=head()), None) == About("city", "prompts/get")


def test_a_level_says_what_is_written_down() -> None:
    assert [(level.holds_arguments, level.holds_answer) for level in Level] == [
        *((False, False), (False, False), (True, False), (True, True))
    ]
