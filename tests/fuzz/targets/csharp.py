"""Expressions of API Management: compiled or refused with a place, a value or none, and no secret in what is said."""

from __future__ import annotations

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.models import Secret
from mcpgov.policy.context import LastError, Response
from mcpgov.policy.csharp.program import compile_csharp
from mcpgov.policy.draft import Draft
from tests.fuzz.target import Target
from tests.policy.csharp.drafts import NAMED, draft

SECRET = "s3cret"
WORDS = (
    *("@(", "@{", "return ", "var a = ", "if (", "else ", "string ", "int? ", "(string)", "(int)", " as ", "new[] {"),
    *(
        "context.Request.",
        'Headers.GetValueOrDefault("X","")',
        'context.Variables["x"]',
        "Body.As<JObject>(",
        "{{key}}",
    ),
    *("context.Response.StatusCode", "context.LastError.Reason", "context.User", "DateTime.UtcNow", "Guid.NewGuid()"),
    *(".Split('.')", ".Substring(", ".Replace(", ".Contains(", ".ToString(", ".Where(x => ", ".Any()", ".Length"),
    *("Regex.Match(", "Regex.Replace(", "JObject.Parse(", "Math.Max(", "int.Parse(", "Convert.", "string.Join("),
    *('$"{', '@"', '$@"', "??", "?.", "?[", "=>", "&&", "||", "&quot;", "&amp;", "2147483647", "1.5m", "0x7F", "1L"),
    *("'\\u0041'", "\\x41", "//", "/*", "*/", "null", "true", "checked", "TimeSpan.From", "Convert.FromBase64String("),
)


def drafts() -> tuple[Draft, ...]:
    """Two requests that have little in common."""
    answered = draft(x=1, n=2**70, token="t", c=None)
    answered.response = Response(429, {"retry-after": "5"})
    answered.last_error = LastError("rate-limit", "RateLimitExceeded", "slow down")
    return draft("", x="a\ud800", token=Secret(SECRET), n={"a": [1.5, None, "b"]}), answered


def judge(data: bytes) -> None:
    """One expression."""
    text = data.decode("utf-8", "replace")
    try:
        program = compile_csharp(text, NAMED.get)
    except InvalidExpression as invalid:
        assert invalid.offset is not None
        assert 0 <= invalid.offset <= len(text), "a fault outside of the text"
        assert SECRET not in invalid.message + invalid.mend
        return
    for one in drafts():
        for asked in (program.value, program.text, program.truth):
            try:
                asked(one)
            except ExpressionError as error:
                assert SECRET not in str(error), "an error tells a value"


TARGET = Target(judge, WORDS, 1024)
