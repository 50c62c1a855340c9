"""set-header edits what goes upstream, and nothing that frames or routes it."""

from __future__ import annotations

import pytest

from mcpgov.decision import HeaderEdit, Reason
from tests.policy.calls import assert_refused, context, decision, problems


def edit(element: str) -> tuple[HeaderEdit, ...]:
    verdict = decision(
        f"inbound: [set-header: {{ {element} }}]", context(headers={"x-evil": "a\r\nb", "x-pad": " a", "x-o": "ö"})
    )
    assert verdict.allowed
    return verdict.header_edits


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("name: Cookie, exists-action: delete", HeaderEdit("cookie", "delete")),
        ("name: X-Team, value: blue", HeaderEdit("x-team", "override", ("blue",))),
        ("name: X-Team, exists-action: override, value: ''", HeaderEdit("x-team", "override", ("",))),
        ("name: X-Team, exists-action: skip, value: a b", HeaderEdit("x-team", "skip", ("a b",))),
        ("name: X-Team, exists-action: append, value: [a, b]", HeaderEdit("x-team", "append", ("a", "b"))),
        ("name: X-Agent, value: 'by ${{ principal.id }}'", HeaderEdit("x-agent", "override", ("by key:k1",))),
    ],
)
def test_edit_is_part_of_the_decision(element: str, expected: HeaderEdit) -> None:
    assert edit(element) == (expected,)


def test_edits_keep_their_order_and_backend_follows_inbound() -> None:
    text = """\
backend:
  - set-header: { name: c, value: "3" }
inbound:
  - set-header: { name: a, value: "1" }
  - set-header: { name: b, value: "2" }
"""
    assert [one.name for one in decision(text, context()).header_edits] == ["a", "b", "c"]


@pytest.mark.parametrize("header", ["x-evil", "x-pad", "x-o", "x-missing"])
def test_value_that_cannot_be_sent_denies_without_being_quoted(header: str) -> None:
    text = f"inbound: [set-header: {{ name: x-out, value: '${{{{ request.headers[\"{header}\"] }}}}' }}]"
    verdict = decision(text, context(headers={"x-evil": "a\r\nb", "x-pad": " a", "x-o": "ö"}))
    assert (verdict.reason, verdict.rule) == (Reason.POLICY_ERROR, "test#1 set-header")
    assert "\r" not in verdict.detail + verdict.message
    assert verdict.header_edits == ()


@pytest.mark.parametrize(
    "name", ["Host", "Content-Length", "Transfer-Encoding", "transfer_encoding", "Connection", "Mcp-Name", "TE"]
)
def test_header_that_carries_the_message_is_refused_at_load(name: str) -> None:
    (found,) = problems(f"inbound: [set-header: {{ name: {name}, exists-action: delete }}]")
    assert found.startswith(f"1:31: no policy may touch the header {name}")


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- name is missing", "{} <- value is missing"]),
        ("{ name: 'a b', value: c }", ["'a b', value: c } <- name is not a header name"]),
        ("{ name: a }", ["{ name: a } <- value is missing (add value:, or exists-action: delete)"]),
        ("{ name: a, value: [] }", ["{ name: a, value:  <- value is missing"]),
        ("{ name: a, exists-action: delete, value: b }", ["b } <- a header that is deleted has no value"]),
        (
            "{ name: a, exists-action: remove, value: b }",
            ["remove, value: b } <- exists-action must be override or skip or append or"],
        ),
        ("{ name: a, value: 5 }", ["5 } <- a header value must be text"]),
        ("{ name: a, value: [b, 5] }", ["5] } <- a header value must be text"]),
        ('{ name: a, value: "b\\r\\nEvil: 1" }', ['"b\\r\\nEvil: 1" } <- a header value may only hold visible ASCII']),
        ("{ name: a, value: ' b' }", ["' b' } <- a header value may only hold visible ASCII"]),
        (
            "{ name: a, value: 'ö${{ principal.id }}' }",
            ["'ö${{ principal.id <- a header value may only hold visible ASCII"],
        ),
        ("{ name: a, value: 'b${{ principal.id' }", ["'b${{ principal.id <- ${{ is not closed"]),
        ("{ name: a, value: 'b${{ nobody }}' }", ["'b${{ nobody }}' } <- not CEL at character 1: undeclared"]),
        (
            "{ name: a, value: 'Bearer ${env:TOKEN}' }",
            ["'Bearer ${env:TOKE <- ${env:…} is not supported yet in a policy"],
        ),
        ("5", ["5 <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("set-header", element, expected)
