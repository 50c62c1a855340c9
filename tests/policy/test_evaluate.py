"""A request and the policy in force give one Decision; what fails denies, and what is hidden stays hidden."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Describe, Learn, Reason, Refund, Spend, Spent
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Era, Event, Headers
from mcpgov.policy.evaluate import Evaluation, PolicyFilter, refusal_of
from tests.policy.calls import admitted, answer, answered, context, decision, performed, policy, refused, spending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcpgov.decision import Effect
    from mcpgov.models import Json

LISTED = Describe("github https://api.contoso.com/mcp?v=1", "get_issue")
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
    assert [edit.name for edit in verdict.changes.headers] == ["cookie"]
    assert verdict.changes.backend == "https://europe-api.contoso.com"
    assert verdict.limits == (admitted(Spend("", 60, 60)),)


def test_a_call_is_resumable_unless_its_tool_asks_more_of_answers_than_a_get_is_asked() -> None:
    ruled = policy(
        "outbound: [result-rules: { max-size: 300 }]", {"drop": "outbound: [result-rules: { max-size: 100 }]"}
    )
    for method, tool, resumable in (
        ("tools/call", "get", True),
        ("tools/list", "", True),
        ("tools/call", "drop", False),
    ):
        assert Evaluation(ruled, context(method, tool=tool)).resumable is resumable


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
    asked: list[Effect] = []

    def perform(effect: Effect) -> object:
        asked.append(effect)
        return admitted(effect)

    decision(FULL, context(address="1.2.3.4"), perform)
    assert asked == [LISTED]
    decision(FULL, context(), perform)
    assert asked[1:] == [
        LISTED,
        Spend("rate-limit-by-key/tools/call/key:k1", 60, 60),
    ]


def test_the_same_request_gets_the_same_decision() -> None:
    first, second = decision(FULL, context()), decision(FULL, context())
    assert first == second


def test_policy_without_elements_allows_and_asks_for_nothing() -> None:
    verdict = decision("inbound: []", context(), lambda effect: pytest.fail(str(effect)))
    assert (verdict.allowed, verdict.reply_headers) == (True, ())


def test_decision_does_not_print_the_arguments() -> None:
    assert "s3cr3t" not in repr(decision(FULL, context(arguments={"text": "s3cr3t"})))


HOOKS = [
    "ip-filter: { action: allow, addresses: [127.0.0.1] }",
    "rate-limit-by-key: { calls: 1, renewal-period: 1, counter-key: mcp.tool.arguments.one }",
    "rate-limit-by-key: { calls: 1, renewal-period: 1, increment-condition: mcp.tool.arguments.one }",
    "set-header: { name: a, value: '${{ mcp.tool.arguments.two }}' }",
    "set-backend-service: { base-url: 'https://evil.example' }",
    "choose: { when: [{ condition: mcp.tool.arguments.one, do: [] }] }",
    "choose: { when: [{ condition: 'true', do: [set-header: { name: a, value: '${{ mcp.tool.arguments.two }}' }] }] }",
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
    tool_filter = PolicyFilter(in_force, context("tools/list"))
    assert tool_filter.hides("delete_repository", {})
    assert not tool_filter.hides("get_issue", {})
    assert decision(in_force, context(tool="delete_repository")).reason is Reason.TOOL_HIDDEN


BROKEN = """\
inbound:
  - choose: { when: [{ condition: 'int(mcp.tool.name) == 1', do: [tool-rules: { deny: [x] }] }] }
