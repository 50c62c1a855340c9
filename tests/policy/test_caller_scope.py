"""The tools of a key: what is out of its scope is hidden, on every connection and whatever else is in force."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason, Refund, Spend, Spent
from mcpgov.models import CallerScope, Era
from mcpgov.policy.caller_scope import scope_steps
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.explain import Explanation
from mcpgov.policy.replay import Recorded, replay
from tests.policy.calls import admitted, answer, context, decision, performed, policy, spending

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.context import Context

EMPTY = "inbound: []"
READS = CallerScope(tools=("get_*", "search"))


def scoped(asked: Context, scope: CallerScope = READS) -> Context:
    return replace(asked, principal=replace(asked.principal, scope=scope))


def test_a_caller_without_a_scope_of_tools_is_bounded_by_nothing() -> None:
    assert scope_steps(CallerScope(connections=("github",))) == ()
    in_force = policy("inbound: [tool-rules: { allow: [get_*] }]")
    assert in_force.bounded_by(CallerScope(connections=("github",))) is in_force


@pytest.mark.parametrize("text", [EMPTY, "inbound: [set-header: { name: a, value: b }]"])
@pytest.mark.parametrize(
    ("tool", "allowed"),
    [("get_issue", True), ("search", True), ("delete_issue", False), ("Search", False), ("get_\u0456", False)],
)
def test_a_tool_out_of_scope_is_unknown_also_where_no_policy_is_in_force(
    text: str, tool: str, *, allowed: bool
) -> None:
    verdict = decision(text, scoped(context(tool=tool)))
    assert verdict.allowed is allowed
    assert verdict.policy_hash == policy(text).digest
    if not allowed:
        assert (verdict.reason, verdict.rule) == (Reason.TOOL_HIDDEN, "caller-scope")
        assert verdict.message == f"Unknown tool: {tool}"


def test_an_empty_scope_is_nothing_and_never_everything() -> None:
    assert decision(EMPTY, scoped(context(), CallerScope(tools=()))).reason is Reason.TOOL_HIDDEN


def test_no_scope_of_a_tool_and_no_base_false_leaves_it_out() -> None:
    in_force = policy(EMPTY, {"delete_issue": "inbound: []\nbase: false"})
    verdict = decision(in_force, scoped(context(tool="delete_issue")))
    assert (verdict.reason, verdict.rule) == (Reason.TOOL_HIDDEN, "caller-scope")


@pytest.mark.parametrize("method", ["prompts/get", "resources/read", "tools/list", "ping"])
def test_other_methods_than_the_call_of_a_tool_pass(method: str) -> None:
    assert decision(EMPTY, scoped(context(method))).allowed


@pytest.mark.parametrize("era", [Era.HANDSHAKE, Era.STATELESS])
@pytest.mark.parametrize("text", [EMPTY, "inbound: [tool-rules: { deny: [get_secret] }]"])
async def test_a_list_shows_only_what_is_in_scope_and_not_hidden_otherwise(text: str, era: Era) -> None:
    tools: list[Json] = [{"name": name} for name in ("get_issue", "get_secret", "drop", "search")]
    evaluation = Evaluation(policy(text), scoped(context("tools/list", era=era)))
    assert performed(evaluation.decide()).allowed
    shown = performed(evaluation.answered(answer({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}})))
    (message,) = [json.loads(event.data or b"") async for events in shown.events for event in events]
    expected = ["get_issue", "get_secret", "search"] if text == EMPTY else ["get_issue", "search"]
    assert [tool["name"] for tool in message["result"]["tools"]] == expected


ELEMENTS = [
    "set-header: { name: a, value: b }",
    "rate-limit-by-key: { calls: 1, renewal-period: 60 }",
    "ip-filter: { action: forbid, addresses: [10.0.0.7] }",
    "quarantine: { tools: [drop] }",
]


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("room", [True, False])
@pytest.mark.parametrize("hidden", ["drop", "get_secret"])
def test_a_hidden_tool_gets_what_one_gets_that_is_in_scope_and_does_not_exist(
    element: str, hidden: str, *, room: bool
) -> None:
    in_force = policy(f"inbound: [{element}, tool-rules: {{ deny: [get_secret] }}]")
    perform = spending(lambda spend: Spent(room, spend.calls, spend.calls - 1, 60, 0 if room else 7))
    found, unknown = (decision(in_force, scoped(context(tool=tool)), perform) for tool in (hidden, "get_nothing"))
    assert found.reply_headers == unknown.reply_headers
    assert (found.reason, found.message) == (
        (Reason.TOOL_HIDDEN, f"Unknown tool: {hidden}") if unknown.allowed else (unknown.reason, unknown.message)
    )


def test_a_call_out_of_scope_counts_once_like_any_other() -> None:
    spent: list[Spend] = []

    def perform(effect: object) -> object:
        assert not isinstance(effect, Refund)
        if isinstance(effect, Spend):
            spent.append(effect)
        return admitted(effect) if isinstance(effect, Spend) else {}

    decision("inbound: [rate-limit-by-key: { calls: 5, renewal-period: 60 }]", scoped(context(tool="drop")), perform)
    assert len(spent) == 1


def test_a_decision_by_scope_is_made_again_and_explained() -> None:
    in_force, asked = policy("inbound: [rate-limit-by-key: { calls: 5, renewal-period: 60 }]"), scoped(context())
    for one in (asked, scoped(context(tool="drop"))):
        first = decision(in_force, one)
        watch = Explanation()
        recorded = Recorded(first.reason, first.rule, first.policy_hash, first.answers)
        assert recorded.same_as(replay(in_force, one, recorded, watch))
        assert watch.entries[0].rule == "caller-scope"
