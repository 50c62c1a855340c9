"""The bounds of an evaluation."""

from __future__ import annotations

import pytest

from mcpgov.errors import InvalidExpression
from mcpgov.policy.csharp.kinds import INT
from mcpgov.policy.csharp.typed_code import MAX_DEPTH, Code, Run, bounded, made
from tests.policy.csharp.drafts import draft, failure, value


def test_an_evaluation_takes_at_most_10_000_steps() -> None:
    named = "+x" * 7_900  # a step each
    assert value(f"@{{ var x = 0; return x{named}; }}") == 0
    assert failure(f"@{{ var x = {{{{more}}}}; return x{named}; }}") == "an expression takes more than 10000 steps"


def test_code_nests_at_most_64_deep() -> None:
    code = Code(INT, 0, lambda _run: 1)
    for _ in range(MAX_DEPTH - 1):
        inner = code
        code = made(INT, 5, inner.compute, [inner])
    assert code.depth == MAX_DEPTH
    with pytest.raises(InvalidExpression, match="nested deeper than 64 levels") as raised:
        made(INT, 5, code.compute, [code])
    assert raised.value.offset == 5


def test_a_text_has_at_most_64_kib() -> None:
    assert bounded("a" * 65536) == "a" * 65536
    assert bounded(5) == 5
    assert Run(draft(), "").of(Code(INT, 0, lambda _run: 1)) == 1
    assert failure('"a" + context.Variables["x"]', draft(x="a" * 65536)) == "a text is longer than 65536 characters"
    assert failure('context.Variables["x"]', draft(x="a" * 65537)) == "a text is longer than 65536 characters"