"""


def test_filter_that_fails_refuses_the_answer() -> None:
    in_force = policy("inbound: [tool-rules: { deny: [y] }]", {"x": BROKEN})
    tool_filter = PolicyFilter(in_force, context("tools/list"))
    with pytest.raises(Refusal, match="policy-error"):
        tool_filter.hides("x", {})


def test_rule_that_would_explain_itself_denies_plainly_where_nobody_can_say_whether_the_tool_is_hidden() -> None:
    open_denial = "inbound: [tool-rules: { deny: [{ tool: x, hide: false, message: why }] }]"
    verdict = decision(policy(open_denial, {"x": BROKEN}), context(tool="x"))
    assert (verdict.reason, verdict.as_tool_result) == (Reason.POLICY_ERROR, False)
    assert verdict.message == "A policy could not be evaluated."


def tools(*names: str) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": name} for name in names]}}


async def test_answer_is_untouched_where_no_policy_is_in_force() -> None:
    evaluation, given = Evaluation(policy("inbound: []"), context()), answer({"id": 1})
    assert performed(evaluation.decide()).allowed
    assert performed(evaluation.answered(given)) is given


async def test_events_are_untouched_where_nobody_is_concerned_with_them() -> None:
    given = answer({"id": 1, "result": {}})
    shown, _ = await answered("inbound: [set-header: { name: a, value: b }]", context(), given)
    assert shown.events is given.events
    assert shown.reply is None


async def test_list_is_filtered_as_it_passes_and_what_it_says_of_tools_is_learned() -> None:
    learned: list[object] = []

    def perform(effect: Effect) -> object:
        return learned.extend if isinstance(effect, Learn) else admitted(effect)

    asked = context("tools/list", era=Era.STATELESS)
    evaluation = Evaluation(policy(FULL), asked)
    performed(evaluation.decide(), perform)
    shown = performed(evaluation.answered(answer(tools("get_issue", "delete"), stream=True)), perform)
    messages = [json.loads(event.data or b"") async for events in shown.events for event in events]
    assert messages[0]["result"] == {"tools": [{"name": "get_issue"}], "cacheScope": "private"}
    assert learned == [{"name": "get_issue"}, {"name": "delete"}]


OUTBOUND = """\
inbound: [set-variable: { name: team, value: blue }]
outbound:
  - choose:
      when:
        - condition: response.status == 404
          do: [return-response: { do: [set-status: { code: 410, reason: Gone }] }]
  - set-header: { name: X-Team, value: "${{ string(variables.team) }}" }
  - set-header: { name: X-Type, value: '${{ response.headers["content-type"] }}' }
"""


async def test_outbound_edits_the_reply_and_knows_the_head_of_the_answer_and_the_variables() -> None:
    given = answer({"id": 1}, headers={"content-type": "application/json"})
    shown, _ = await answered(OUTBOUND, context(), given)
    assert shown.reply is not None
    assert [(edit.name, edit.values) for edit in shown.reply.edits] == [
        ("x-team", ("blue",)),
        ("x-type", ("application/json",)),
    ]


async def test_a_field_that_an_answer_has_twice_is_read_as_one() -> None:
    twice = Headers((("x-a", "1"), ("x-b", "2"), ("x-a", "3")))
    given = Answer(200, twice, streaming=False, events=answer({"id": 1}).events)
    reads = """outbound: [set-header: { name: x-read, value: '${{ response.headers["x-a"] }}' }]"""
    shown, _ = await answered(reads, context(), given)
    assert shown.reply is not None
    assert [edit.values for edit in shown.reply.edits] == [("1, 3",)]


async def test_outbound_may_answer_itself_and_where_it_fails_nothing_of_the_answer_passes() -> None:
    with pytest.raises(Refusal) as caught:
        await answered(OUTBOUND, context(), answer(status=404))
    assert caught.value.reason is Reason.POLICY_RESPONSE
    assert caught.value.reply is not None
    assert caught.value.reply.status == 410
    with pytest.raises(Refusal, match="policy-error"):
        await answered(OUTBOUND, context(), answer())


ON_ERROR = """\
inbound:
  - rate-limit-by-key: { calls: 1, renewal-period: 60 }
  - tool-rules: { deny: [delete, { tool: drop, hide: false }] }
on-error:
  - set-header: { name: X-Why, value: "${{ error.reason }} ${{ error.source }} ${{ string(response.status) }}" }
