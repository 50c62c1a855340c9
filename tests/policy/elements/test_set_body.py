"""set-body is what a policy answers itself, and never what passes."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import ExpressionError, Refusal
from mcpgov.policy.draft import Draft
from mcpgov.policy.elements.set_body import SetBody
from mcpgov.policy.expression import Template
from tests.policy.calls import context, decision, document, problems, refused

MESSAGE = '{"jsonrpc": "2.0", "id": 1, "result": {}}'


def body(text: str) -> bytes | None:
    """The body that a policy answers a request with."""
    verdict = decision(text, context())
    assert verdict.reply is not None
    return verdict.reply.body


def test_body_is_what_the_policy_says_in_both_syntaxes() -> None:
    assert (
        body("inbound: [return-response: { do: [set-body: { value: 'Hello ${{ principal.name }}' }] }]")
        == b"Hello first"
    )
    xml = "<inbound><return-response><set-body>\n  Hello\n</set-body></return-response></inbound>"
    assert body(xml) == b"Hello"


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [return-response: { do: [set-status: { code: 500 }, set-body: { value: '' }] }]",
        '<inbound><return-response><set-status code="500" /><set-body /></return-response></inbound>',
    ],
)
def test_body_may_be_empty(text: str) -> None:
    assert body(text) == b""


def test_on_error_makes_another_body() -> None:
    shown = refused("on-error: [set-body: { value: Närrisch }]", context(), Refusal(Reason.RATE_LIMITED, "no"))
    assert shown.reply is not None
    assert shown.reply.body == "Närrisch".encode()


def test_text_that_no_encoding_can_carry_denies() -> None:
    with pytest.raises(ExpressionError, match="half a surrogate pair"):
        SetBody(Template(("\ud800",))).decide(Draft(context()))


@pytest.mark.parametrize(
    ("section", "why", "mend"),
    [
        ("inbound", "what policies read of a request is what goes upstream", "answer yourself with return-response"),
        ("backend", "what policies read of a request is what goes upstream", "answer yourself with return-response"),
        ("outbound", "the answer is a JSON-RPC message, which may stream", "use find-and-replace or result-rules"),
    ],
)
def test_what_passes_has_no_other_body(section: str, why: str, mend: str) -> None:
    for text in (f"{section}: [set-body: {{ value: a }}]", f"<{section}><set-body>a</set-body></{section}>"):
        (found,) = problems(text, f"policies/test.{'xml' if text.startswith('<') else 'yaml'}")
        assert f"set-body may not stand in {section}: {why} ({mend}" in found


def test_templates_are_refused_by_name() -> None:
    (found,) = problems("on-error: [set-body: { value: a, template: liquid }]")
    assert "liquid templates are not supported" in found
    (found,) = problems('<on-error><set-body template="liquid">a</set-body></on-error>', "policies/test.xml")
    assert found.startswith("1:31: liquid templates are not supported")


@pytest.mark.parametrize(("element", "expected"), [("{}", "value is missing"), ("{ value: 5 }", "value must be text")])
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"on-error: [set-body: {element}]")
    assert expected in found


@pytest.mark.parametrize(
    ("value", "remarked"),
    [("Gone.", 1), ("[]", 1), ("{}", 1), (MESSAGE, 0), ("", 0), ("${{ mcp.method }}", 0)],
)
def test_lint_says_where_mcp_clients_would_read_nothing(value: str, remarked: int) -> None:
    text = f"inbound: [return-response: {{ do: [set-body: {{ value: '{value}' }}] }}]"
    remarks = document(text).remarks
    assert [remark.message for remark in remarks] == [
        "this is no JSON-RPC message: MCP clients read nothing else"
    ] * remarked
