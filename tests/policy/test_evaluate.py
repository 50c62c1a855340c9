"""A request and the policy in force give one Decision; what fails denies, and what is hidden stays hidden."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Decision, Reason, Spend, Spent
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Era, Event, Headers
from mcpgov.policy.evaluate import evaluate, outbound
from tests.policy.calls import admitted, context, decision, policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FULL = """\
inbound:
  - ip-filter: { action: allow, addresses: [10.0.0.0/24] }
  - rate-limit-by-key: { calls: 60, renewal-period: 60 }
  - set-header: { name: Cookie, exists-action: delete }
  - choose:
      when:
        - condition: 'request.headers["x-region"] == "eu"'
          do: [set-backend-service: { base-url: "https://europe-api.contoso.com" }]
  - tool-rules: { allow: [get_*], deny: [{ tool: drop, hide: false }] }
"""


def test_allowed_call_carries_everything_that_the_forward_needs() -> None:
    in_force = policy(FULL)
    verdict = decision(in_force, context(headers={"x-region": "eu"}))
    assert verdict.allowed
    assert (verdict.rule, verdict.message, verdict.detail) == ("", "", "")
    assert verdict.policy_hash == in_force.digest
    assert [edit.name for edit in verdict.header_edits] == ["cookie"]
    assert verdict.backend == "https://europe-api.contoso.com"
    assert verdict.limits == (admitted(Spend("", 60, 60)),)
    assert len(verdict.tool_filters) == 1


@pytest.mark.parametrize(
    ("asked", "reason", "rule"),
    [
        (context(address="1.2.3.4"), Reason.SOURCE_IP_DENIED, "test#1 ip-filter"),
        (context(tool="drop"), Reason.TOOL_DENIED, "test#5 tool-rules"),
        (context(tool="delete"), Reason.TOOL_HIDDEN, "test#5 tool-rules"),
    ],
)
def test_first_denial_ends_it_and_names_its_rule(asked: object, reason: Reason, rule: str) -> None:
    assert isinstance(asked, type(context()))
    verdict = decision(FULL, asked)
    assert (verdict.reason, verdict.rule, verdict.allowed) == (reason, rule, False)
    assert verdict.policy_hash == policy(FULL).digest


def test_effects_are_asked_for_only_as_far_as_the_call_got() -> None:
    evaluation = evaluate(policy(FULL), context(address="1.2.3.4"))
    with pytest.raises(StopIteration):
        next(evaluation)
    evaluation = evaluate(policy(FULL), context())
    assert next(evaluation) == Spend("tools/call/key:k1", 60, 60)
    with pytest.raises(StopIteration):
        evaluation.send(Spent(allowed=True, limit=60, remaining=1, reset=1))


def test_the_same_request_gets_the_same_decision() -> None:
    first, second = decision(FULL, context()), decision(FULL, context())
    assert (first.reason, first.policy_hash, first.header_edits) == (
        second.reason,
        second.policy_hash,
        second.header_edits,
    )


def test_policy_without_elements_allows_and_filters_nothing() -> None:
    verdict = decision("inbound: []", context())
    assert (verdict.allowed, verdict.tool_filters, verdict.reply_headers) == (True, (), ())


def test_decision_does_not_print_the_arguments() -> None:
    assert "s3cr3t" not in repr(decision(FULL, context(arguments={"text": "s3cr3t"})))


HOOKS = [
    "ip-filter: { action: allow, addresses: [127.0.0.1] }",
    "rate-limit-by-key: { calls: 1, renewal-period: 1, counter-key: mcp.tool.arguments.one }",
    "rate-limit-by-key: { calls: 1, renewal-period: 1, increment-condition: mcp.tool.arguments.one }",
    "set-header: { name: a, value: '${{ mcp.tool.arguments.one }}' }",
    "set-backend-service: { base-url: 'https://evil.example' }",
    "choose: { when: [{ condition: mcp.tool.arguments.one, do: [] }] }",
    "choose: { when: [{ condition: 'true', do: [set-header: { name: a, value: '${{ mcp.tool.arguments.one }}' }] }] }",
    "tool-rules: { deny: ['*'] }",
]


@pytest.mark.parametrize("element", HOOKS)
def test_element_that_fails_or_denies_never_lets_the_call_through(element: str) -> None:
    for section in (f"inbound: [{element}]", f"inbound: [set-header: {{ name: b, value: c }}, {element}]"):
        verdict = decision(section, context(arguments={"one": 1}))
        assert not verdict.allowed
        assert verdict.rule


OWNERS = """\
inbound:
  - choose:
      when: [{ condition: 'principal.project == "owners"', do: [] }]
      otherwise: [tool-rules: { deny: ["*"] }]
"""


def test_tool_scope_hides_its_tool_from_the_list_too() -> None:
    in_force = policy("inbound: []", {"delete_repository": OWNERS})
    (tool_filter,) = decision(in_force, context("tools/list")).tool_filters
    assert tool_filter.hides("delete_repository", {})
    assert not tool_filter.hides("get_issue", {})
    assert decision(in_force, context(tool="delete_repository")).reason is Reason.TOOL_HIDDEN


BROKEN = """\
inbound:
  - choose: { when: [{ condition: 'int(mcp.tool.name) == 1', do: [tool-rules: { deny: [x] }] }] }
"""


def test_filter_that_fails_refuses_the_answer() -> None:
    in_force = policy("inbound: [tool-rules: { deny: [y] }]", {"x": BROKEN})
    (tool_filter,) = decision(in_force, context("tools/list")).tool_filters
    with pytest.raises(Refusal, match="policy-error"):
        tool_filter.hides("x", {})


def test_rule_that_would_explain_itself_denies_plainly_where_nobody_can_say_whether_the_tool_is_hidden() -> None:
    open_denial = "inbound: [tool-rules: { deny: [{ tool: x, hide: false, message: why }] }]"
    verdict = decision(policy(open_denial, {"x": BROKEN}), context(tool="x"))
    assert (verdict.reason, verdict.as_tool_result) == (Reason.POLICY_ERROR, False)
    assert verdict.message == "A policy could not be evaluated."


async def events(*given: tuple[Event, ...]) -> AsyncIterator[tuple[Event, ...]]:
    for batch in given:
        yield batch


def list_of(*names: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": name} for name in names]}}).encode()


async def passed(answer: Answer) -> list[tuple[Event, ...]]:
    return [batch async for batch in answer.events]


async def test_answer_is_untouched_where_nothing_is_hidden() -> None:
    answer = Answer(200, Headers(), streaming=False, events=events())
    assert outbound(answer, context(), Decision(Reason.ALLOWED)) is answer


async def test_answer_is_filtered_event_by_event_as_it_passes() -> None:
    asked = context("tools/list", era=Era.STATELESS)
    ping = Event(b": ping\n\n")
    data = list_of("get_issue", "delete")
    answer = Answer(
        200, Headers(), streaming=True, events=events((ping,), (ping, Event(b"data: " + data + b"\n\n", data)))
    )
    shown = await passed(outbound(answer, asked, decision(FULL, asked)))
    assert shown[0] == (ping,)
    assert shown[1][0] is ping
    assert json.loads(shown[1][1].data or b"")["result"] == {"tools": [{"name": "get_issue"}], "cacheScope": "private"}


async def test_answer_that_cannot_be_read_is_refused_and_nothing_of_it_passes() -> None:
    asked = context("tools/list")
    answer = Answer(200, Headers(), streaming=False, events=events((Event(b"{", b"{"),)))
    with pytest.raises(Refusal, match="upstream-invalid"):
        await passed(outbound(answer, asked, decision(FULL, asked)))