"""


def why(refusal: Refusal) -> list[tuple[str, ...]]:
    return [edit.values for edit in refusal.reply.edits] if refusal.reply else []


def test_on_error_is_told_why_by_whom_and_with_which_status() -> None:
    evaluation = Evaluation(policy(ON_ERROR), context())
    verdict = performed(evaluation.decide(), spending(lambda spend: Spent(False, spend.calls, 0, 60, 7)))
    refusal = performed(evaluation.refused(refusal_of(verdict)))
    assert why(refusal) == [("rate-limited rate-limit-by-key 429",)]
    assert ("Retry-After", "7") in refusal.headers
    gone = Refusal(Reason.UPSTREAM_TIMEOUT, "late")
    assert why(refused(ON_ERROR, context(), gone)) == [("upstream-timeout forward-request 504",)]
    assert why(refused(ON_ERROR, context(), Refusal(Reason.AUDIT_UNAVAILABLE, "no"))) == [
        ("audit-unavailable mcpgov 503",)
    ]


def test_on_error_never_touches_what_a_hidden_tool_gets() -> None:
    evaluation = Evaluation(policy(ON_ERROR), context(tool="delete"))
    verdict = performed(evaluation.decide())
    assert verdict.reason is Reason.TOOL_HIDDEN
    assert performed(evaluation.refused(refusal_of(verdict))).reply is None


def test_what_fails_in_on_error_leaves_the_refusal_as_it_was() -> None:
    broken = "on-error: [set-header: { name: a, value: '${{ mcp.tool.arguments.nothing }}' }]"
    refusal = refused(broken, context(), Refusal(Reason.UPSTREAM_RESET, "broke off"))
    assert (refusal.reason, why(refusal)) == (Reason.UPSTREAM_RESET, [])


REFUND = """\
inbound:
  - rate-limit-by-key: { calls: 5, renewal-period: 60, increment-condition: response.status == 200 }
  - rate-limit-by-key: { calls: 6, renewal-period: 60, increment-condition: "response.headers['x-free'] == 'yes'" }
