"""The recorded answers lead to the recorded decision, without what they were about."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mcpgov.decision import Decision, Spend, Spent
from mcpgov.models import Headers
from mcpgov.policy.assumed_token import assumed_token
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.explain import Change, Explanation
from mcpgov.policy.replay import Recorded, decide_today, replay
from tests.policy.calls import context, decision, document, policy, spending

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULES = """\
inbound:
  - trace: { source: a, message: b }
  - limit-concurrency: { max-count: 1 }
  - rate-limit-by-key: { calls: 5, renewal-period: 60, counter-key: 'request.headers["x-tenant"]' }
  - choose:
      when:
        - condition: mcp.tool.arguments.amount > 100
          do: [tool-rules: { deny: [{ tool: pay, hide: false, message: Too much. }] }]
  - tool-rules: { deny: [{ annotation: not readOnlyHint, tools: [get_*] }] }
"""


def recorded(made: Decision) -> Recorded:
    return Recorded(made.reason, made.rule, made.policy_hash, made.answers)


@pytest.mark.parametrize("tool", ["pay", "get_issue", "list"])
@pytest.mark.parametrize("amount", [5, 500, "much"])
@pytest.mark.parametrize("tenant", [{"x-tenant": "blue"}, {}])
@pytest.mark.parametrize("room", [True, False])
def test_a_decision_is_made_again_from_its_record(
    tool: str, amount: int | str, tenant: dict[str, str], *, room: bool
) -> None:
    def counted(effect: Spend) -> Spent:
        return Spent(room, effect.calls, 0, effect.period)

    made = decision(RULES, context(tool=tool, arguments={"amount": amount}, headers=tenant), spending(counted))
    again = replay(policy(RULES), context(tool=tool), recorded(made))
    assert recorded(made).same_as(again)


@pytest.mark.parametrize(
    ("reason", "rule", "answers"),
    [
        ("concurrency-limited", "test#2 limit-concurrency", "vf"),
        ("rate-limited", "test#3 rate-limit-by-key", "vtvf"),
    ],
)
def test_only_the_rule_that_was_out_of_room_is_again(reason: str, rule: str, answers: str) -> None:
    compiled = policy(RULES.partition("  - choose:")[0])
    again = replay(compiled, context(), Recorded(reason, rule, compiled.digest, answers))
    assert (again.reason, again.rule) == (reason, rule)


COUNTED = """\
inbound:
  - quota: { calls: 9, renewal-period: 3600 }
  - rate-limit-by-key: { calls: 5, renewal-period: 60, counter-key: 'request.headers["x-a"]' }
  - rate-limit-by-key: { calls: 7, renewal-period: 60, remaining-calls-variable-name: left }
"""


def test_what_was_left_is_what_the_record_says() -> None:
    compiled, explanation = policy(COUNTED), Explanation()
    given = Recorded("allowed", "", compiled.digest, "vtvftvft", ((5, 2), (7, 4)))
    made = replay(compiled, context(), given, explanation)
    assert [(spent.limit, spent.remaining) for spent in made.limits] == [(5, 2), (7, 4)]
    assert Change("variable left", "4") in explanation.entries[2].changes


def test_two_limits_whose_keys_no_record_holds_are_told_apart_by_the_answers() -> None:
    twice = COUNTED.replace("calls: 7", "calls: 5").replace(
        ", remaining", ", counter-key: 'request.headers.b', remaining"
    )
    compiled, explanation = policy(twice), Explanation()
    given = Recorded("allowed", "", compiled.digest, "vtvftvft", ((5, 2), (5, 4)))
    replay(compiled, context(), given, explanation)
    assert Change("counts", "4 of 5 left") in explanation.entries[2].changes
    assert Change("variable left", "4") in explanation.entries[2].changes


def test_a_policy_that_was_not_asked_then_reads_what_the_record_holds() -> None:
    made = decide_today(policy(RULES), context(tool="get_issue"))
    assert (made.reason, made.rule, made.limits) == ("policy-error", "test#3 rate-limit-by-key", ())


def test_another_decision_is_not_the_same() -> None:
    made = replayed_allowed(context("tools/list"))
    same = recorded(made)
    assert same.same_as(made)
    assert not Recorded("tool-hidden", same.rule, same.policy_hash, same.answers).same_as(made)
    assert not Recorded(same.reason, "x", same.policy_hash, same.answers).same_as(made)
    assert not Recorded(same.reason, same.rule, "x", same.answers).same_as(made)


def replayed_allowed(asked: Context) -> Decision:
    compiled = policy("inbound: []")
    return replay(compiled, asked, Recorded("allowed", "", compiled.digest, ""))


SAME_LIMITS = """\
inbound:
  - rate-limit-by-key: { calls: 5, renewal-period: 60, counter-key: 'request.headers["a"]' }
  - rate-limit-by-key: { calls: 5, renewal-period: 60, counter-key: 'request.headers["b"]' }
