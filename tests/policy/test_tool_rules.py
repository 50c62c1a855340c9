"""tool-rules: deny wins, an allow list hides the rest, and look-alikes are no tools."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from tests.policy.calls import assert_refused, context, decision, policy


def reason(element: str, tool: str) -> Reason:
    return decision(f"inbound: [tool-rules: {{ {element} }}]", context(tool=tool)).reason


RULES = (
    "allow: [get_*, list_issues], deny: [get_secret, { tools: [get_audit*, drop], hide: false, message: Ask first. }]"
)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("get_issue", Reason.ALLOWED),
        ("list_issues", Reason.ALLOWED),
        ("list_repos", Reason.TOOL_HIDDEN),
        ("get_secret", Reason.TOOL_HIDDEN),
        ("get_audit_log", Reason.TOOL_DENIED),
        ("drop", Reason.TOOL_DENIED),
        ("GET_issue", Reason.TOOL_HIDDEN),
        ("get_issue\n", Reason.TOOL_HIDDEN),
        ("g\u0435t_issue", Reason.TOOL_HIDDEN),
        ("", Reason.TOOL_HIDDEN),
    ],
)
def test_call_is_decided_by_name(tool: str, expected: Reason) -> None:
    assert reason(RULES, tool) is expected


def test_without_an_allow_list_what_is_not_denied_is_allowed() -> None:
    assert reason("deny: [delete_*]", "get_issue") is Reason.ALLOWED
    assert reason("deny: [delete_*]", "delete_issue") is Reason.TOOL_HIDDEN
    assert reason("deny: []", "get_issue") is Reason.ALLOWED


def test_empty_allow_list_hides_everything() -> None:
    assert reason("allow: []", "get_issue") is Reason.TOOL_HIDDEN


def test_name_that_is_no_tool_name_is_denied_also_without_an_allow_list() -> None:
    assert reason("deny: [x]", "s\u0430fe") is Reason.TOOL_HIDDEN
    assert reason("deny: [x]", "a" * 129) is Reason.TOOL_HIDDEN


def test_hidden_wins_over_denied_in_the_open() -> None:
    assert reason("deny: [{ tool: drop, hide: false }, drop]", "drop") is Reason.TOOL_HIDDEN


def test_hidden_in_another_document_wins_too() -> None:
    text = "inbound: [tool-rules: { deny: [{ tool: drop, hide: false }] }, tool-rules: { deny: [drop] }]"
    verdict = decision(text, context(tool="drop"))
    assert (verdict.reason, verdict.message, verdict.as_tool_result) == (
        Reason.TOOL_HIDDEN,
        "Unknown tool: drop",
        False,
    )


def test_hidden_tool_looks_unknown_and_denied_one_tells_the_model_why() -> None:
    hidden = decision(f"inbound: [tool-rules: {{ {RULES} }}]", context(tool="get_secret"))
    assert (hidden.message, hidden.as_tool_result, hidden.rule) == (
        "Unknown tool: get_secret",
        False,
        "test#1 tool-rules",
    )
    denied = decision(f"inbound: [tool-rules: {{ {RULES} }}]", context(tool="drop"))
    assert (denied.message, denied.as_tool_result) == ("Ask first.", True)
    plain = decision("inbound: [tool-rules: { deny: [{ tool: drop, hide: false }] }]", context(tool="drop"))
    assert plain.message == "The tool drop is not allowed."


@pytest.mark.parametrize("method", ["tools/list", "initialize", "prompts/get", ""])
def test_other_requests_pass_and_carry_the_filter(method: str) -> None:
    verdict = decision(f"inbound: [tool-rules: {{ {RULES} }}]", context(method))
    assert verdict.allowed
    (tool_filter,) = verdict.tool_filters
    assert [tool_filter.hides(tool, {}) for tool in ("get_issue", "get_secret", "drop", "", "x\n")] == [
        *(False, True, False, True, True)
    ]


@given(st.sampled_from(["get_issue", "get_secret", "drop", "list_issues", "other", "x\n", "get_audit"]) | st.text())
def test_what_is_hidden_from_a_list_is_refused_at_the_call_and_nothing_else_looks_unknown(tool: str) -> None:
    in_force = policy(f"inbound: [tool-rules: {{ {RULES} }}]")
    (tool_filter,) = decision(in_force, context("tools/list")).tool_filters
    assert (decision(in_force, context(tool=tool)).reason is Reason.TOOL_HIDDEN) == tool_filter.hides(tool, {})


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- tool-rules says nothing"]),
        ("[]", ["[] <- must be a mapping"]),
        ("{ allow: x }", ["x } <- allow must be a list"]),
        (
            "{ allow: [5, '[a]', { tool: x }] }",
            [
                "5, '[a]', { tool:  <- must be text",
                "'[a]', { tool: x } <- no tool has such a name",
                "{ tool: x }] } <- must be text",
            ],
        ),
        ("{ deny: [5] }", ["5] } <- must be a mapping (write { tool: … })"]),
        ("{ deny: ['a b'] }", ["'a b'] } <- no tool has such a name"]),
        ("{ deny: [{}] }", ["{}] } <- no tool is named"]),
        (
            "{ deny: [{ tool: 5, tools: [6] }] }",
            [
                "5, tools: [6] }] } <- tool must be text",
                "6] }] } <- must be text",
            ],
        ),
        ("{ deny: [{ tool: x, message: no }] }", ["no }] } <- nobody would read the message"]),
        ("{ deny: [{ tool: x, hide: 'false' }] }", ["'false' }] } <- hide must be true or false"]),
        (
            "{ deny: [{ tool: x, hidden: true }] }",
            ["hidden: true }] } <- there is no key hidden here (did you mean hide?)"],
        ),
        ("{ deny: [{ tools: [x, é], hide: false }] }", ["é], hide: false }] <- no tool has such a name"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("tool-rules", element, expected)
