"""The whole of it: what goes in, what comes out, and that nothing else ever comes out."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.models import Secret
from mcpgov.policy.context import LastError, Response
from mcpgov.policy.csharp.program import compile_csharp, is_expression
from mcpgov.policy.draft import Draft
from mcpgov.policy.expression import Program
from tests.policy.csharp.drafts import NAMED, compiled, draft, failure, refusal, value

FUZZ_CASES = 20_000
SEEDS = (
    "@(context.Request.Headers.GetValueOrDefault('X-Region','us') == 'eu')",
    '@("Bearer " + (string)context.Variables["token"])',
    "@(context.Response.StatusCode == 429 || context.Response.StatusCode == 503)",
    '@(context.Request.Body.As<JObject>(preserveContent: true)["params"]?["name"]?.ToString() ?? "none")',
    '@(!string.IsNullOrEmpty((string)context.Variables["x"]) &amp;&amp; context.Variables.ContainsKey("n") ? 1 : 2L)',
    '@{ var p = "a.b".Split(\'.\'); if (p.Length > 1) { return p[0]; } else if (1.5 < 2) return 1; return $"{p}"; }',
    '@($"a{context.Api.Id + {{region}}}{{key}}" + @"\\d""" + Regex.Replace("a1", @"(\\d)", "<$1>"))',
    '@{ string s; int? n = (int?)context.Variables["n"]; s = n == null ? "" : n.ToString(); s += 1 / 2; return s; }',
    '@(DateTime.UtcNow.AddDays(-1).ToString("yyyy-MM") + Guid.NewGuid() + Math.Abs(-2) + (char)context.Variables["c"])',
    '@(new [] {"a", "b"}.Contains(context.Request.Method) ? JObject.Parse("{}").Value<int>("a") as object : null)',
)
PIECES = (
    *(
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "?",
        ":",
        "??",
        "?.",
        "?[",
        "&&",
        "||",
        "!",
        "==",
        "<",
        ">",
        "+",
        "-",
        "*",
    ),
    *(
        "/",
        "%",
        "=",
        "+=",
        ";",
        ",",
        ".",
        "$",
        "@",
        "\\",
        "{{region}}",
        "{{key}}",
        "{{nope}}",
        "&quot;",
        "&lt;",
        "/*",
        "//",
    ),
    *(
        "context",
        ".Variables",
        "null",
        "new ",
        "return ",
        "var ",
        "if ",
        "else ",
        "(string)",
        "(int)",
        "<string>",
        " is ",
        " as ",
    ),
    *("Request", ".ToString()", '["n"]', "9223372036854775807", "0x", "1e999", "\ud800", "\x00", "é", "😀", "\n", " "),
)


def test_a_compiled_expression_is_a_program() -> None:
    program: Program = compiled("1 + 1")
    assert program.source == "@(1 + 1)"
    assert program.text(draft()) == "2"


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("@(1 == 1)", "bool", "True"),
        ('@("a" + 1)', "string", "a1"),
        ("@(2)", "int", "2"),
        ("@(2L)", "long", "2"),
        ("@(0.5)", "double", "0.5"),
        ("@(null)", "null", ""),
        ('@(context.Variables.GetValueOrDefault("none"))', "object", ""),
        ('@(context.Request.Body.As<JObject>()["id"])', "JToken", "7"),
        ("@(context.LastError?.Source.Length)", "int?", ""),
        ('@{ if (1 > 2) { return 1; } return "b"; }', "object", "b"),
        ("@{ if (1 > 2) { return 1; } return 2.5; }", "double", "2.5"),
        ("  @( context.RequestId )\n", "string", "c1"),
    ],
)
def test_an_expression_has_a_type_and_a_text(text: str, kind: str, expected: str) -> None:
    program = compile_csharp(text, NAMED.get)
    assert (program.kind, program.text(draft())) == (kind, expected)


def test_what_begins_like_an_expression_is_one() -> None:
    assert [text for text in ("@(1)", "\n @{ return 1; }", "(1)", "", "a@(1)") if is_expression(text)] == [
        "@(1)",
        "\n @{ return 1; }",
    ]


def test_only_a_truth_is_true() -> None:
    assert compiled("1 < 2").truth(draft()) is True
    assert compiled("1 > 2").truth(draft()) is False
    with pytest.raises(ExpressionError, match="neither true nor false"):
        compiled('context.Variables["x"]').truth(draft(x="true"))


def test_an_array_has_no_text() -> None:
    with pytest.raises(ExpressionError, match="has none"):
        compiled('new [] {"a"}').text(draft())


def test_references_of_xml_are_read_before_anything_else() -> None:
    assert value("@(&quot;&amp;lt;&quot; == &apos;&lt;&apos; &amp;&amp; 1 &lt; 2 &amp;&amp; 2 &gt; 1)") is False
    assert value("@(&quot;a&quot;.Length)") == 1


def test_an_offset_counts_from_the_start_of_the_text() -> None:
    text = "\n  @(1 + context.Nope)  "
    with pytest.raises(InvalidExpression) as raised:
        compile_csharp(text, NAMED.get)
    assert text[raised.value.offset :] == "Nope)  "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@", "@ <- not an expression (it begins with @( or @{)"),
        ("@[1]", "@[1] <- not an expression (it begins with @( or @{)"),
        (
            "@(context.Request)",
            "context.Requ <- the expression is a Request, which is no value (name one of its members)",
        ),
        ("@(1) + 1", "+ 1 <- + is not expected here"),
        ("@{ return 1; } 2", "2 <- 2 is not expected here"),
        ("@(1", " <- ) is expected, and here is the end"),
        ('@("\ud800")', '\ud800") <- half a character stands in the expression (write it in UTF-8)'),
    ],
)
def test_what_is_no_whole_expression_is_refused(text: str, expected: str) -> None:
    assert refusal(text) == expected