"""
AN_INT = """\
inbound:
  - set-variable: { name: n, value: "${{ mcp.tool.arguments.n }}" }
  - emit-metric: { name: m, value: "${{ mcp.tool.arguments.n }}" }
  - argument-rules: { condition: variables.n < 5 }
  - tool-rules: { deny: [other] }
"""


@pytest.mark.parametrize(
    ("text", "asked", "full"),
    [
        (SAME_LIMITS, context(headers={"a": "x", "b": "y"}), {"y"}),
        (SAME_LIMITS, context(headers={"a": "x", "b": "x"}), set[str]()),
        (AN_INT, context(arguments={"n": 3}), set[str]()),
        (AN_INT, context(arguments={"n": 7}), set[str]()),
    ],
)
def test_decision_about_what_no_record_holds_is_made_again(text: str, asked: Context, full: set[str]) -> None:
    perform = spending(lambda spend: Spent(spend.key.rpartition("/")[2] not in full, spend.calls, 1, 60))
    live = decision(text, asked, perform)
    assert recorded(live).same_as(replay(policy(text), bare(asked), recorded(live)))


def bare(asked: Context) -> Context:
    """What a record holds of a request: no header, no argument."""
    head = replace(asked.request.head, headers=Headers())
    return replace(asked, request=replace(asked.request, head=head, params={}))


REPORT = """\
mode: report
inbound:
  - rate-limit-by-key: { calls: 1, renewal-period: 60 }
  - choose: { when: [{ condition: mcp.tool.arguments.n == 2, do: [] }] }
"""


def test_report_that_was_full_takes_no_answer_of_the_rules_in_force() -> None:
    enforced = document("inbound: [argument-rules: { condition: mcp.tool.arguments.n == 1 }]", "enforced")
    in_force = compile_policy([], [], [document(REPORT, "report"), enforced], {})
    asked = context(arguments={"n": 1})
    live = decision(in_force, asked, spending(lambda spend: Spent(False, spend.calls, 0, 60, 9)))
    again = replay(in_force, bare(asked), recorded(live))
    assert (live.allowed, again.allowed, again.reported) == (True, True, live.reported)


def test_whether_a_token_held_is_among_the_answers() -> None:
    url = "https://issuer.example/.well-known/openid-configuration"
    text = f"""\
inbound:
  - validate-jwt: {{ token-value: {assumed_token({"iss": "i"}, NOW)}, openid-config: {{ url: {url} }} }}
"""
    compiled = policy(text)
    for answers, reason in (("t" * 9, "allowed"), ("ttf", "jwt-issuer-denied"), ("t" * 7 + "f", "jwt-key-unknown")):
        rule = "" if reason == "allowed" else "test#1 validate-jwt"
        given = Recorded(reason, rule, compiled.digest, answers)
        assert given.same_as(replay(compiled, context(), given))
