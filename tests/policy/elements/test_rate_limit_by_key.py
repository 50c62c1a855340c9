"""rate-limit-by-key counts calls of tools by the verified caller, and tells the caller where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason, Refund, Spend, Spent
from mcpgov.errors import Refusal
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import (
    admitted,
    answer,
    assert_refused,
    context,
    decision,
    document,
    performed,
    policy,
    problems,
    spending,
)

if TYPE_CHECKING:
    from mcpgov.decision import Decision, Effect
    from mcpgov.policy.context import Context


def spends(text: str, asked: Context) -> list[Spend]:
    """What is asked of the counters for one request."""
    asked_for: list[Spend] = []

    def perform(effect: Effect) -> object:
        asked_for.extend([effect] if isinstance(effect, Spend) else [])
        return admitted(effect)

    assert decision(text, asked, perform).reason in {Reason.ALLOWED, Reason.POLICY_ERROR}
    return asked_for


def limit(more: str = "") -> str:
    return f"inbound: [rate-limit-by-key: {{ calls: 60, renewal-period: 30{', ' + more if more else ''} }}]"


def in_xml(more: str = "") -> str:
    return f'<inbound><base /><rate-limit-by-key calls="60" renewal-period="30" {more}/></inbound>'


def used_up(_: Spend) -> Spent:
    return Spent(allowed=False, limit=60, remaining=0, reset=29, retry_after=7)


CALLER = "rate-limit-by-key/tools/call/key:k1"


def test_verified_caller_is_the_key_unless_another_is_given() -> None:
    assert spends(limit(), context()) == [Spend(CALLER, 60, 30)]
    by_project = limit("counter-key: 'principal.project + \"/\" + mcp.tool.name'")
    assert spends(by_project, context()) == [Spend("rate-limit-by-key/tools/call/agents/get_issue", 60, 30)]


def test_xml_counts_as_yaml_does() -> None:
    assert spends(in_xml(), context()) == [Spend(CALLER, 60, 30)]
    assert spends(in_xml('counter-key="@(context.Subscription.Id)"'), context()) == [Spend(CALLER, 60, 30)]
    assert spends(in_xml('counter-key="everybody" counts="requests" increment-count="3"'), context()) == [
        Spend("rate-limit-by-key/requests/everybody", 60, 30, 3)
    ]


@pytest.mark.parametrize("method", ["initialize", "tools/list", "notifications/initialized", ""])
def test_only_calls_of_tools_are_counted_unless_requests_are(method: str) -> None:
    assert spends(limit(), context(method)) == []
    requests = [Spend("rate-limit-by-key/requests/key:k1", 60, 30)]
    assert spends(limit("counts: requests"), context(method)) == requests


def test_what_is_counted_is_part_of_the_counter() -> None:
    (calls,) = spends(limit(), context())
    (requests,) = spends(limit("counts: requests"), context())
    assert calls != requests


def test_request_that_does_not_meet_the_condition_is_neither_counted_nor_limited() -> None:
    writes = limit("increment-condition: 'mcp.tool.name.startsWith(\"delete_\")'")
    assert spends(writes, context()) == []
    assert len(spends(writes, context(tool="delete_issue"))) == 1


def test_calls_and_count_may_be_computed() -> None:
    text = (
        "inbound: [rate-limit-by-key: { calls: '${{ mcp.tool.name == \"get_issue\" ? 60 : 6 }}', renewal-period: 30,"
        " increment-count: '${{ mcp.tool.name == \"get_issue\" ? 2 : 1 }}' }]"
    )
    assert spends(text, context()) == [Spend(CALLER, 60, 30, 2)]
    assert spends(text, context(tool="other")) == [Spend(CALLER, 6, 30, 1)]


def test_request_counts_once_in_a_counter_however_many_rules_name_it() -> None:
    twice = f"{limit()[:-1]}, {limit()[10:]}"
    assert len(spends(twice, context())) == 1
    assert len(decision(twice, context()).limits) == 2


@pytest.mark.parametrize("key", ['request.headers["x-user"]', "mcp.tool.arguments.number"])
def test_key_without_a_value_denies_and_counts_nothing(key: str) -> None:
    text = limit(f"counter-key: '{key}'")
    assert spends(text, context(arguments={"number": 1})) == []
    verdict = decision(text, context(arguments={"number": 1}))
    assert (verdict.reason, verdict.rule) == (Reason.POLICY_ERROR, "test#1 rate-limit-by-key")


def test_condition_that_fails_denies() -> None:
    text = limit("increment-condition: mcp.tool.arguments.force")
    assert decision(text, context(arguments={"force": "yes"})).reason is Reason.POLICY_ERROR


@pytest.mark.parametrize("text", [limit(), in_xml()])
def test_refused_call_says_when_to_try_again(text: str) -> None:
    verdict = decision(text, context(), spending(used_up))
    assert verdict.reason is Reason.RATE_LIMITED
    assert verdict.message == "Rate limit is exceeded. Try again in 7 seconds."
    assert verdict.reply_headers == (
        ("X-RateLimit-Limit", "60"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", "29"),
        ("Retry-After", "7"),
    )


def test_refusal_is_known_to_on_error_by_the_word_of_api_management() -> None:
    evaluation = Evaluation(policy(limit()), context())
    verdict = performed(evaluation.decide(), spending(used_up))
    performed(evaluation.refused(Refusal(verdict.reason, verdict.message)))
    assert evaluation.draft.last_error is not None
    assert (evaluation.draft.last_error.source, evaluation.draft.last_error.reason) == (
        "rate-limit-by-key",
        "RateLimitExceeded",
    )


def test_allowed_call_is_told_what_is_left() -> None:
    assert decision(limit(), context()).reply_headers == (
        ("X-RateLimit-Limit", "60"),
        ("X-RateLimit-Remaining", "10"),
        ("X-RateLimit-Reset", "30"),
    )


def test_header_names_can_be_chosen() -> None:
    names = "total-calls-header-name: X-All, remaining-calls-header-name: X-Left, retry-after-header-name: X-Wait"
    verdict = decision(limit(names), context(), spending(used_up))
    assert [name for name, _ in verdict.reply_headers] == ["X-All", "X-Left", "X-RateLimit-Reset", "X-Wait"]


def test_variables_get_what_is_left_and_how_long_to_wait() -> None:
    text = limit("remaining-calls-variable-name: left, retry-after-variable-name: wait")
    evaluation = Evaluation(policy(text), context())
    performed(evaluation.decide())
    assert evaluation.draft.variables == {"left": 10}
    evaluation = Evaluation(policy(text), context())
    performed(evaluation.decide(), spending(used_up))
    assert evaluation.draft.variables == {"left": 0, "wait": 7}


# A condition that reads the response: counted first, given back when it turns out not to be true.

ANSWERED = {
    "yaml": limit("increment-condition: 'response.status == 200'"),
    "xml": in_xml('increment-condition="@(context.Response.StatusCode == 200)"'),
}


def refunds(text: str, *, status: int = 0, reason: Reason | None = None) -> list[Refund]:
    """What is given back when a counted call is answered with `status`, or refused for `reason`."""
    evaluation, found = Evaluation(policy(text), context()), list[Refund]()

    def perform(effect: Effect) -> object:
        found.extend([effect] if isinstance(effect, Refund) else [])
        return admitted(effect)

    assert performed(evaluation.decide(), perform).allowed
    assert found == []
    if reason is None:
        performed(evaluation.answered(answer({}, status=status)), perform)
    else:
        performed(evaluation.refused(Refusal(reason, "")), perform)
    return found


@pytest.mark.parametrize("syntax", sorted(ANSWERED))
def test_call_that_turns_out_not_to_count_is_given_back(syntax: str) -> None:
    text = ANSWERED[syntax]
    taken = Spend(CALLER, 60, 30)
    given_back = [Refund(taken, Spent(allowed=True, limit=60, remaining=10, reset=30))]
    assert refunds(text, status=200) == []
    assert refunds(text, status=500) == given_back
    assert refunds(text, reason=Reason.UPSTREAM_UNREACHABLE) == given_back


def test_call_that_was_refused_by_its_limit_gives_nothing_back() -> None:
    evaluation = Evaluation(policy(ANSWERED["yaml"]), context())
    verdict = performed(evaluation.decide(), spending(used_up))
    assert verdict.reason is Reason.RATE_LIMITED
    assert list(evaluation.refused(Refusal(verdict.reason, verdict.message))) == []


def test_call_that_another_rule_counts_for_good_is_not_given_back() -> None:
    waiting = "rate-limit-by-key: { calls: 60, renewal-period: 30, increment-condition: 'response.status == 200' }"
    firm = "rate-limit-by-key: { calls: 60, renewal-period: 30 }"
    assert refunds(f"inbound: [{waiting}, {firm}]", status=500) == []
    assert refunds(f"inbound: [{firm}, {waiting}]", status=500) == []
    assert len(refunds(f"inbound: [{waiting}, {waiting}]", status=500)) == 1


SEVERAL = """\
inbound:
  - rate-limit-by-key: { calls: 10, renewal-period: 10 }
  - rate-limit-by-key: { calls: 20, renewal-period: 20 }
  - rate-limit-by-key: { calls: 30, renewal-period: 30 }
