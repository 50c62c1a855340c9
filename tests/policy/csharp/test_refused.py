"""What is refused by name says what to do instead."""

from __future__ import annotations

import pytest

from mcpgov.policy.csharp.refused import CLASSES, MEMBERS, NO_LAMBDA, NO_NEW, WORDS
from tests.policy.csharp.drafts import refusal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new JObject()", f"new JObject is not supported in expressions here ({NO_NEW})"),
        ("new { a = 1 }", f"new object is not supported in expressions here ({NO_NEW})"),
        ("new Random().Next()", "Random: what gives another value each time is not supported (Guid.NewGuid() and"),
        ("Random.Next()", "Random: what gives another value each time is not supported (Guid.NewGuid() and"),
        ("x => x", f"a lambda is not supported in expressions here ({NO_LAMBDA})"),
        ("(x) => x", f"({NO_LAMBDA})"),
        ("() => 1", f"a lambda is not supported in expressions here ({NO_LAMBDA})"),
        ('new[] { "a" }.Select(1)', f"LINQ (Select) is not supported in expressions here ({NO_LAMBDA})"),
        (
            "@{ foreach (var x in y) { } return 1; }",
            "foreach is not supported in expressions here (use if, and several",
        ),
        ("@{ try { } return 1; }", "try is not supported in expressions here (ask before: ContainsKey"),
        ("@{ throw x; }", "throw is not supported in expressions here (use return-response, in a choose)"),
        ("nameof(context)", "nameof is not supported in expressions here (write the name as text)"),
        ('"a".TryParseJwt(1)', "a method here gives one value (use AsJwt(): null where it is no token)"),
        ('"a".AsBasic()', "is not visible to expressions (use context.Subscription, context.Product or"),
        ("context.Subscription.Key", "is not visible to expressions (context.Subscription.Id names it)"),
        ('context.Request.MatchedParameters["id"]', "MatchedParameters[…]: always fails here, as the path of an MCP"),
        ("context.Request.MatchedParameters?[context.RequestId]", "MatchedParameters[…]: always fails here"),
    ],
)
def test_what_is_refused_says_what_to_do_instead(text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_every_refusal_has_an_instead() -> None:
    assert all(one.reason and one.instead for one in (*MEMBERS.values(), *CLASSES.values()))


def test_every_word_is_refused_where_a_statement_or_a_value_stands() -> None:
    for word in WORDS:
        assert f"{word} is not supported" in refusal(f"@{{ {word} (1); }}")
        assert f"{word} is not supported" in refusal(f"@({word} 1)")
