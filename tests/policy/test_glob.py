"""A pattern names tools by exact code points, in linear time."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.glob import compile_names, compile_wildcards, is_tool_name


@pytest.mark.parametrize("name", ["a", "get_issue", "a.b-c", "A" * 128, "0", "...", "-"])
def test_tool_name_is_made_of_its_few_characters(name: str) -> None:
    assert is_tool_name(name)


NO_NAMES = [
    *("", "safe\n", "\nsafe", "a b", "a/b", "a*", "tool?", "a\0", "A" * 129, "a\u200b", "\u00e9"),
    *("s\u0430fe", "\u212aelvin", "\u017fafe", "\uff41"),  # Cyrillic a, Kelvin sign, long s, full-width a
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_only_looks_like_a_tool_name_is_none(name: str) -> None:
    assert not is_tool_name(name)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("get_*", "get_issue", True),
        ("get_*", "get_", True),
        ("get_*", "Get_issue", False),
        ("get_*", "forget_issue", False),
        ("*", "anything", True),
        ("**", "anything", True),
        ("?", "ab", False),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
        ("a+b", None, False),
        ("*_repository", "delete_repository", True),
        ("*_repository", "delete_repository\n", False),
        ("a*b*c", "axxbxxc", True),
        ("a*b*c", "axxcxxb", False),
        ("*ab*", "aab", True),
        ("delete", "delete", True),
        ("delete", "delete2", False),
    ],
)
def test_pattern_matches_whole_names(pattern: str, name: str | None, *, expected: bool) -> None:
    if name is None:
        with pytest.raises(ValueError, match=re.escape(pattern)):
            compile_names([pattern])
    else:
        assert (name in compile_names([pattern])) is expected


@pytest.mark.parametrize("pattern", ["", "[ab]", "a b", "ü*", "a\n", "*" * 129, "{a,b}", "a\\*"])
def test_pattern_that_no_tool_can_match_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(pattern)}$"):
        compile_names(["good", pattern])


@given(st.text("ab.*?", min_size=1, max_size=12), st.text("ab.", min_size=1, max_size=16))
def test_pattern_matches_as_the_reference_does(pattern: str, name: str) -> None:
    assert (name in compile_names([pattern])) == fnmatchcase(name, pattern)


def test_pattern_made_to_backtrack_is_decided_at_once() -> None:
    name = "a" * 128
    for pattern in ("*a" * 63 + "*b", "a*" * 63 + "b", "*?" * 63 + "b", "*aaaaaaab" * 14):
        assert name not in compile_names([pattern])


def test_no_pattern_names_no_tool() -> None:
    assert "a" not in compile_names([])


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("key:*", "key:k1", True),
        ("key:*", "entra:k1", False),
        ("team/*/\u00e9", "team/x\ny/\u00e9", True),
        ("a.b", "a.b", True),
        ("a.?", "a.\n", True),
        ("a.*", "axb", False),
        ("", "", True),
    ],
)
def test_names_of_callers_may_have_any_characters(pattern: str, name: str, *, expected: bool) -> None:
    assert (name in compile_wildcards([pattern])) is expected
