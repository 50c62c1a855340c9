"""Text and arrays: each member with what .NET makes of it."""

from __future__ import annotations

import pytest

from tests.policy.csharp.drafts import draft, failure, value

IGNORE = "StringComparison.OrdinalIgnoreCase"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"abc".Length', 3),
        ('"abc"[1]', "b"),
        ('"abc".ToString()', "abc"),
        ('"abc".Contains("bc")', True),
        ('"abc".Contains("BC")', False),
        (f'"abc".Contains("BC", {IGNORE})', True),
        ('"abc".Contains("BC", StringComparison.Ordinal)', False),
        ('"abc".StartsWith("ab")', True),
        (f'"abc".StartsWith("AB", {IGNORE})', True),
        ('"abc".EndsWith("bc")', True),
        (f'"abc".EndsWith("xBC", {IGNORE})', False),
        ('"abc".Equals("abc")', True),
        ('"abc".Equals(null)', False),
        ('"abc".Equals(5)', False),
        (f'"abc".Equals("ABC", {IGNORE})', True),
        (f'"abc".Equals(null, {IGNORE})', False),
        (f'"ß".Equals("SS", {IGNORE})', False),
        (f'"É".Equals("é", {IGNORE})', True),
        ('"b".CompareTo("a")', 1),
        ('"a".CompareTo("a")', 0),
        ('"abca".IndexOf("a")', 0),
        ('"abca".IndexOf("a", 1)', 3),
        ('"abca".IndexOf("z")', -1),
        (f'"aßB".IndexOf("b", {IGNORE})', 2),
        ('"abca".IndexOf("A", StringComparison.Ordinal)', -1),
        ('"abca".LastIndexOf("a")', 3),
        ('"abca".Replace("a", "x")', "xbcx"),
        ('"abca".Replace("a", null)', "bc"),
        ('"abc".Substring(1)', "bc"),
        ('"abc".Substring(3)', ""),
        ('"abc".Substring(1, 1)', "b"),
        ('"abc".Remove(1)', "a"),
        ('"abc".Remove(0, 1)', "bc"),
        ('"abc".Insert(1, "-")', "a-bc"),
        ('"7".PadLeft(3)', "  7"),
        ("\"7\".PadLeft(3, '0')", "007"),
        ('"700".PadLeft(2)', "700"),
        ('"7".PadRight(2)', "7 "),
        ("\"7\".PadRight(2, '0')", "70"),
        ('"aB".ToLower()', "ab"),
        ('"aB".ToLowerInvariant()', "ab"),
        ('"aB".ToUpper()', "AB"),
        ('"aB".ToUpperInvariant()', "AB"),
        ('" a ".Trim()', "a"),
        ('" a ".TrimStart()', "a "),
        ('" a ".TrimEnd()', " a"),
        ("\"/a/\".Trim('/')", "a"),
        ("\"/-a\".TrimStart('/', '-')", "a"),
        ("\"a=-\".TrimEnd(new char[] { '=', '-' })", "a"),
        ('string.Join("|", "a b".Split(\' \'))', "a|b"),
        ('string.Join("|", " a  b ".Split())', "a|b"),
        ("string.Join(\"|\", \"a,b;c\".Split(',', ';'))", "a|b|c"),
        ("string.Join(\"|\", \"a,b;c\".Split(new char[] { ',', ';' }))", "a|b|c"),
        ('string.Join("|", "a".Split(""))', "a"),
        ('string.Join("|", "a,,b".Split(\',\', StringSplitOptions.RemoveEmptyEntries))', "a|b"),
        ('string.Join("|", "a,,b".Split(\',\', StringSplitOptions.None))', "a||b"),
        ('string.Join("|", "a--b".Split(new[] { "--" }, StringSplitOptions.None))', "a|b"),
        ('string.Join("|", "a,b,c".Split(\',\', 2))', "a|b,c"),
        ('string.Join("|", "a,b,c".Split(new[] { \',\' }, 2))', "a|b,c"),
    ],
)
def test_text_offers_what_it_does_in_dotnet(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('new[] { "a", "b" }.Length', 2),
        ('new[] { "a", "b" }[1]', "b"),
        ('new[] { "a", "b" }.ElementAt(0)', "a"),
        ('new[] { "a", "b" }.First()', "a"),
        ('new[] { "a", "b" }.Last()', "b"),
        ('new[] { "a" }.FirstOrDefault()', "a"),
        ("new string[] { }.FirstOrDefault()", None),
        ('new[] { "a", "b" }.LastOrDefault()', "b"),
        ("new string[] { }.LastOrDefault()", None),
        ("new string[] { }.Any()", False),
        ('new[] { "a", }.Count()', 1),
        ('new[] { "a" }.Contains("a")', True),
        ('new[] { "a" }.Contains("b")', False),
        ('Encoding.UTF8.GetBytes("é").Length', 2),
    ],
)
def test_an_array_offers_what_it_does_in_dotnet(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('"abc"[3]', "an index"),
        ('"abc"[-1]', "an index"),
        ('"abc".Substring(4)', "Substring"),
        ('"abc".Substring(-1)', "Substring"),
        ('"abc".Substring(1, 3)', "Substring"),
        ('"abc".Substring(2, -1)', "Substring"),
        ('"abc".IndexOf("a", 4)', "IndexOf"),
        ('"abc".Replace("", "x")', "Replace"),
        ('"a".PadLeft(2000000000)', "PadLeft"),
        ('"a".PadRight(-1)', "PadRight"),
        ("\"a\".Split(',', 0)", "Split"),
        ("\"a\".Split(new[] { ',', ';' }, 2)", "Split"),
        ("new string[] { }.First()", "First"),
        ("new string[] { }.Last()", "Last"),
        ('new[] { "a" }[1]', "an index"),
        ('new[] { "a" }.ElementAt(-1)', "ElementAt"),
    ],
)
def test_what_lies_outside_is_an_error(text: str, name: str) -> None:
    assert failure(text) == f"{name} has no value for what it was given"


def test_a_split_that_takes_too_long_is_an_error() -> None:
    text = "((string)context.Variables[\"x\"]).Split(',', ';', ':')"
    assert failure(text, draft(x="," * 40_000)) == "Split has no value for what it was given"


def test_a_text_that_would_be_too_long_is_not_built() -> None:
    long = draft(x="a" * 60_000)
    assert failure('((string)context.Variables["x"]).Replace("a", "bb")', long) == (
        "Replace has no value for what it was given"
    )
    assert failure('"aaaaaa" + context.Variables["x"] + context.Variables["x"]', long) == (
        "a text is longer than 65536 characters"
    )
