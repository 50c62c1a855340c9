"""Regular expressions that take linear time."""

from __future__ import annotations

import pytest

from tests.policy.csharp.drafts import draft, failure, refusal, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'Regex.IsMatch("abc1", @"\d$")', True),
        (r'Regex.IsMatch("abc", @"^\d")', False),
        ('Regex.Replace("a-b-c", "-", "")', "abc"),
        (r'Regex.Replace("john smith", @"(\w+) (\w+)", "$2, ${1}$$")', "smith, john$"),
        (r'Regex.Replace("john", @"(?<first>\w)\w+", "${first}.")', "j."),
        ('Regex.Replace("ab", "(a)|(b)", "[$1$2]")', "[a][b]"),
        ('Regex.Replace("ab", "b", "$1 ${x} $")', "a$1 ${x} $"),
        ('Regex.Replace("ab", "", "-")', "-a-b-"),
        ('Regex.Replace("é1", "[0-9]", "é")', "éé"),
        ('Regex.Escape("a.b*c")', r"a\.b\*c"),
        ('Regex.IsMatch("a.b", "^" + Regex.Escape("a.b") + "$")', True),
        ('System.Text.RegularExpressions.Regex.IsMatch("a", "a")', True),
    ],
)
def test_a_pattern_matches_as_in_dotnet(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", "(?<!a)b", r"(a)\\1", "a{1,100000}"])
def test_a_pattern_that_is_not_linear_is_refused_when_it_is_written_down(pattern: str) -> None:
    expected = "<- the pattern is none that takes linear time (RE2)"
    assert refusal(f'Regex.IsMatch("a", "{pattern}")').endswith(expected)
    assert refusal(f'Regex.Replace("a", "{pattern}", "")').endswith(expected)


def test_a_pattern_that_is_computed_is_checked_when_it_is_used() -> None:
    assert failure('Regex.IsMatch("a", "(" + "a")') == "IsMatch has no value for what it was given"


def test_a_text_that_would_be_searched_too_often_has_no_value() -> None:
    given = draft(x="a" * 20_000)
    text = 'Regex.Replace((string)context.Variables["x"], "(?s)a(.*b)?", "")'
    assert failure(text, given) == "Replace has no value for what it was given"


def test_a_replacement_that_would_be_too_long_is_not_built() -> None:
    given = draft(x="a" * 60_000)
    text = 'Regex.Replace((string)context.Variables["x"], "a+", "$0$0")'
    assert failure(text, given) == "Replace has no value for what it was given"
