"""The classes of .NET that an expression may name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mcpgov.policy.csharp.kinds import Guid
from tests.policy.csharp.drafts import draft, failure, refusal, value

VARIABLES: Mapping[str, object] = {
    "i": 5,
    "d": 2.5,
    "h": 3.5,
    "b": True,
    "n": None,
    "s": "12",
    "t": "true",
    "o": {"a": 1},
    "l": [1, None],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string.Empty", ""),
        ('string.IsNullOrEmpty("")', True),
        ("string.IsNullOrEmpty(null)", True),
        ('String.IsNullOrEmpty(" ")', False),
        ('string.IsNullOrWhiteSpace(" ")', True),
        ('string.IsNullOrWhiteSpace("a")', False),
        ('string.Join(",", "a", 1, true)', "a,1,True"),
        ('string.Join(null, "a", "b")', "ab"),
        ('string.Join("-", new[] { "a", "b" })', "a-b"),
        ('string.Join("-", (JArray)context.Variables["l"])', "1-"),
        ('string.Concat("a", null, 2)', "a2"),
        ('string.Format("{0}-{1}{{}}{0}", "a", 2)', "a-2{}a"),
        ('string.Format("{0}" + "", "a")', "a"),
        ('string.Equals("a", null)', False),
        ('string.Equals("a", "A", StringComparison.OrdinalIgnoreCase)', True),
        ('string.Equals("a", "A", StringComparison.Ordinal)', False),
        ('string.Compare("a", "b")', -1),
        ('string.Compare(null, "")', 0),
        ('int.Parse(" -5 ")', -5),
        ('Int32.Parse("5")', 5),
        ('long.Parse("5000000000")', 5_000_000_000),
        ('double.Parse("1e2")', 100.0),
        ('bool.Parse("True")', True),
        ("int.MaxValue", 2**31 - 1),
        ("int.MinValue", -(2**31)),
        ("long.MaxValue", 2**63 - 1),
        ("long.MinValue", -(2**63)),
        ('Convert.ToString(context.Variables["n"])', ""),
        ("Convert.ToString(1.0)", "1"),
        ('Convert.ToInt32("12")', 12),
        ("Convert.ToInt32(2.5)", 2),
        ('Convert.ToInt32(context.Variables["h"])', 4),
        ("Convert.ToInt32(true)", 1),
        ("Convert.ToInt32(null)", 0),
        ('Convert.ToInt64("5000000000")', 5_000_000_000),
        ("Convert.ToDouble(2)", 2.0),
        ('Convert.ToBoolean("false")', False),
        ("Convert.ToBoolean(2)", True),
        ("Convert.ToBoolean(null)", False),
        ('Convert.ToBase64String(Encoding.UTF8.GetBytes("é"))', "w6k="),
        ('Encoding.UTF8.GetString(Convert.FromBase64String(" w6k= "))', "é"),
        ('System.Text.Encoding.ASCII.GetString(Convert.FromBase64String("/w=="))', "\ufffd"),
        ("JsonConvert.SerializeObject(null)", "null"),
        ('JsonConvert.SerializeObject("a\\"")', '"a\\""'),
        ('JsonConvert.SerializeObject(context.Variables["o"])', '{"a":1}'),
        ('JsonConvert.SerializeObject(new[] { "a" }, Formatting.Indented)', '["a"]'),
        ("Newtonsoft.Json.JsonConvert.SerializeObject(Guid.Empty)", f'"{"00000000-0000-0000-0000-000000000000"}"'),
        ('Uri.EscapeDataString("a b/~é")', "a%20b%2F~%C3%A9"),
        ('Uri.UnescapeDataString("a%20b+")', "a b+"),
        ('System.Net.WebUtility.UrlEncode("a b/~(é)")', "a+b%2F%7E(%C3%A9)"),
        ('WebUtility.UrlDecode("a+b%2F")', "a b/"),
        ("WebUtility.HtmlEncode(\"<a b='c'>&é€😀\")", "&lt;a b=&#39;c&#39;&gt;&amp;&#233;€&#128512;"),
        ('WebUtility.HtmlDecode("&lt;&#233;&#x20AC;&nope;&#xD800;&nbsp;")', "<é€&nope;&#xD800;\xa0"),
        ("WebUtility.UrlEncode(null)", None),
        ("WebUtility.UrlDecode(null)", None),
        ("WebUtility.HtmlEncode(null)", None),
        ("WebUtility.HtmlDecode(null)", None),
        ("Math.Min(1, 2)", 1),
        ("Math.Max(1, 2.5)", 2.5),
        ("Math.Max(0L, 5000000000)", 5_000_000_000),
        ("Math.Abs(-2)", 2),
        ("Math.Floor(-2.5)", -3.0),
        ("Math.Ceiling(2.1)", 3.0),
        ("Math.Round(2.5)", 2.0),
        ("Math.Round(2.345, 1)", 2.3),
        ("Guid.Parse(Guid.Empty.ToString())", Guid("0" * 32)),
        ("StringComparison.Ordinal == StringComparison.OrdinalIgnoreCase", False),
    ],
)
def test_a_class_offers_what_it_does_in_dotnet(text: str, expected: object) -> None:
    found = value(text, draft(**VARIABLES))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('int.Parse("")', "Parse"),
        ('int.Parse("1.5")', "Parse"),
        ('int.Parse("1" + "00000000000000000000000")', "Parse"),
        ('int.Parse("3000000000")', "Parse"),
        ('double.Parse("x")', "Parse"),
        ('bool.Parse("yes")', "Parse"),
        ('Guid.Parse("x")', "Parse"),
        ('Convert.ToInt32("x")', "ToInt32"),
        ('Convert.ToInt32(context.Variables["o"])', "ToInt32"),
        ('Convert.ToBoolean("2")', "ToBoolean"),
        ('Convert.ToBoolean(context.Variables["o"])', "ToBoolean"),
        ('Convert.FromBase64String("?")', "FromBase64String"),
        ("Math.Round(1.5, 16)", "Round"),
        ("Math.Round(1.5, -1)", "Round"),
        ('string.Format("{0}{1}" + "", "a")', "Format"),
        ('string.Join("-", context.Variables["s"], context.Variables["x"], context.Variables["x"])', "Join"),
    ],
)
def test_what_a_class_cannot_do_is_an_error(text: str, name: str) -> None:
    assert failure(text, draft(**VARIABLES, x="a" * 40_000)) == f"{name} has no value for what it was given"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('string.Format("{0:N}", 1)', "in string.Format only {0}, {1} … are supported here"),
        ('string.Format("{", 1)', "in string.Format only {0}, {1} … are supported here"),
        ('string.Format("{1}", 1)', "string.Format has fewer arguments than holes"),
        ("string.Reverse(1)", "there is no string.Reverse (known here:"),
        ("Convert.ToInt32(1, 2)", "Convert.ToInt32 does not take (int, int)"),
        ('int.Parse("1", out var x)', "out is not supported in expressions here"),
        ("SHA256.Create()", "SHA256: cryptography is not supported in expressions here"),
        ("System.Security.Cryptography.HMACSHA256.Create()", "HMACSHA256: cryptography is not supported"),
        ("Nope.Create()", "there is no Nope in expressions here"),
        ("Convert", ". is expected, and here is )"),
    ],
)
def test_what_a_class_does_not_offer_is_refused(text: str, expected: str) -> None:
    assert expected in refusal(text)