"""


def refunds(status: int, in_force: str = REFUND) -> list[int]:
    """The limits that give back what a call took that was refused, or whose answer has this status."""
    given: list[int] = []

    def perform(effect: Effect) -> object:
        if isinstance(effect, Refund):
            given.append(effect.spend.calls)
        return admitted(effect)

    evaluation = Evaluation(policy(in_force), context())
    verdict = performed(evaluation.decide(), perform)
    if verdict.allowed:
        performed(evaluation.answered(answer(status=status)), perform)
    else:
        performed(evaluation.refused(refusal_of(verdict)), perform)
    return given


def test_what_turns_out_not_to_count_is_given_back() -> None:
    assert refunds(200) == [6]
    assert refunds(500) == [5, 6]


def test_what_cannot_be_said_stays_counted() -> None:
    undecided = (
        "inbound: [rate-limit-by-key: { calls: 5, renewal-period: 60, increment-condition: dyn(response.status) }]"
    )
    assert refunds(200, undecided) == []


def test_call_that_two_rules_count_is_given_back_only_if_neither_counts_it_for_good() -> None:
    both = REFUND + "  - rate-limit-by-key: { calls: 5, renewal-period: 60 }"
    assert refunds(500, both) == [6]


def test_what_a_hidden_tool_took_is_given_back_where_it_turns_out_not_to_count() -> None:
    hiding = REFUND + "  - tool-rules: { deny: [get_issue] }"
    assert decision(hiding, context()).reason is Reason.TOOL_HIDDEN
    assert refunds(200, hiding) == [6]


def test_what_was_refused_took_nothing_and_gives_nothing_back() -> None:
    evaluation = Evaluation(policy(REFUND), context())
    refuse = spending(lambda spend: Spent(False, spend.calls, 0, 60, 7))
    verdict = performed(evaluation.decide(), refuse)
    performed(evaluation.refused(refusal_of(verdict)), lambda effect: pytest.fail(str(effect)))


def test_rule_that_is_being_evaluated_is_known_while_it_is() -> None:
    evaluation = Evaluation(policy(FULL), context())
    deciding = evaluation.decide()
    assert isinstance(next(deciding), Describe)
    assert isinstance(deciding.send({}), Spend)
    assert evaluation.at == "test#2 rate-limit-by-key"
    with pytest.raises(StopIteration):
        deciding.send(Spent(allowed=True, limit=60, remaining=1, reset=1))
    assert evaluation.at == ""


TELLING = [
    "rate-limit: { calls: 50, renewal-period: 60, operation: [{ name: secret, calls: 1, renewal-period: 60 }] }",
    "choose: { when: [{ condition: 'mcp.tool.name == \"secret\"', do: [return-response: { do: [] }] }] }",
    "argument-rules: { tools: [secret], condition: mcp.tool.arguments.n > 1 }",
    "argument-rules: { tools: [secret], condition: int(mcp.tool.arguments.n) > 1 }",
    "quarantine: { tools: [secret] }",
    "ip-filter: { action: forbid, addresses: [10.0.0.7] }",
    "rate-limit-by-key: { calls: 1, renewal-period: 60 }",
]


@pytest.mark.parametrize("element", TELLING)
@pytest.mark.parametrize("room", [True, False])
def test_hidden_tool_gets_exactly_what_a_tool_gets_that_does_not_exist(element: str, *, room: bool) -> None:
    in_force = policy(f"inbound: [{element}, tool-rules: {{ deny: [secret] }}]")
    perform = spending(lambda spend: Spent(room, spend.calls, spend.calls - 1, 60, 0 if room else 7))
    asked = {name: context(tool=name, arguments={"n": "x"}) for name in ("secret", "missing")}
    hidden, unknown = (decision(in_force, asked[name], perform) for name in ("secret", "missing"))
    assert hidden.reply_headers == unknown.reply_headers
    assert (hidden.reason, hidden.message) == (
        (Reason.TOOL_HIDDEN, "Unknown tool: secret") if unknown.allowed else (unknown.reason, unknown.message)
    )


def test_hidden_tool_is_recorded_with_the_rule_that_hides_it() -> None:
    verdict = decision("inbound: [quarantine: { tools: [get_*] }, tool-rules: { deny: [get_issue] }]", context())
    assert (verdict.reason, verdict.rule) == (Reason.TOOL_HIDDEN, "test#2 tool-rules")


def test_decision_that_is_broken_off_says_where() -> None:
    evaluation = Evaluation(policy(FULL), context())
    deciding = evaluation.decide()
    next(deciding)
    deciding.send({})
    verdict = evaluation.broken_off(Refusal(Reason.COUNTERS_UNAVAILABLE, "gone", detail="no Redis"))
    assert (verdict.reason, verdict.rule) == (Reason.COUNTERS_UNAVAILABLE, "test#2 rate-limit-by-key")
    assert verdict.policy_hash == policy(FULL).digest
    assert evaluation.at == ""


@pytest.mark.parametrize(
    ("element", "passes"), [("set-header: { name: a, value: b }", True), ("tool-rules: { deny: [x] }", False)]
)
async def test_list_that_cannot_be_read_passes_only_where_nothing_is_hidden(element: str, *, passes: bool) -> None:
    data = b'{"id": 1, "id": 1, "result": {"tools": []}}'

    async def events() -> AsyncIterator[tuple[Event, ...]]:
        yield (Event(data, data),)

    evaluation = Evaluation(policy(f"inbound: [{element}]"), context("tools/list"))

    def perform(effect: Effect) -> object:
        return list[object]().extend if isinstance(effect, Learn) else admitted(effect)

    performed(evaluation.decide(), perform)
    shown = performed(evaluation.answered(Answer(200, Headers(), streaming=False, events=events())), perform)
    if passes:
        assert [event.raw async for batch in shown.events for event in batch] == [data]
    else:
        with pytest.raises(Refusal, match="upstream-invalid"):
            await anext(shown.events)
