"""Operators: what they take, and what they make of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.policy.csharp.drafts import compiled, draft, failure, refusal, value

VARIABLES: Mapping[str, object] = {
    "s": "a",
    "i": 5,
    "d": 2.5,
    "b": True,
    "n": None,
    "j": {"k": "5", "i": 6, "f": 1.5, "z": None, "o": {}},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("7.0 / 2", 3.5),
        ("-7.5 % 2", -1.5),
        ("1 + 0.5", 1.5),
        ("2147483647 + 1", 2147483648),
        ("-(1 + 2)", -3),
        ("- -3", 3),
        ('"a" + 1', "a1"),
        ('1 + "a"', "1a"),
        ('"a" + 1 + 2', "a12"),
        ('1 + 2 + "a"', "3a"),
        ('"a" + null', "a"),
        ('"a" + true', "aTrue"),
        ('"a" + 1.0', "a1"),
        ("'a' + 'b'", "ab"),
        ("true || 1 / 0 == 1", True),
        ("false && 1 / 0 == 1", False),
        ("false || true", True),
        ("true && false", False),
        ("!true", False),
        ("1 == 1.0", True),
        ("1 != 2", True),
        ('"a" == "a"', True),
        ('"a" == "A"', False),
        ('"a" == null', False),
        ("null == null", True),
        ("1 == null", False),
        ("true == false", False),
        ("Guid.Empty == Guid.Empty", True),
        ("DateTime.UtcNow == DateTimeOffset.UtcNow", True),
        ("1 < 2 == true", True),
        ("1 <= 1", True),
        ("1.5 > 1", True),
        ("2 >= 3", False),
        ("DateTime.UtcNow.AddDays(1) > DateTime.UtcNow", True),
        ("1 < 2 ? 3 : 4", 3),
        ("1 > 2 ? 3 : 4 > 5 ? 6 : 7", 7),
        ('true ? "a" : null', "a"),
        ("false ? 1 : 2.5", 2.5),
        ('null ?? "a"', "a"),
        ('context.LastError?.Source ?? null ?? "c"', "c"),
    ],
)
def test_an_operator_computes_what_it_does_in_csharp(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('v["i"] + 1', 6),
        ('v["i"] + v["d"]', 7.5),
        ('v["s"] + v["i"]', "a5"),
        ('v["i"] + v["s"]', "5a"),
        ('v["i"] * 2', 10),
        ('-v["i"]', -5),
        ('v["i"] > v["d"]', True),
        ('v["b"] && !v["b"]', False),
        ('v["s"] == "a"', True),
        ('v["s"] != v["i"]', True),
        ('v["b"] == 1', False),
        ('v["i"] == 5', True),
        ('v["j"] == v["j"]', True),
        ('v["n"] == null', True),
        ('v["n"] ?? "x"', "x"),
        ('v["b"] ? 1 : 2', 1),
        ('true ? v["i"] : "a"', 5),
        ('true ? (JObject)v["j"] : ((JObject)v["j"])["o"]', VARIABLES["j"]),
    ],
)
def test_of_an_object_only_the_value_counts(text: str, expected: object) -> None:
    assert value(text.replace("v[", "context.Variables["), draft(**VARIABLES)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('(string)v["s"]', "a"),
        ('(string)v["n"]', None),
        ('(int)v["i"]', 5),
        ('(int?)v["n"]', None),
        ('(bool)v["b"]', True),
        ('(object)v["i"]', 5),
        ('(JObject)v["j"]', VARIABLES["j"]),
        ("(int)2.9", 2),
        ("(int)-2.9", -2),
        ("(double)2", 2.0),
        ("(long)2", 2),
        ("(int)((int?)null ?? 3)", 3),
        ("(int?)(int?)null", None),
        ('(string)j["k"]', "5"),
        ('(int)j["k"]', 5),
        ('(string)j["i"]', "6"),
        ('(int)j["f"]', 2),
        ('(double)j["i"]', 6.0),
        ('(string)j["z"]', None),
        ('(JObject)j["o"]', {}),
        ('(object)j["i"]', 6),
        ('(string)"a"', "a"),
        ('(JToken)((JObject)v["j"])', VARIABLES["j"]),
        ('v["s"] is string', True),
        ('v["i"] is string', False),
        ('v["n"] is string', False),
        ('v["n"] is null', True),
        ('v["s"] as string', "a"),
        ('v["i"] as string', None),
        ('(v["s"] as int?) ?? 7', 7),
    ],
)
def test_a_cast_gives_a_value_its_type(text: str, expected: object) -> None:
    whole = text.replace("v[", "context.Variables[").replace("j[", '((JObject)context.Variables["j"])[')
    found = value(whole, draft(**VARIABLES))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0", "a division by zero"),
        ("1 % 0", "a division by zero"),
        ("1.0 / 0", "a division by zero"),
        ("9223372036854775807 + 1", "a whole number does not fit into 64 bits"),
        ("1e308 * 10", "a number is not finite"),
        ('context.Variables["s"] * 2', "* needs two numbers, and has something else"),
        ('context.Variables["s"] < 2', "< needs two numbers, and has something else"),
        ('context.Variables["n"] < 2', "< needs two numbers, and has something else"),
        ('context.Variables["n"] + 2', "+ needs two numbers, and has something else"),
        ('!context.Variables["s"]', "a condition is neither true nor false for this request"),
        ('context.Variables["s"] && true', "a condition is neither true nor false for this request"),
        ('context.Variables["s"] ? 1 : 2', "a condition is neither true nor false for this request"),
        ('(int)context.Variables["s"]', "a value cannot be cast to int"),
        ('(int)context.Variables["n"]', "a value cannot be cast to int"),
        ('(string)context.Variables["i"]', "a value cannot be cast to string"),
        ("(int)3000000000", "a value cannot be cast to int"),
        ('(JArray)((JObject)context.Variables["j"])["k"]', "a value cannot be cast to JArray"),
        ('(string)((JObject)context.Variables["j"])["o"]', "a value cannot be cast to string"),
        ('(int)((JObject)context.Variables["j"])["z"]', "a value cannot be cast to int"),
    ],
)
def test_what_has_no_value_says_why(text: str, expected: str) -> None:
    assert failure(text, draft(**VARIABLES)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + true", "true) <- + cannot take int and bool"),
        ("true - 1", "1) <- - cannot take bool and int"),
        ('"a" - 1', "1) <- - cannot take string and int"),
        ('context.Variables["x"] + true', "true) <- + cannot take object and bool"),
        ('"a" + context.Request', "context.Requ <- Request has no text to join"),
        ('context.Variables + "a"', '"a") <- Variables has no text to join'),
        ('"a" < 1', "1) <- < cannot compare string and int (text has no order in C#: use string.Compare)"),
        ("true < 1", "1) <- < cannot compare bool and int"),
        ("DateTime.UtcNow < 1", "1) <- < cannot compare DateTime and int"),
        ('"a" == 1', "1) <- == cannot compare string and int"),
        ("context.Request != 1", "1) <- != cannot compare Request and int"),
        ("context.Api == context.Api", "context.Api) <- == cannot compare Api and Api"),
        ('"a" || true', '"a" || true) <- || needs true or false, and this is string'),
        ("true && 1", "1) <- && needs true or false, and this is int"),
        ('!"a"', '"a") <- ! needs true or false, and this is string'),
        ('-"a"', '-"a") <- - cannot take string'),
        ("1 ? 2 : 3", "1 ? 2 : 3) <- ?: needs true or false, and this is int"),
        ('true ? 1 : "a"', '"a") <- ?: cannot give int or string (cast it, as in (string)x)'),
        ("1 ?? 2", "2) <- int is never null, so ?? is of no use (remove it)"),
        ('"a" ?? 2', "2) <- ?? cannot give string or int (cast it, as in (string)x)"),
        ('(int)"5"', '(int)"5") <- string cannot be cast to int (use int.Parse)'),
        ("(string)5", "(string)5) <- int cannot be cast to string"),
        ("(bool)1", "(bool)1) <- int cannot be cast to bool"),
        ("(int)null", "(int)null) <- null cannot be cast to int"),
        ('"a" as int', '"a" as int) <- int is never null (write as int?)'),
        (
            'context.LastError?.Source.Contains("a") && true',
            "context.Last <- && needs true or false, and this is bool? (compare it with true: x == true)",
        ),
    ],
)
def test_types_that_do_not_fit_are_refused_when_compiled(text: str, expected: str) -> None:
    assert refusal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("context.LastError?.Source.Length > 1", False),
        ("context.LastError?.Source.Length < 1", False),
        ("context.LastError?.Source.Length == null", True),
        ("context.LastError?.Source.Length + 1", None),
        ('context.LastError?.Source.Contains("a") == true', False),
        ('context.LastError?.Source.Contains("a") ?? true', True),
        ("context.Subscription?.Id.Length + 1", 7),
        ("context.Subscription?.Id.Length > 1", True),
    ],
)
def test_a_number_that_may_be_null_makes_null_or_false(text: str, expected: object) -> None:
    assert value(text) == expected


def test_a_long_row_of_one_operator_is_no_nesting() -> None:
    assert value(" + ".join(["1"] * 2000)) == 2000
    assert compiled(" || ".join(["false"] * 500)).truth(draft()) is False
