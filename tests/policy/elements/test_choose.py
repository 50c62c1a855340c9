"""choose runs the first branch whose condition is true, and hides what that branch hides."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.policy.evaluate import PolicyFilter
from tests.policy.calls import assert_refused, context, decision, policy, problems

BY_REGION = """\
inbound:
  - choose:
      when:
        - condition: 'request.headers["x-region"] == "eu"'
          do: [set-header: { name: x-went, value: eu }]
        - condition: 'request.headers["x-region"] == "eu" || mcp.tool.name == "get_issue"'
          do:
            - set-header: { name: x-went, value: second }
            - choose:
                when: [{ condition: 'principal.project == "agents"', do: [set-header: { name: x-in, value: agents }] }]
                otherwise: [set-header: { name: x-in, value: others }]
      otherwise: [tool-rules: { deny: ["*"] }]
"""


def went(**headers: str) -> list[str]:
    verdict = decision(BY_REGION, context(headers={name.replace("_", "-"): value for name, value in headers.items()}))
    return [f"{edit.name}={edit.values[0]}" for edit in verdict.changes.headers]


def test_first_branch_that_holds_is_the_only_one_that_runs() -> None:
    assert went(x_region="eu") == ["x-went=eu"]
    assert went(x_region="us") == ["x-went=second", "x-in=agents"]


def test_missing_header_makes_a_condition_false() -> None:
    assert went() == ["x-went=second", "x-in=agents"]


def test_otherwise_runs_where_no_condition_holds() -> None:
    verdict = decision(BY_REGION, context(tool="other"))
    assert (verdict.reason, verdict.rule) == (Reason.TOOL_HIDDEN, "test#1.3.1 tool-rules")


def test_choose_without_otherwise_does_nothing_where_no_condition_holds() -> None:
    assert decision("inbound: [choose: { when: [{ condition: 'false', do: [] }] }]", context()).allowed


def test_condition_that_fails_denies_with_the_rule_of_the_choose() -> None:
    text = "inbound: [choose: { when: [{ condition: mcp.tool.arguments.force, do: [] }] }]"
    verdict = decision(text, context(arguments={"force": 1}))
    assert (verdict.reason, verdict.rule) == (Reason.POLICY_ERROR, "test#1 choose")


def test_failure_inside_a_branch_carries_the_inner_rule() -> None:
    text = (
        "inbound: [choose: { when: [{ condition: 'true', do: [choose: { when: [{ condition: dyn(1), do: [] }] }] }] }]"
    )
    assert decision(text, context()).rule == "test#1.1.1 choose"


def test_branch_that_applies_to_the_caller_hides_from_its_lists() -> None:
    for tool, hidden in (("get_issue", False), ("other", True)):
        assert PolicyFilter(policy(BY_REGION), context("tools/list")).hides(tool, {}) is hidden


def test_every_step_inside_is_known() -> None:
    assert [step.rule for step in policy(BY_REGION).all_steps()] == [
        "test#1 choose",
        "test#1.1.1 set-header",
        "test#1.2.1 set-header",
        "test#1.2.2 choose",
        "test#1.2.2.1.1 set-header",
        "test#1.2.2.2.1 set-header",
        "test#1.3.1 tool-rules",
    ]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- when is missing"]),
        ("{ when: [] }", ["{ when: [] } <- when is missing"]),
        ("{ when: 5 }", ["{ when: 5 } <- when is missing", "5 } <- when must be a list"]),
        ("{ when: [{}] }", ["{}] } <- condition is missing", "{}] } <- do is missing"]),
        ("{ when: [5] }", ["5] } <- must be a mapping"]),
        (
            "{ when: [{ condition: principal.id, do: [] }] }",
            ["principal.id, do:  <- condition: the expression is STRING"],
        ),
        ("{ when: [{ condition: 'true', do: 5 }] }", ["5 }] } <- do must be a list"]),
        (
            "{ when: [{ condition: 'true', then: [] }] }",
            ["{ condition: 'true <- do is missing", "then: [] }] } <- there is no key then"],
        ),
        ("{ when: [{ condition: 'true', do: [x: {}] }] }", ["x: {}] }] } <- there is no policy element x"]),
        ("{ when: [{ condition: 'true', do: [] }], otherwise: 5 }", ["5 } <- otherwise must be a list"]),
        ("[]", ["[] <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("choose", element, expected)


def test_element_inside_must_fit_the_section_too() -> None:
    (found,) = problems("backend: [choose: { when: [{ condition: 'true', do: [tool-rules: { deny: [x] }] }] }]")
    assert found == "1:54: tool-rules may not stand in backend (move it to inbound)"
