"""set-header edits what goes upstream and what comes back, and nothing that frames or routes it."""

from __future__ import annotations

import pytest

from mcpgov.decision import HeaderEdit, Reason
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import answer as answer_of
from tests.policy.calls import answered, assert_refused, context, decision, document, performed, policy, problems

BAD = {"x-evil": "a\r\nb", "x-pad": " a", "x-o": "ö"}


def edits(text: str) -> tuple[HeaderEdit, ...]:
    verdict = decision(text, context(headers=BAD))
    assert verdict.allowed
    return verdict.changes.headers


@pytest.mark.parametrize(
    ("element", "xml", "expected"),
    [
        (
            "name: Cookie, exists-action: delete",
            'name="Cookie" exists-action="delete">',
            HeaderEdit("cookie", "delete"),
        ),
        ("name: X-Team, value: blue", 'name="X-Team"><value>blue</value>', HeaderEdit("x-team", "override", ("blue",))),
        (
            "name: X-Team, exists-action: override, value: ''",
            'name="X-Team" exists-action="override"><value></value>',
            HeaderEdit("x-team", "override", ("",)),
        ),
        (
            "name: X-Team, exists-action: skip, value: a b",
            'name="X-Team" exists-action="skip"><value>a b</value>',
            HeaderEdit("x-team", "skip", ("a b",)),
        ),
        (
            "name: X-Team, exists-action: append, value: [a, b]",
            'name="X-Team" exists-action="append"><value>a</value><value>b</value>',
            HeaderEdit("x-team", "append", ("a", "b")),
        ),
        (
            "name: X-Agent, value: 'by ${{ principal.id }}'",
            'name="X-Agent"><value>@("by " + context.Subscription.Id)</value>',
            HeaderEdit("x-agent", "override", ("by key:k1",)),
        ),
    ],
)
def test_edit_is_part_of_the_decision(element: str, xml: str, expected: HeaderEdit) -> None:
    assert edits(f"inbound: [set-header: {{ {element} }}]") == (expected,)
    assert edits(f"<policies><inbound><set-header {xml}</set-header></inbound></policies>") == (expected,)


def test_edits_keep_their_order_and_backend_follows_inbound() -> None:
    text = """\
backend:
  - set-header: { name: c, value: "3" }
inbound:
  - set-header: { name: a, value: "1" }
  - set-header: { name: b, value: "2" }
"""
    assert [one.name for one in edits(text)] == ["a", "b", "c"]


async def test_edits_of_outbound_are_of_the_reply() -> None:
    text = "outbound: [set-header: { name: x-served-by, value: '${{ connection.name }}' }]"
    shown, _ = await answered(text, context(), answer_of({"jsonrpc": "2.0", "id": 1, "result": {}}))
    assert shown.reply is not None
    assert shown.reply.edits == (HeaderEdit("x-served-by", "override", ("github",)),)
    assert edits(text) == ()


def test_later_elements_see_the_edit() -> None:
    text = """\
inbound:
  - set-header: { name: x-a, value: one }
  - set-header: { name: x-b, value: "${{ request.headers['x-a'] }}" }
"""
    assert edits(text)[1].values == ("one",)


async def test_edit_decides_which_tools_are_listed() -> None:
    text = """\
inbound:
  - choose:
      when:
        - condition: mcp.method == "tools/call"
          do: [set-header: { name: x-query, value: "${{ string(mcp.tool.arguments.query) }}" }]
  - set-header: { name: team, value: "${{ principal.project }}" }
  - choose: { when: [{ condition: request.headers.team == "agents", do: [tool-rules: { deny: [delete_*] }] }] }
"""
    tools = answer_of({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "get_issue"}, {"name": "delete_x"}]}})
    _, (listed,) = await answered(text, context("tools/list"), tools)
    assert listed == {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "get_issue"}]}}


@pytest.mark.parametrize("header", ["x-evil", "x-pad", "x-o", "x-missing"])
def test_value_that_cannot_be_sent_denies_without_being_quoted(header: str) -> None:
    in_force = policy(f"inbound: [set-header: {{ name: x-out, value: '${{{{ request.headers[\"{header}\"] }}}}' }}]")
    verdict = decision(in_force, context(headers=BAD))
    assert (verdict.reason, verdict.rule) == (Reason.POLICY_ERROR, "test#1 set-header")
    assert "\r" not in verdict.detail + verdict.message
    assert verdict.changes.headers == ()
    again = performed(Evaluation(in_force, context(), given=verdict.answers).decide())
    assert again.reason is Reason.POLICY_ERROR


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
        ("{ name: '@(context.RequestId)', value: c }", ["'@(context.Reque <- name is not a header name (use letters,"]),
        ("{ name: a }", ["{ name: a } <- value is missing (add value:, or exists-action: delete)"]),
        ("{ name: a, value: [] }", ["{ name: a, value:  <- value is missing"]),
        ("{ name: a, exists-action: delete, value: b }", ["b } <- a header that is deleted has no value"]),
        (
            "{ name: a, exists-action: remove, value: b }",
            ["remove, value: b } <- exists-action must be override or skip or append or"],
        ),
        ("{ name: Set-Cookie, value: [a=1, b=2] }", ["[a=1, b=2] } <- the header Set-Cookie is no list"]),
        ("{ name: a, value: 5 }", ["5 } <- value must be text"]),
        ("{ name: a, value: [b, 5] }", ["5] } <- value must be text"]),
        ('{ name: a, value: "b\\r\\nEvil: 1" }', ['"b\\r\\nEvil: 1" } <- a header value may only hold visible ASCII']),
        ("{ name: a, value: ' b' }", ["' b' } <- a header value may only hold visible ASCII"]),
        (
            "{ name: a, value: 'ö${{ principal.id }}' }",
            ["'ö${{ principal.id <- a header value may only hold visible ASCII"],
        ),
        ("{ name: a, value: 'b${{ principal.id' }", ["'b${{ principal.id <- value: ${{ is not closed"]),
        ("{ name: a, value: 'b${{ nobody }}' }", ["'b${{ nobody }}' } <- value: not CEL at character 1: undeclared"]),
        ("5", ["5 <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("set-header", element, expected)


def test_a_key_that_is_deleted_is_remarked_on_as_the_server_may_need_it() -> None:
    step = "set-header: { name: Authorization, exists-action: delete }"
    (remark,) = document(f"inbound: [{step}]").remarks
    assert remark.message == "API Management would send Authorization no more, and the server may need it"
    assert document(f"outbound: [{step}]\ninbound: [set-header: {{ name: x-api-key, value: a }}]").remarks == ()
