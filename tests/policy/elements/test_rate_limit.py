"""rate-limit counts each caller's calls, on everything and on the connections and tools with limits of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason, Refund, Spend, Spent
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import admitted, assert_refused, context, decision, document, performed, policy, spending

if TYPE_CHECKING:
    from mcpgov.decision import Effect
    from mcpgov.policy.context import Context

YAML = """\
inbound:
  - rate-limit:
      calls: 60
      renewal-period: 60
      api:
        - name: github
          calls: 30
          renewal-period: 60
          operation:
            - { name: delete_*, calls: 5, renewal-period: 300 }
        - { name: jira, calls: 3, renewal-period: 60 }
      operation:
        - { id: get_issue, name: ignored, calls: 20, renewal-period: 10 }
"""
XML = """\
<policies>
  <inbound>
    <base />
    <rate-limit calls="60" renewal-period="60">
      <api name="github" calls="30" renewal-period="60">
        <operation name="delete_*" calls="5" renewal-period="300" />
      </api>
      <api name="jira" calls="3" renewal-period="60" />
      <operation id="get_issue" name="ignored" calls="20" renewal-period="10" />
    </rate-limit>
  </inbound>
</policies>
"""


def effects(text: str, asked: Context, refused: int = 0) -> tuple[Reason, list[Effect]]:
    """The verdict, and what is asked of the counters; the limit of `refused` calls is used up."""
    found: list[Effect] = []

    def perform(effect: Effect) -> object:
        found.extend([effect] if isinstance(effect, Spend | Refund) else [])
        if isinstance(effect, Spend) and effect.calls == refused:
            return Spent(allowed=False, limit=refused, remaining=0, reset=9, retry_after=8)
        return admitted(effect)

    return decision(text, asked, perform).reason, found


WHOLE = Spend("rate-limit///tools/call/key:k1", 60, 60)
READING = Spend("rate-limit//get_issue/tools/call/key:k1", 20, 10)
GITHUB = Spend("rate-limit/github//tools/call/key:k1", 30, 60)
DELETING = Spend("rate-limit/github/delete_*/tools/call/key:k1", 5, 300)


@pytest.mark.parametrize("text", [YAML, XML])
def test_every_limit_that_matches_counts(text: str) -> None:
    assert effects(text, context()) == (Reason.ALLOWED, [WHOLE, READING, GITHUB])
    assert effects(text, context(tool="delete_issue")) == (Reason.ALLOWED, [WHOLE, GITHUB, DELETING])
    assert effects(text, context("tools/list")) == (Reason.ALLOWED, [])


@pytest.mark.parametrize("text", [YAML, XML])
def test_call_that_one_limit_refuses_is_counted_in_none(text: str) -> None:
    def back(spend: Spend) -> Refund:
        return Refund(spend, Spent(allowed=True, limit=spend.calls, remaining=10, reset=spend.period))

    reason, found = effects(text, context(tool="delete_issue"), refused=5)
    assert (reason, found) == (Reason.RATE_LIMITED, [WHOLE, GITHUB, DELETING, back(WHOLE), back(GITHUB)])
    assert effects(text, context(), refused=60) == (Reason.RATE_LIMITED, [WHOLE])


def test_what_an_earlier_rule_counted_stays_counted() -> None:
    any_tool = "operation: [{ name: '*', calls: 7, renewal-period: 7 }]"
    twice = f"{YAML}  - rate-limit: {{ calls: 60, renewal-period: 60, {any_tool} }}\n"
    reason, found = effects(twice, context(), refused=7)
    assert reason is Reason.RATE_LIMITED
    assert [effect for effect in found if isinstance(effect, Refund)] == []


def test_all_requests_count_where_that_is_said_and_tools_only_where_they_are_called() -> None:
    text = YAML.replace("calls: 60\n", "calls: 60\n      counts: requests\n")
    assert effects(text, context("tools/list"))[1] == [
        Spend("rate-limit///requests/key:k1", 60, 60),
        Spend("rate-limit/github//requests/key:k1", 30, 60),
    ]


def test_limits_of_several_tools_are_counted_together_where_a_pattern_names_them() -> None:
    _, one = effects(YAML, context(tool="delete_issue"))
    _, other = effects(YAML, context(tool="delete_branch"))
    assert one == other


def test_limits_of_other_connections_do_not_count() -> None:
    only = "inbound: [rate-limit: { calls: 9, renewal-period: 9, api: [{ name: jira, calls: 1, renewal-period: 1 }] }]"
    assert effects(only, context(), refused=1) == (Reason.ALLOWED, [Spend("rate-limit///tools/call/key:k1", 9, 9)])


def test_strictest_of_the_limits_is_told() -> None:
    left = {60: 11, 20: 3, 30: 12}
    named = YAML.replace("calls: 60\n", "calls: 60\n      remaining-calls-variable-name: left\n")
    evaluation = Evaluation(policy(named), context())
    verdict = performed(
        evaluation.decide(),
        spending(lambda spend: Spent(True, spend.calls, left[spend.calls], spend.period)),
    )
    assert dict(verdict.reply_headers)["X-RateLimit-Limit"] == "20"
    assert evaluation.draft.variables == {"left": 3}
    assert [spent.limit for spent in verdict.limits] == [60, 20, 30]


@pytest.mark.parametrize("text", [YAML, XML])
def test_refused_call_says_when_to_try_again(text: str) -> None:
    verdict = decision(text, context(), spending(lambda spend: Spent(False, spend.calls, 0, 9, 8)))
    assert verdict.message == "Rate limit is exceeded. Try again in 8 seconds."
    assert verdict.rule == "test#1 rate-limit"
    assert verdict.reply_headers[-1] == ("Retry-After", "8")


def test_no_caller_can_take_the_counter_of_another_limit() -> None:
    plain = "inbound: [rate-limit: { calls: 5, renewal-period: 300 }]"
    _, found = effects(plain, context(principal="delete_*/tools/call/key:k1"))
    assert DELETING not in found


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- calls is missing", "{} <- renewal-period is missing"]),
        (
            "{ calls: 5, renewal-period: 5, counter-key: principal.id }",
            ["counter-key: <- there is no key counter-key here"],
        ),
        (
            "{ calls: '${{ 5 }}', renewal-period: 301 }",
            ["'${{ 5 }}' <- calls must be a whole number", "301 } <- renewal-period must be a whole number"],
        ),
        ("{ calls: 5, renewal-period: 5, api: x }", ["x } <- api must be a list"]),
        (
            "{ calls: 5, renewal-period: 5, api: [{}] }",
            ["{}] } <- name is missing", "{}] } <- calls is missing", "{}] } <- renewal-period is missing"],
        ),
        (
            "{ calls: 5, renewal-period: 5, api: [{ name: Echo API, calls: 1, renewal-period: 1 }] }",
            ["Echo API <- no connection has such a name"],
        ),
        (
            "{ calls: 5, renewal-period: 5, operation: [{ id: 'get/x', calls: 1, renewal-period: 1, api: 1 }] }",
            ["'get/x' <- no tool has such a name", "api: 1 <- there is no key api here"],
        ),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("rate-limit", element, expected)


def test_remarks_say_what_api_management_would_do_otherwise() -> None:
    remarks = [remark.message for remark in document(XML).remarks]
    assert remarks == [
        "only calls of tools count; API Management counts every request",
        "the caller is told X-RateLimit-Limit, -Remaining and -Reset; API Management names no header by itself",
        "api is a connection here, and operation a tool; API Management means its own",
    ]
    assert document(YAML).remarks == ()
