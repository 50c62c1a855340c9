"""rate-limit-by-key counts calls of tools by the verified caller, and tells the caller where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason, Spend, Spent
from tests.policy.calls import admitted, assert_refused, context, decision, policy

if TYPE_CHECKING:
    from mcpgov.decision import Decision
    from mcpgov.policy.context import Context


def spends(text: str, asked: Context) -> list[Spend]:
    """What is asked of the counters for one request."""
    asked_for: list[Spend] = []

    def counters(spend: Spend) -> Spent:
        asked_for.append(spend)
        return admitted(spend)

    assert decision(text, asked, counters).reason in {Reason.ALLOWED, Reason.POLICY_ERROR}
    return asked_for


def limit(more: str = "") -> str:
    return f"inbound: [rate-limit-by-key: {{ calls: 60, renewal-period: 30{', ' + more if more else ''} }}]"


def test_verified_caller_is_the_key_unless_another_is_given() -> None:
    assert spends(limit(), context()) == [Spend("tools/call/key:k1", 60, 30)]
    by_project = limit("counter-key: 'principal.project + \"/\" + mcp.tool.name'")
    assert spends(by_project, context()) == [Spend("tools/call/agents/get_issue", 60, 30)]


@pytest.mark.parametrize("method", ["initialize", "tools/list", "notifications/initialized", ""])
def test_only_calls_of_tools_are_counted_unless_requests_are(method: str) -> None:
    assert spends(limit(), context(method)) == []
    assert spends(limit("counts: requests"), context(method)) == [Spend("requests/key:k1", 60, 30)]


def test_what_is_counted_is_part_of_the_counter() -> None:
    (calls,) = spends(limit(), context())
    (requests,) = spends(limit("counts: requests"), context())
    assert calls != requests


def test_request_that_does_not_meet_the_condition_is_neither_counted_nor_limited() -> None:
    writes = limit("increment-condition: 'mcp.tool.name.startsWith(\"delete_\")'")
    assert spends(writes, context()) == []
    assert len(spends(writes, context(tool="delete_issue"))) == 1


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


def test_refused_call_says_when_to_try_again() -> None:
    verdict = decision(
        limit(), context(), lambda _: Spent(allowed=False, limit=60, remaining=0, reset=29, retry_after=7)
    )
    assert verdict.reason is Reason.RATE_LIMITED
    assert verdict.message == "Rate limit is exceeded. Try again in 7 seconds."
    assert verdict.reply_headers == (
        ("X-RateLimit-Limit", "60"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", "29"),
        ("Retry-After", "7"),
    )


def test_allowed_call_is_told_what_is_left() -> None:
    assert decision(limit(), context()).reply_headers == (
        ("X-RateLimit-Limit", "60"),
        ("X-RateLimit-Remaining", "10"),
        ("X-RateLimit-Reset", "30"),
    )


def test_header_names_can_be_chosen() -> None:
    names = "total-calls-header-name: X-All, remaining-calls-header-name: X-Left, retry-after-header-name: X-Wait"
    verdict = decision(
        limit(names), context(), lambda _: Spent(allowed=False, limit=60, remaining=0, reset=29, retry_after=7)
    )
    assert [name for name, _ in verdict.reply_headers] == ["X-All", "X-Left", "X-RateLimit-Reset", "X-Wait"]


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
        lambda spend: Spent(
            allowed=spend.calls != refused,
            limit=spend.calls,
            remaining=remaining[spend.calls],
            reset=spend.period,
            retry_after=1,
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
            ["0, renewal-period: <- calls must be a whole number from 1 to 100000", "301 } <- renewal-"],
        ),
        (
            "{ calls: '5', renewal-period: true }",
            ["'5', renewal-perio <- calls must be", "true } <- renewal-period must be a whole"],
        ),
        ("{ calls: 5, renewal-period: 5, counts: all }", ["all } <- counts must be tools/call or requests"]),
        ("{ calls: 5, renewal-period: 5, counter-key: nobody }", ["nobody } <- counter-key: not CEL at character 1"]),
        ("{ calls: 5, renewal-period: 5, counter-key: '' }", ["'' } <- counter-key must be text that is not empty"]),
        ("{ calls: 5, renewal-period: 5, increment-condition: true }", ["true } <- increment-condition must be text"]),
        ("{ calls: 5, renewal-period: 5, increment-condition: '1' }", ["'1' } <- increment-condition: the expression"]),
        (
            "{ calls: 5, renewal-period: 5, retry-after-header-name: 'a b' }",
            ["'a b' } <- retry-after-header-name is not"],
        ),
        (
            "{ calls: 5, renewal-period: 5, total-calls-header-name: Host }",
            ["Host } <- total-calls-header-name is not"],
        ),
        (
            "{ calls: 5, renewal-period: 5, increment-count: 2 }",
            ["increment-count: 2 <- there is no key increment-count here"],
        ),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("rate-limit-by-key", element, expected)
