"""Conditions in CEL: an expression is compiled or refused, has a value or none, and never tells what it read."""

from __future__ import annotations

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.policy.cel import VARIABLES, compile_cel
from mcpgov.policy.context import LastError, Response
from mcpgov.policy.draft import Draft
from tests.fuzz.target import Target
from tests.policy.calls import context

SECRET = "s3cret"
DRAFTS = (
    Draft(context(headers={"x-region": "eu"}, arguments={"a": [1, None, {"b": SECRET}], "n": 2**60})),
    Draft(
        context("tools/list", headers={"authorization": f"Bearer {SECRET}"}),
        variables={"plan": [1, None, {"a": 1.5}], "s": SECRET},
        annotations={"readOnlyHint": True},
        response=Response(429, {"retry-after": "7"}),
        last_error=LastError("rate-limit", "RateLimitExceeded", SECRET, decision="rate-limited"),
    ),
)
WORDS = (
    *(*VARIABLES, "cidr(", ".matches(", ".exists(x, ", ".all(x, ", ".map(x, ", ".filter(x, ", "has(", "size(", "int("),
    *("string(", "double(", "timestamp(", "duration(", ".startsWith(", ".contains(", ' in ["', '["x-region"]', " ? "),
    *(
        " : ",
        " == ",
        " != ",
        " && ",
        " || ",
        "!",
        "'",
        '"""',
        'r"',
        'b"',
        "\\u0000",
        "{'a': 1}",
        "[1, 2]",
        "null",
        "1u",
    ),
    *("true", "9223372036854775807", "1e308", "type(", "dyn(", ".orValue(", ".?a", "'10.0.0.0/8'", "(a+)+$", "@("),
)


def judge(data: bytes) -> None:
    """One expression, as a condition and as a value."""
    text = data.decode("utf-8", "replace")
    for wanted in ("bool", "any"):
        try:
            program = compile_cel(text, wanted)
        except InvalidExpression as invalid:
            assert invalid.message
            continue
        for draft in DRAFTS:
            first, second = (outcome(program.truth, draft), outcome(program.truth, draft))
            assert first == second, "a condition changes its mind"
            outcome(program.value, draft)
            outcome(program.text, draft)


def outcome(asked: object, draft: Draft) -> str:
    """What came of it, in words."""
    assert callable(asked)
    try:
        return repr(asked(draft))
    except ExpressionError as error:
        assert SECRET not in str(error), "an error tells a value"
        return str(error)


TARGET = Target(judge, WORDS, 1024)