def test_a_text_that_is_too_long_is_refused() -> None:
    assert "longer than 16384 characters" in refusal(f'@("{"a" * 16384}")')


def test_a_secret_is_in_the_value_and_nowhere_else() -> None:
    program = compiled('"x-" + "{{key}}"')
    assert program.text(draft()) == "x-s3cret"
    assert program.holds_secret
    assert not compiled('"{{region}}"').holds_secret
    assert "s3cret" not in repr(program) + program.source
    assert "s3cret" not in failure('JObject.Parse("{{key}}")')


def test_notes_say_what_api_management_would_do_otherwise() -> None:
    assert compiled("'a' == \"b\"").notes == ()
    assert compiled("'ab' == ''").notes == (
        "single-quoted string: API Management reads '...' as one character and refuses longer ones",
    )
    assert compiled('context.Variables["x"] == "b" && "b" != context.Variables["x"]').notes == (
        "== of an object or a JToken: API Management compares references; cast it, as in (string)x",
    )
    assert compiled('context.Variables["x"] != null').notes == ()
    header = 'context.Request.Headers.GetValueOrDefault("Authorization", "")'
    assert "Authorization is not visible" in compiled(header).notes[0]


def test_the_same_call_on_the_same_request_gives_the_same_value() -> None:
    text = 'Guid.NewGuid() + "," + Guid.NewGuid()'
    first, second = str(value(text)).split(",")
    assert value(text) == f"{first},{second}"
    assert first != second
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first)


def test_a_foreign_value_without_text_is_an_error_and_no_crash() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert (
        failure('"" + context.Variables["x"]', draft(x=endless)) == "an expression has no usable value for this request"
    )
    assert failure('"" + context.Variables["x"]', draft(x=object())) == "a value is asked for its text and has none"


def outcomes(text: str, on: tuple[Draft, ...]) -> None:
    """Compile and run; only the two exceptions that are promised may come out, and they quote no secret."""
    said, offset = messages(text, on)
    assert "s3cret" not in said
    assert 0 <= offset <= len(text)


def messages(text: str, on: tuple[Draft, ...]) -> tuple[str, int]:
    """What both exceptions said, and the offset of the first."""
    said = ""
    try:
        program = compile_csharp(text, NAMED.get)
    except InvalidExpression as invalid:
        return f"{invalid.message} {invalid.mend}", -1 if invalid.offset is None else invalid.offset
    for given_draft in on:
        try:
            program.text(given_draft)
        except ExpressionError as error:
            said += str(error)
    return said, 0


def drafts() -> tuple[Draft, ...]:
    """Two requests that have little in common."""
    answered = draft(x=1, n=2**70, token="t", c=None)
    answered.response = Response(429, {"retry-after": "5"})
    answered.last_error = LastError("rate-limit", "RateLimitExceeded", "slow down")
    return draft("", x="a\ud800", token=Secret("s3cret"), n={"a": [1.5, None, "b"]}), answered


def mutated(text: str, choices: random.Random) -> str:
    """One to three pieces put in, taken out, doubled or swapped."""
    for _ in range(choices.choice((1, 1, 1, 2, 3))):
        at, end = sorted((choices.randint(0, len(text)), choices.randint(0, len(text))))
        piece = choices.choice((choices.choice(PIECES), text[at:end][:20], "", choices.choice(SEEDS)[2:-1]))
        end = choices.choice((at, at + 1, min(end, at + 6)))
        text = text[:at] + piece + text[end:]
    return text


def test_whatever_is_read_nothing_but_the_two_exceptions_comes_out() -> None:
    choices = random.Random(20261121)
    on = drafts()
    for number in range(FUZZ_CASES):
        outcomes(mutated(SEEDS[number % len(SEEDS)], choices), on)


@settings(max_examples=1_000, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join))
def test_whatever_is_made_up_nothing_but_the_two_exceptions_comes_out(inside: str) -> None:
    for text in (f"@({inside})", f"@{{{inside}}}", f"@{{return {inside};}}"):
        outcomes(text, drafts())


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "(",
            "!",
            "-",
            "(string)",
            "(a<",
            "{",
            "[",
            '$"{',
            "new[]{",
            "1?",
            "1?1:",
            "1+",
            "1??",
            "a.",
            "a[",
            "{{",
            "if(",
            "@(",
        ),
        *("1||1&&1==1<1+1*(", "(1*1+1<1==1&&1||", "Math.Max(", "new[]{1||", '"".Trim().', "x=", "/*", "'", '@"', "\\"),
    ],
)
def test_nothing_that_repeats_goes_too_deep(unit: str) -> None:
    for count in (60, 200, 16_000 // len(unit)):
        outcomes(f"@({unit * count})", ())
        outcomes(f"@({unit * count}1{')' * count})", drafts())
        outcomes(f"@{{return {unit * count}1;}}", drafts())


def test_64_levels_are_enough_and_65_too_many() -> None:
    assert value("@" + "(" * 63 + "1" + ")" * 63) == 1
    assert "nested deeper than 64 levels" in refusal("@" + "(" * 66 + "1" + ")" * 66)
