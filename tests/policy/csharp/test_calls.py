"""Which member is meant, as far as the types say, and else when there is a value."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.policy.csharp.drafts import compiled, draft, failure, refusal, value

VARIABLES: Mapping[str, object] = {
    "s": "a.b",
    "i": 5,
    "n": None,
    "a": ("x", "y"),
    "j": {"k": [1, 2]},
    "b": b"ab",
    "d": 2.5,
    "l": [3],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('v["s"].ToString()', "a.b"),
        ('v["i"].ToString()', "5"),
        ('v["d"].ToString()', "2.5"),
        ('v["s"].Equals("a.b")', True),
        ('v["i"].Equals("5")', False),
        ("v[\"s\"].Split('.').Last()", "b"),
        ('v["s"].Length', 3),
        ('v["a"].Length', 2),
        ('v["b"].Length', 2),
        ('v["s"].Contains("a")', True),
        ('v["a"].Contains("x")', True),
        ('v["a"].Contains(v["s"])', False),
        ('v["a"][1]', "y"),
        ('v["j"]["k"][1]', 2),
        ('v["l"][0]', 3),
        ('v["j"].Value<int>("z")', 0),
        ('v["s"].Substring(v["n"] == null ? 2 : 0)', "b"),
        ('v["n"]?.ToString()', None),
        ('v["n"]?["a"]["b"].HasValues', None),
        ('v["n"]?.ToString().Length ?? 7', 7),
        ('"a.b".Split(v["s"].Substring(1, 1)).Length', 2),
        ('"ab".Substring(v["i"] - 4)', "b"),
    ],
)
def test_of_an_object_the_member_is_found_when_there_is_a_value(text: str, expected: object) -> None:
    assert value(text.replace("v[", "context.Variables["), draft(**VARIABLES)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('v["i"].Length', "object.Length is asked of a value that has none"),
        ('v["n"].ToString()', "object.ToString is asked of null"),
        ('v["i"][0]', "object[…] is asked of a value that has none"),
        ('v["s"].Substring("a")', ""),
        ('v["s"].Substring(v["s"])', "Substring cannot take what it was given"),
        ('v["s"].Contains(v["n"])', "Contains cannot take what it was given"),
        ('v["j"]["k"].ToString().Substring(99)', "Substring has no value for what it was given"),
    ],
)
def test_a_value_that_does_not_have_it_is_an_error(text: str, expected: str) -> None:
    whole = text.replace("v[", "context.Variables[")
    if expected:
        assert failure(whole, draft(**VARIABLES)) == expected
    else:
        assert "object.Substring does not take (string)" in refusal(whole)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('context.Variables["s"].StartsWith("a")', "bool"),
        ('context.Variables["s"].Contains("a")', "bool"),
        ("context.Variables[\"s\"].Split('.')", "string[]"),
        ('context.Variables["s"][0]', "object"),
        ('context.Variables["s"].Replace("a", "b").Length', "int"),
        ('Math.Abs(context.Variables["s"])', "object"),
        ("Math.Abs(-1L)", "long"),
        ("context.LastError?.Source", "string"),
        ("context.Timestamp.ToString()", "string"),
    ],
)
def test_the_type_is_known_as_far_as_all_overloads_agree(text: str, kind: str) -> None:
    assert compiled(text).kind == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('context.Variables["s"].Lenght', "no value has a Lenght (did you mean Length?)"),
        ('context.Variables["s"].Substring()', "object.Substring does not take ()"),
        ('context.Variables["s"].Trim', "object.Trim does not take nothing"),
        ('context.Variables["s"].First(1)', "object.First does not take (int)"),
        ('context.Variables["s"].Select(1)', "LINQ (Select) is not supported in expressions here"),
        ("5.Foo", "there is no int.Foo (known here: Equals, ToString)"),
        ("null.Foo", "there is no null.Foo"),
        ('"a"("b")', "what stands before it cannot be called"),
        ('"a".("b")', "a name is expected, and here is ("),
        ("context.RequestId.Trim(", ") is expected, and here is the end"),
        ("context.RequestId.Trim('a' 'b')", ", is expected, and here is a text"),
        ("context.RequestId.Trim(other: 'a')", "the name other of an argument is not supported in expressions here"),
        ("context.Variables[1", "] is expected, and here is )"),
        ("context.Variables[1]", "Variables[…] does not take (int)"),
    ],
)
def test_a_member_that_no_value_has_is_refused(text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_less_than_is_no_type_argument() -> None:
    assert value("context.RequestId.Length < 3 && (5) > 4") is True
    assert value("context.RequestId.Length<3") is True
