"""An Explanation gives each question and change to the element that it belongs to; a DryRun touches nothing."""

import pytest

from mcpgov.decision import Charge, Describe, Hold, Learn, Metric, Refund, Spend, Spent, Tell, Trace
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.explain import Change, DryRun, Explanation, assumed_answer
from tests.policy.calls import context, policy

SPEND = Spend("k", 5, 60)


def watched(text: str) -> Explanation:
    explanation, effects = Explanation(), DryRun()
    evaluation = Evaluation(policy(text), context(headers={"x-a": "1"}), watch=explanation)
    if effects.run(evaluation.decide()).allowed:
        effects.run(evaluation.answered(assumed_answer()))
    return explanation


def changes(text: str) -> list[tuple[str, list[Change]]]:
    return [(entry.rule, entry.changes) for entry in watched(text).entries]


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("set-header: { name: X-B, value: c }", Change("upstream header x-b", "c")),
        (
            "set-header: { name: X-B, value: c, exists-action: skip }",
            Change("upstream header x-b (unless it is there)", "c"),
        ),
        ("set-header: { name: X-A, exists-action: delete }", Change("upstream header x-a is deleted")),
        ("set-query-parameter: { name: q, value: c, exists-action: append }", Change("upstream query q (added)", "c")),
        ("forward-headers: { headers: [X-A] }", Change("lets the caller's header cross", "x-a")),
        ("rewrite-uri: { template: /other }", Change("path", "/other")),
        ("set-variable: { name: v, value: c }", Change("variable v", "'c'")),
        ("rate-limit-by-key: { calls: 5, renewal-period: 60 }", Change("counts", "4 of 5 left")),
    ],
)
def test_a_change_is_said_in_words(step: str, change: Change) -> None:
    ((_, found),) = changes(f"inbound: [{step}]")
    assert change in found


def test_what_is_done_to_the_answer_is_said() -> None:
    text = (
        "outbound: [set-status: { code: 202 }, set-header: { name: a, value: b }, find-and-replace: { from: a, to: b }]"
    )
    assert [change for _, one in changes(text) for change in one] == [
        Change("reply status", "202"),
        Change("reply header a", "b"),
        Change("looks into the answer as it passes"),
    ]


def test_what_has_no_value_is_said_too() -> None:
    text = "backend: [retry: { count: 2, interval: 1, condition: true, do: [forward-request: { timeout: 5 }] }]"
    found = [change for _, one in changes(text) for change in one]
    assert Change("asks again where the answer says so") in found
    assert Change("time-out in seconds", "5") in found
    text = "on-error: []\ninbound: [return-response: { do: [set-body: { value: x }] }]"
    assert ("test#1.1 set-body", [Change("sets the body of the reply")]) in changes(text)


def test_only_a_variable_that_has_changed_is_said() -> None:
    text = "inbound: [set-variable: { name: v, value: c }, set-variable: { name: w, value: c }]"
    assert changes(text)[1] == ("test#2 set-variable", [Change("variable w", "'c'")])


def test_questions_and_changes_belong_to_the_innermost_element() -> None:
    text = "inbound: [choose: { when: [{ condition: mcp.tool.name != '', do: [set-header: { name: b, value: c }] }] }]"
    choose, inner = watched(text).entries
    assert [(one.question, one.answer) for one in choose.questions] == [("mcp.tool.name != ''", "true")]
    assert choose.changes == [Change("takes branch 1")]
    assert (inner.rule, inner.depth, inner.changes) == ("test#1.1.1 set-header", 1, [Change("upstream header b", "c")])


@pytest.mark.parametrize(
    ("otherwise", "way"), [("[trace: { source: a, message: b }]", "otherwise"), ("[]", "no branch")]
)
def test_where_no_condition_is_true_no_branch_is_named(otherwise: str, way: str) -> None:
    text = f"inbound: [choose: {{ when: [{{ condition: false, do: [] }}], otherwise: {otherwise} }}]"
    explanation = watched(text)
    assert explanation.entries[0].changes == [Change(f"takes {way}")]
    assert explanation.ways == {("test#1 choose", way)}


def test_a_denial_belongs_to_the_element_that_gave_it() -> None:
    explanation = watched("inbound: [choose: { when: [{ condition: true, do: [tool-rules: { deny: ['*'] }] }] }]")
    choose, inner = explanation.entries
    assert choose.denial is None
    assert inner.denial is not None
    assert explanation.ways == {("test#1 choose", "branch 1")}


def test_a_document_in_report_mode_says_what_it_would_deny() -> None:
    report, inner = watched("mode: report\ninbound: [tool-rules: { deny: ['*'] }]").entries
    assert report.is_report
    assert report.changes == [Change("would deny", "tool-hidden, by test#1 tool-rules")]
    assert not inner.is_report
    assert inner.denial is not None


def test_a_dry_run_has_room_for_what_fits() -> None:
    effects = DryRun({"readOnlyHint": True})
    assert effects.perform(SPEND) == Spent(allowed=True, limit=5, remaining=4, reset=60)
    over = effects.perform(Spend("k", 5, 60, count=6))
    assert over == Spent(allowed=False, limit=5, remaining=0, reset=60, retry_after=60)
    assert effects.perform(Hold("k", 1)) is True
    assert effects.perform(Hold("k", 0)) is False
    assert effects.perform(Describe("github", "get")) == {"readOnlyHint": True}


def test_a_dry_run_does_nothing_and_remembers_what_would_be_told() -> None:
    effects, trace, metric = DryRun(), Trace("r", "s", "error", "m"), Metric("r", "n", 1)
    assert effects.perform(Learn("github"))([]) is None
    assert effects.perform(Refund(SPEND, Spent(True, 5, 4, 60))) is None
    assert effects.perform(Charge(SPEND, lambda: 3)) is None
    effects.perform(trace)
    effects.perform(Tell())(metric)
    assert effects.told == [trace, metric]


async def test_the_assumed_answer_is_empty() -> None:
    answer = assumed_answer()
    assert (answer.status, [events async for events in answer.events]) == (200, [])


def test_a_token_that_is_asked_for_is_said_with_whose_and_what_for() -> None:
    text = """\
inbound:
  - get-authorization-context: { provider-id: calendar, context-variable-name: own }
  - authentication-managed-identity: { resource: api://r, output-token-variable-name: ours }
"""
    said = [entry_changes[0] for _, entry_changes in changes(text)]
    assert said == [Change("gets a token of", "calendar"), Change("gets a token of", "azure.identity for api://r")]
