"""quota counts each caller's calls and bytes in periods that follow one another."""

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

DAY = 86_400
FIRST = -62_135_596_800
YAML = """\
inbound:
  - quota:
      calls: 1000
      bandwidth: 40
      renewal-period: 86400
      api:
        - name: github
          calls: 500
          operation:
            - { name: search_*, bandwidth: 10, renewal-period: 3600 }
      operation: [{ name: delete_*, calls: 3, renewal-period: 0 }]
"""
XML = """\
<inbound>
  <base />
  <quota calls="1000" bandwidth="40" renewal-period="86400">
    <api name="github" calls="500">
      <operation name="search_*" bandwidth="10" renewal-period="3600" />
    </api>
    <operation name="delete_*" calls="3" renewal-period="0" />
  </quota>
</inbound>
"""


def taken(key: str, amount: int, period: int = DAY, count: int = 1) -> Spend:
    return Spend(f"{key}/tools/call/key:k1", amount, period, count, fixed=True, starts=FIRST)


BYTES = taken("bytes/quota//", 40 * 1024, count=0)
CALLS = taken("calls/quota//", 1000)
GITHUB = taken("calls/quota/github/", 500)
SEARCHED = taken("bytes/quota/github/search_*", 10 * 1024, 3600, count=0)
DELETED = taken("calls/quota//delete_*", 3, 0)


def effects(text: str, asked: Context) -> list[Effect]:
    """What is asked of the counters for one request."""
    found: list[Effect] = []

    def perform(effect: Effect) -> object:
        found.extend([effect] if isinstance(effect, Spend | Refund) else [])
        return admitted(effect)

    assert decision(text, asked, perform).allowed
    return found


@pytest.mark.parametrize("text", [YAML, XML])
def test_calls_are_taken_and_bytes_are_asked_after(text: str) -> None:
    assert effects(text, context()) == [BYTES, CALLS, GITHUB]
    assert effects(text, context(tool="search_code")) == [BYTES, CALLS, GITHUB, SEARCHED]
    assert effects(text, context(tool="delete_issue")) == [BYTES, CALLS, DELETED, GITHUB]


def test_only_calls_of_tools_are_counted_unless_requests_are() -> None:
    assert effects(YAML, context("tools/list")) == []
    every = YAML.replace("calls: 1000", "calls: 1000\n      counts: requests")
    assert [spend.key for spend in effects(every, context("tools/list")) if isinstance(spend, Spend)] == [
        "bytes/quota///requests/key:k1",
        "calls/quota///requests/key:k1",
        "calls/quota/github//requests/key:k1",
    ]


def out_of(spend: Spend, seconds: int) -> tuple[str, tuple[tuple[str, str], ...], Reason]:
    """What a call is told where a quota is used up."""

    def counters(asked: Spend) -> Spent:
        return Spent(asked != spend, asked.calls, 0, seconds, 0 if asked != spend else seconds)

    verdict = decision(YAML, context(tool="delete_issue"), spending(counters))
    return verdict.message, verdict.reply_headers, verdict.reason


def test_refused_call_says_when_the_quota_is_replenished() -> None:
    assert out_of(CALLS, 3_725) == (
        "Out of call volume quota. Quota will be replenished in 01:02:05.",
        (("Retry-After", "3725"),),
        Reason.QUOTA_EXCEEDED,
    )
    assert out_of(BYTES, 2 * DAY + 59) == (
        "Out of bandwidth quota. Quota will be replenished in 2.00:00:59.",
        (("Retry-After", str(2 * DAY + 59)),),
        Reason.QUOTA_EXCEEDED,
    )


def test_quota_that_is_never_replenished_says_no_time() -> None:
    assert out_of(DELETED, 0) == ("Out of call volume quota.", (), Reason.QUOTA_EXCEEDED)


def test_call_that_one_quota_refuses_is_counted_in_none_and_charged_nothing() -> None:
    evaluation = Evaluation(policy(YAML), context())
    found: list[Effect] = []

    def perform(effect: Effect) -> object:
        found.append(effect)
        if effect == GITHUB:
            return Spent(allowed=False, limit=500, remaining=0, reset=5, retry_after=5)
        return admitted(effect)

    assert performed(evaluation.decide(), perform).rule == "test#1 quota"
    assert [effect.spend for effect in found if isinstance(effect, Refund)] == [BYTES, CALLS]
    assert evaluation.draft.charges == []


async def test_bytes_of_request_and_answer_are_charged_when_the_answer_has_gone_by() -> None:
    evaluation = Evaluation(policy(YAML), context(tool="search_code"))
    charges: list[Charge] = []

    def perform(effect: Effect) -> object:
        charges.extend([effect] if isinstance(effect, Charge) else [])
        return admitted(effect)

    assert performed(evaluation.decide(), perform).allowed
    shown = performed(evaluation.answered(answer({"id": 1, "result": {"x": "y" * 100}})), perform)
    assert [charge.spend for charge in charges] == [BYTES, SEARCHED]
    size = sum([len(event.raw) async for events in shown.events for event in events])
    assert [charge.amount() for charge in charges] == [size, size]
    assert size > 100


def test_the_same_bytes_are_charged_once_however_many_rules_name_them() -> None:
    one = "quota: { bandwidth: 1, renewal-period: 60 }"
    evaluation = Evaluation(policy(f"inbound: [{one}, {one}]"), context())
    assert performed(evaluation.decide()).allowed
    assert len(evaluation.draft.charges) == 1


def test_refusal_is_known_to_on_error_by_the_word_of_api_management() -> None:
    evaluation = Evaluation(policy(YAML), context())
    used_up = spending(lambda spend: Spent(allowed=False, limit=spend.calls, remaining=0, reset=9, retry_after=9))
    verdict = performed(evaluation.decide(), used_up)
    performed(evaluation.refused(Refusal(verdict.reason, verdict.message)))
    assert evaluation.draft.last_error is not None
    assert (evaluation.draft.last_error.source, evaluation.draft.last_error.reason) == ("quota", "QuotaExceeded")


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- renewal-period is missing", "{} <- it allows neither calls nor bandwidth"]),
        (
            "{ calls: 0, bandwidth: many, renewal-period: -1 }",
            [
                "0, bandwidth <- calls must be a whole number from 1",
                "many <- bandwidth must be a whole number from 1",
                "-1 } <- renewal-period must be a whole number from 0",
            ],
        ),
        (
            "{ calls: 1, renewal-period: 0, api: [{ name: a }], operation: [{ calls: 1 }] }",
            ["{ name: a } <- it allows neither calls nor bandwidth", "{ calls: 1 } <- name is missing"],
        ),
        (
            "{ calls: 1, renewal-period: 0, counter-key: principal.id }",
            ["counter-key: principal.id } <- there is no key counter-key here"],
        ),
        ("3", ["3 <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("quota", element, expected)


def test_remarks_say_what_api_management_would_do_otherwise() -> None:
    assert [remark.message for remark in document(XML).remarks] == [
        "only calls of tools count; API Management counts every request",
        "a period is aligned on midnight UTC; in API Management it begins with the subscription",
        "api is a connection here, and operation a tool; API Management means its own",
    ]
    assert document(YAML).remarks == ()
