"""A document in report mode says what it would do, and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Charge, Describe, Hold, Reason, Refund, Spend, Spent
from mcpgov.policy.evaluate import Evaluation, PolicyFilter
from tests.policy.calls import admitted, answer, answered, context, decision, performed, policy

if TYPE_CHECKING:
    from mcpgov.decision import Effect

STRICTER = """\
mode: report
inbound:
  - set-header: { name: X-A, value: b }
  - set-variable: { name: v, value: w }
  - choose: { when: [{ condition: 'request.headers["x-a"] == "b"', do: [tool-rules: { deny: [get_*] }] }] }
  - set-header: { name: X-B, value: never }
"""


def test_what_it_would_deny_is_reported_and_allowed() -> None:
    verdict = decision(STRICTER, context())
    assert verdict.allowed
    assert [(one.reason, one.rule) for one in verdict.reported] == [(Reason.TOOL_HIDDEN, "test#3.1.1 tool-rules")]


def test_it_changes_nothing_and_hides_nothing() -> None:
    verdict = decision(STRICTER, context())
    assert verdict.changes.headers == ()
    assert not PolicyFilter(policy(STRICTER), context("tools/list")).hides("get_issue", {})


def test_what_it_would_let_pass_is_not_reported() -> None:
    assert decision(STRICTER, context(tool="list_issues")).reported == ()


def test_its_limits_count_apart_from_those_in_force() -> None:
    text = """\
mode: report
inbound:
  - rate-limit-by-key: { calls: 5, renewal-period: 60, increment-condition: response.status == 200 }
  - quota-by-key: { bandwidth: 5, renewal-period: 3600, counter-key: principal.id }
  - limit-concurrency: { key: '"all"', max-count: 1, do: [] }
  - trace: { source: a, message: b }
"""
    asked: list[Effect] = []

    def perform(effect: Effect) -> object:
        asked.append(effect)
        return admitted(effect)

    evaluation = Evaluation(policy(text), context())
    assert performed(evaluation.decide(), perform).limits == ()
    performed(evaluation.answered(answer(status=500)), perform)
    keys = [effect.key for effect in asked if isinstance(effect, Spend | Hold)]
    assert len(keys) == 3
    assert all("/report/" in key for key in keys)
    assert [effect.spend.key in keys for effect in asked if isinstance(effect, Refund | Charge)] == [True, True]


def test_what_it_would_do_with_an_answer_is_not_done() -> None:
    text = "mode: report\noutbound: [set-header: { name: X-A, value: b }, return-response: { do: [] }]"
    evaluation = Evaluation(policy(text), context())
    assert performed(evaluation.decide()).allowed
    given = answer({"id": 1})
    assert performed(evaluation.answered(given)).reply is None
    assert [one.reason for one in evaluation.draft.reported] == [Reason.POLICY_RESPONSE]


async def test_base_runs_between_the_parts_that_are_only_reported() -> None:
    text = '<policies mode="report"><inbound><tool-rules><deny tool="get_*"/></tool-rules><base/></inbound></policies>'
    assert [step.rule for step in policy(text).general.inbound] == ["test#1 tool-rules (report)"]
    assert decision(text, context()).allowed
    await answered(text, context(), answer({"id": 1}))


@pytest.mark.parametrize("allowed", [True, False])
def test_a_limit_that_is_reached_is_reported(*, allowed: bool) -> None:
    text = "mode: report\ninbound: [rate-limit-by-key: { calls: 5, renewal-period: 60 }]"

    def perform(effect: Effect) -> object:
        assert isinstance(effect, Spend | Describe)
        return Spent(allowed, 5, 0, 60) if isinstance(effect, Spend) else {}

    assert [one.reason for one in decision(text, context(), perform).reported] == (
        [] if allowed else [Reason.RATE_LIMITED]
    )
