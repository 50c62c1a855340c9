"""Patterns are RE2's: quick on any text, refused where that cannot be promised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.errors import InvalidExpression
from mcpgov.policy.patterns import MAX_PROGRAM, Pattern, TooMuchWork, Work, compile_pattern

EVIL = [
    *("(a+)+$", "([a-zA-Z]+)*$", "(a|aa)+$", "(a|a?)+$", "(.*a){20}$", "(a*)*b", "(a+a+)+b"),
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    *("(x+x+)+y", r"^(\w+\s?)*$", r"(\d+)*[^\d]\d+$", "(?:a?){300}a{300}b", "[ab]*a[ab]{400}c", "(.*)(.*)(.*)(.*)[^a]"),
]  # fmt: skip


@pytest.mark.parametrize("evil", EVIL)
def test_pattern_that_backtracking_never_ends_is_answered(evil: str) -> None:
    pattern = compile_pattern(evil)
    for text in ("a" * 65_536 + "!", "ab" * 32_768, "x" * 65_536, "1" * 65_536):
        assert pattern.search(text) in {True, False}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a delete_repository b", True),
        ("DELETE_x", False),
        ("", False),
        ("delete_\0", True),
        ("\ud800delete_\ud800", True),
        ("é\U0001f600delete_é", True),
    ],
)
def test_search_finds_a_match_anywhere(text: str, *, found: bool) -> None:
    assert compile_pattern("delete_.").search(text) is found


def test_only_i_in_the_pattern_makes_upper_and_lower_case_alike() -> None:
    assert compile_pattern("(?i)delete").search("DeLeTe")
    assert not compile_pattern("delete").search("DeLeTe")


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "expected"),
    [
        ("[0-9]{4}", "****", "card 1234 5678.", "card **** ****."),
        ("(a)", r"\1\g<1>$1", "bab", r"b\1\g<1>$1b"),
        ("a*", "-", "baé", "-b--é-"),
        ("é", "", "aéb\ud800é", "ab\ud800"),
        ("b", "x", "a\0b\0", "a\0x\0"),
        ("z", "x", "abc", "abc"),
        ("a", "x", "", ""),
    ],
)
def test_every_match_is_replaced_by_exactly_the_replacement(
    pattern: str, replacement: str, text: str, expected: str
) -> None:
    assert compile_pattern(pattern).replaced(text, replacement, Work()) == expected


@given(st.text())
def test_what_is_replaced_by_nothing_is_gone_whatever_stands_around_it(text: str) -> None:
    """`text` may hold lone surrogates, which no UTF-8 can carry."""
    expected = "".join(character for character in text if character not in "0123456789")
    assert compile_pattern("[0-9]").replaced(text, "", Work()) == expected


@pytest.mark.parametrize(("evil", "cost"), [("(?s)a(.*b)?", 1), ("(?s)a(.*a[ab]{130}c)?", 2)])
def test_every_match_spends_the_text_that_is_left_and_a_large_program_more(evil: str, cost: int) -> None:
    work = Work(1_000)
    assert compile_pattern(evil).replaced("aaaa", "x", work) == "xxxx"
    assert work.left == 1_000 - cost * (3 + 2 + 1)


def test_budget_is_shared_and_when_it_is_spent_nothing_is_replaced() -> None:
    work, pattern = Work(20), compile_pattern("a")
    assert pattern.replaced("a" * 5, "", work) == ""
    with pytest.raises(TooMuchWork):
        pattern.replaced("a" * 6, "", work)


def test_text_made_to_be_searched_to_its_end_after_every_match_is_not_replaced() -> None:
    with pytest.raises(TooMuchWork):
        compile_pattern("(?s)-----BEGIN KEY.*?-----END KEY|AKIA").replaced("-----BEGIN KEY AKIA" * 5_000, "*", Work())


@pytest.mark.parametrize(
    ("pattern", "message", "mend"),
    [
        ("(", "not a regular expression: missing ): (", ""),
        ("[a", "not a regular expression: missing ]: [a", ""),
        (r"(a)\1", r"not a regular expression: invalid escape sequence: \1", "RE2 has no back-references"),
        (r"(?P<n>a)(?P=n)", "not a regular expression: invalid perl operator: (?P", "RE2 has no back-references"),
        (r"(?P<n>a)\k<n>", r"not a regular expression: invalid escape sequence: \k", "RE2 has no back-references"),
        ("(?=a)", "not a regular expression: invalid perl operator: (?=", "RE2 has no look-around"),
        ("(?!a)", "not a regular expression: invalid perl operator: (?!", "RE2 has no look-around"),
        ("(?<=a)b", "not a regular expression: invalid perl operator: (?<=", "RE2 has no look-around"),
        ("(?<!a)b", "not a regular expression: invalid perl operator: (?<!", "RE2 has no look-around"),
        ("(?>a)", "not a regular expression: invalid perl operator: (?>", "RE2 needs no atomic groups"),
        ("a++", "not a regular expression: bad repetition operator: ++", "RE2 needs no atomic groups"),
        ("(?x) a", "not a regular expression: invalid perl operator: (?x", "RE2 has no comments"),
        (r"a\Z", r"not a regular expression: invalid escape sequence: \Z", r"the end of the text is \z"),
        ("a{1001}", "not a regular expression: invalid repetition size", "repeat at most 1000 times"),
        ("a" * 100_000, "not a regular expression: pattern too large", "make it shorter"),
        ("a" * MAX_PROGRAM, "not a regular expression: pattern too large", "make it shorter"),
        ("é\ud800", "not a regular expression: it has a lone surrogate", "remove it"),
    ],
)
def test_pattern_that_is_not_taken_says_why_and_how_to_mend_it(pattern: str, message: str, mend: str) -> None:
    with pytest.raises(InvalidExpression) as raised:
        compile_pattern(pattern)
    assert raised.value.message.startswith(message)
    assert raised.value.mend.startswith(mend)
    assert bool(raised.value.mend) == bool(mend)


@given(st.text())
def test_no_text_makes_a_pattern_fail_in_another_way(text: str) -> None:
    try:
        pattern = compile_pattern(text)
    except InvalidExpression:
        return
    assert isinstance(pattern, Pattern)
