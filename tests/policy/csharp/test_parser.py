"""How an expression is read: what belongs together, and what C# has and expressions here do not."""

from __future__ import annotations

import pytest

from tests.policy.csharp.drafts import draft, refusal, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 == 3 && 4 > 3 || false", True),
        ("1 < 2 ? 3 : 4 < 5 ? 6 : 7", 3),
        ("null ?? (false ? 1 : 2)", 2),
        ("!(1 == 2)", True),
        ("!true == false", True),
        ('(string)null ?? "a" + "b"', "ab"),
        ("(int)2.5 + (int)2.5", 4),
        ("(int)-2.5", -2),
        ("(1) - 1", 0),
        ('(context.Variables)["s"] is string', True),
        ("(context.Request.Method)", "POST"),
        ('(string)context.Variables["s"] == "a"', True),
        ('((string)context.Variables["s"]).Length', 1),
        ('(System.String)context.Variables["s"]', "a"),
        ("(Newtonsoft.Json.Linq.JObject)null == null", True),
        ("(string[])null == null", True),
        ("(bool)!true", False),
        ('(string)(context.Variables["s"])', "a"),
        ('(context.Variables["s"] as string).Length', 1),
        ('context.Variables["s"] is string && true', True),
        ("context . RequestId", "c1"),
        ('new string[] { "a", "b" }[1]', "b"),
        ('new [] { "a" }.Length', 1),
        ("new String[] { }.Length", 0),
        ("0x1F", 31),
        ("1.5e1", 15.0),
    ],
)
def test_what_belongs_together_is_read_together(text: str, expected: object) -> None:
    assert value(text, draft(s="a")) == expected


def test_in_a_body_a_parenthesized_variable_is_no_type() -> None:
    assert value("@{ var x = true; var y = 1; return (x) ? (y) : 2; }") == 1
    assert value("@{ var x = 5; return (x) - 1; }") == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x => x", "x => x) <- a lambda is not supported in expressions here"),
        ("() => 1", "() => 1) <- a lambda is not supported in expressions here"),
        ("new JObject()", "new JObject( <- new JObject is not supported in expressions here"),
        ("new { a = 1 }", "new { a = 1  <- new object is not supported in expressions here"),
        ("new Random().Next()", "new Random() <- Random: what gives another value each time"),
        ("new int[] { 1 }", "new int[] {  <- new int[] is not supported in expressions here"),
        ("new string[3]", "new string[3 <- new string is not supported in expressions here"),
        ("new[] { 1 }", "1 }) <- an array of texts cannot hold int"),
        ("new[] { null }", "null }) <- an array of texts cannot hold null"),
        ('new[] { "a" "b" }', '"b" }) <- , is expected, and here is a text'),
        ("1 = 2", "= 2) <- an assignment inside an expression is not supported in expressions here"),
        ("1++", "++) <- an assignment inside an expression is not supported in expressions here"),
        ("1 & 2", "& 2) <- & is not supported in expressions here"),
        ("typeof(string)", "typeof(strin <- typeof is not supported in expressions here"),
        ("default(int)", "default(int) <- default is not supported in expressions here"),
        ("Random.Next()", "Random.Next( <- Random: what gives another value each time is not supported"),
        ("XElement.Parse(1)", "XElement.Par <- XElement: XML is not read in expressions here"),
        ("contxt.RequestId", "contxt.Reque <- there is no contxt in expressions here (did you mean context?)"),
        ("(Token)context", "Token)contex <- the type Token is not supported in expressions here"),
        ("(IResponse)context.Variables", "IResponse)co <- the type IResponse is not supported in expressions here"),
        ("context.Variables is Token", "Token) <- the type Token is not supported in expressions here"),
        ("context.Variables is 5", "5) <- a type is expected after is"),
        ("null is string s", "s) <- a declaration inside an expression is not supported in expressions here"),
        ("context.Variables.GetValueOrDefault<Token>(1)", "Token>(1)) <- the type Token is not supported"),
        ("(List<", "List<) <- there is no List in expressions here"),
        ("true ? 1", ") <- : is expected, and here is )"),
        ("1 +", ") <- a value is expected, and here is )"),
        ("", ") <- a value is expected, and here is )"),
        ("=> 1", "=> 1) <- a lambda is not supported in expressions here"),
        ("99999999999999999999", "999999999999 <- the number is too large (a whole number has 64 bits)"),
        ("1.5L", "L) <- ) is expected, and here is L"),
        ("1e999", "1e999) <- the number is too large (a whole number has 64 bits)"),
        ("1" * 500, "111111111111 <- the number is too large (a whole number has 64 bits)"),
    ],
)
def test_what_csharp_has_and_expressions_here_do_not_is_refused_by_name(text: str, expected: str) -> None:
    assert expected in refusal(text)