"""


def with_remaining(remaining: dict[int, int], refused: int = 0) -> Decision:
    return decision(
        policy(SEVERAL),
        context(),
        spending(
            lambda spend: Spent(
                allowed=spend.calls != refused,
                limit=spend.calls,
                remaining=remaining[spend.calls],
                reset=spend.period,
                retry_after=1,
            )
        ),
    )


def test_strictest_limit_is_the_one_that_is_told() -> None:
    assert dict(with_remaining({10: 5, 20: 2, 30: 9}).reply_headers)["X-RateLimit-Limit"] == "20"
    assert dict(with_remaining({10: 5, 20: 5, 30: 9}).reply_headers)["X-RateLimit-Limit"] == "20"
    assert len(with_remaining({10: 5, 20: 2, 30: 9}).limits) == 3


def test_limit_that_refused_is_told_even_where_another_is_used_up() -> None:
    told = dict(with_remaining({10: 0, 20: 0, 30: 0}, refused=20).reply_headers)
    assert (told["X-RateLimit-Limit"], told["Retry-After"]) == ("20", "1")


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- calls is missing", "{} <- renewal-period is missing"]),
        (
            "{ calls: 0, renewal-period: 301 }",
            ["0, renewal-period: <- calls must be a whole number from 1 to 1000000", "301 } <- renewal-"],
        ),
        (
            "{ calls: '5', renewal-period: true }",
            ["'5', renewal-perio <- calls must be", "true } <- renewal-period must be a whole"],
        ),
        ("{ calls: 5, renewal-period: 5, counts: all }", ["all } <- counts must be tools/call or requests"]),
        ("{ calls: 5, renewal-period: 5, counter-key: nobody }", ["nobody } <- counter-key: "]),
        ("{ calls: 5, renewal-period: 5, counter-key: '' }", ["'' } <- counter-key must be text that is not empty"]),
        ("{ calls: 5, renewal-period: 5, increment-condition: '1' }", ["'1' } <- increment-condition: "]),
        ("{ calls: 5, renewal-period: 5, increment-count: 0 }", ["0 } <- increment-count must be a whole number"]),
        (
            "{ calls: 5, renewal-period: 5, retry-after-header-name: 'a b' }",
            ["'a b' } <- retry-after-header-name is not"],
        ),
        (
            "{ calls: 5, renewal-period: 5, total-calls-header-name: Host }",
            ["Host } <- total-calls-header-name is not"],
        ),
        ("{ calls: 5, renewal-period: 5, api: [] }", ["api: [] } <- there is no key api here"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("rate-limit-by-key", element, expected)


def test_xml_is_refused_at_its_place() -> None:
    assert problems('<inbound><rate-limit-by-key calls="many" renewal-period="400" /></inbound>', "policies/t.xml") == [
        "1:36: calls must be a whole number from 1 to 1000000",
        "1:58: renewal-period must be a whole number from 1 to 300",
    ]


def test_remarks_say_what_api_management_would_do_otherwise() -> None:
    assert [remark.message for remark in document(in_xml()).remarks] == [
        "only calls of tools count; API Management counts every request",
        "without counter-key it is the caller; API Management refuses that",
        "the caller is told X-RateLimit-Limit, -Remaining and -Reset; API Management names no header by itself",
    ]
    told = 'total-calls-header-name="X-All" remaining-calls-header-name="X-Left" counts="requests"'
    told += ' counter-key="@(context.Subscription.Id)"'
    assert [remark.message for remark in document(in_xml(told)).remarks] == [
        "API Management has no counts, and refuses the attribute",
    ]
    assert document(limit()).remarks == ()
