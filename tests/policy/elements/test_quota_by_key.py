"""quota-by-key counts calls and bytes for each value of a key, in periods that follow one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Charge, Reason, Refund, Spend, Spent
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
    spending,
)

if TYPE_CHECKING:
    from mcpgov.decision import Effect
    from mcpgov.policy.context import Context

FIRST = -62_135_596_800


def quota(more: str = "") -> str:
    return f"inbound: [quota-by-key: {{ calls: 100, renewal-period: 3600{', ' + more if more else ''} }}]"


def in_xml(more: str = "") -> str:
    return f'<inbound><base /><quota-by-key calls="100" renewal-period="3600" {more}/></inbound>'


def spends(text: str, asked: Context) -> list[Spend]:
    """What is asked of the counters for one request."""
    found: list[Spend] = []

    def perform(effect: Effect) -> object:
        found.extend([effect] if isinstance(effect, Spend) else [])
        return admitted(effect)

    assert decision(text, asked, perform).allowed
    return found


def taken(key: str = "tools/call/key:k1", starts: int = FIRST, count: int = 1) -> Spend:
    return Spend(f"calls/quota-by-key/{key}", 100, 3600, count, fixed=True, starts=starts)


def test_verified_caller_is_the_key_unless_another_is_given() -> None:
    assert spends(quota(), context()) == [taken()]
    assert spends(in_xml(), context()) == [taken()]
    assert spends(quota("counter-key: principal.project"), context()) == [taken("tools/call/agents")]
    assert spends(in_xml('counter-key="all" counts="requests"'), context("tools/list")) == [taken("requests/all")]


def test_only_calls_that_meet_the_condition_count_and_for_as_much_as_is_said() -> None:
    text = quota("increment-condition: 'mcp.tool.name == \"run_query\"', increment-count: 5")
    assert spends(text, context()) == []
    assert spends(text, context("tools/list")) == []
    assert spends(text, context(tool="run_query")) == [taken(count=5)]


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00Z", 1_767_225_600),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600),
        ("1969-12-31T23:59:59Z", -1),
    ],
)
def test_periods_begin_when_that_is_said(moment: str, seconds: int) -> None:
    assert spends(quota(f'first-period-start: "{moment}"'), context()) == [taken(starts=seconds)]
    assert spends(in_xml(f'first-period-start="{moment}"'), context()) == [taken(starts=seconds)]


@pytest.mark.parametrize("text", [quota(), in_xml()])
def test_refused_call_says_when_the_quota_is_replenished(text: str) -> None:
    verdict = decision(
        text,
        context(),
        spending(lambda _: Spent(allowed=False, limit=100, remaining=0, reset=60, retry_after=60)),
    )
    assert (verdict.reason, verdict.rule) == (Reason.QUOTA_EXCEEDED, "test#1 quota-by-key")
    assert verdict.message == "Out of call volume quota. Quota will be replenished in 00:01:00."
    assert verdict.reply_headers == (("Retry-After", "60"),)


def test_refusal_is_known_to_on_error_by_the_word_of_api_management() -> None:
    evaluation = Evaluation(policy(quota()), context())
    no = spending(lambda _: Spent(allowed=False, limit=100, remaining=0, reset=60, retry_after=60))
    verdict = performed(evaluation.decide(), no)
    performed(evaluation.refused(Refusal(verdict.reason, verdict.message)))
    assert evaluation.draft.last_error is not None
    assert (evaluation.draft.last_error.source, evaluation.draft.last_error.reason) == (
        "quota-by-key",
        "QuotaExceeded",
    )


WAITING = quota("bandwidth: 1, increment-condition: 'response.status == 200'")
WAITING_XML = in_xml('bandwidth="1" increment-condition="@(context.Response.StatusCode == 200)" ')


def settled(text: str, status: int) -> tuple[list[Refund], list[Charge]]:
    """What is given back, and what is charged, when the call is answered with `status`."""
    evaluation = Evaluation(policy(text), context())
    refunds: list[Refund] = []
    charges: list[Charge] = []

    def perform(effect: Effect) -> object:
        refunds.extend([effect] if isinstance(effect, Refund) else [])
        charges.extend([effect] if isinstance(effect, Charge) else [])
        return admitted(effect)

    assert performed(evaluation.decide(), perform).allowed
    performed(evaluation.answered(answer({}, status=status)), perform)
    return refunds, charges


@pytest.mark.parametrize("text", [WAITING, WAITING_XML])
def test_call_that_turns_out_not_to_count_is_given_back_and_charged_nothing(text: str) -> None:
    refunds, charges = settled(text, 200)
    assert (refunds, len(charges)) == ([], 1)
    refunds, charges = settled(text, 500)
    assert ([refund.spend for refund in refunds], charges) == ([taken()], [])


def test_bytes_that_another_rule_charges_for_good_are_charged() -> None:
    both = f"{WAITING[:-1]}, {quota('bandwidth: 1')[10:]}"
    refunds, charges = settled(both, 500)
    assert (refunds, len(charges)) == ([], 1)
    twice = f"{WAITING[:-1]}, {WAITING[10:]}"
    assert settled(twice, 500)[1] == []
    assert len(settled(twice, 200)[1]) == 1


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- renewal-period is missing", "{} <- it allows neither calls nor bandwidth"]),
        ("{ calls: 1, renewal-period: 299 }", ["299 } <- renewal-period must be 0, for ever, or at least 300 seconds"]),
        (
            "{ calls: 1, renewal-period: 300, first-period-start: yesterday }",
            ["yesterday } <- first-period-start is no date-time with its zone"],
        ),
        (
            "{ calls: 1, renewal-period: 300, first-period-start: '2026-01-01T00:00:00' }",
            ["'2026-01-01T00:00:00' } <- first-period-start is no date-time"],
        ),
        (
            "{ calls: 1, renewal-period: 300, counter-key: nobody }",
            ["nobody } <- counter-key: "],
        ),
        (
            "{ calls: 1, renewal-period: 300, api: [] }",
            ["api: [] } <- there is no key api here"],
        ),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("quota-by-key", element, expected)


@pytest.mark.parametrize("period", [0, 300])
def test_a_period_may_be_endless_or_five_minutes(period: int) -> None:
    (spend,) = spends(quota().replace("3600", str(period)), context())
    assert spend.period == period


def test_remarks_say_what_api_management_would_do_otherwise() -> None:
    assert [remark.message for remark in document(in_xml()).remarks] == [
        "only calls of tools count; API Management counts every request",
        "without counter-key it is the caller; API Management refuses that",
    ]
    assert document(quota()).remarks == ()
