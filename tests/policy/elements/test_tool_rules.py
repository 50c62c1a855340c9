"""tool-rules: deny wins, an allow list hides the rest, and look-alikes are no tools."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Describe, Reason
from mcpgov.models import Principal, PrincipalKind
from mcpgov.policy.elements.tool_rules import ALLOW, DENY, holds
from mcpgov.policy.evaluate import Evaluation, PolicyFilter
from tests.policy.calls import admitted, assert_refused, context, decision, document, performed, policy, problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.decision import Decision, Effect
    from mcpgov.policy.context import Context


def reason(element: str, tool: str, principal: str = "key:k1") -> Reason:
    return decision(f"inbound: [tool-rules: {{ {element} }}]", context(tool=tool, principal=principal)).reason


def knowing(**hints: object) -> Callable[[Effect], object]:
    """Performs effects where the server said this of every tool."""
    return lambda effect: hints if isinstance(effect, Describe) else admitted(effect)


def described(element: str, **hints: object) -> Decision:
    return decision(f"inbound: [tool-rules: {{ {element} }}]", context(tool="x"), knowing(**hints))


RULES = (
    "allow: [get_*, list_issues], deny: [get_secret, { tools: [get_audit*, drop], hide: false, message: Ask first. }]"
)
YAML = f"inbound: [tool-rules: {{ {RULES} }}]"
XML = """<inbound><tool-rules>
  <allow tool="get_*" /><allow><tool>list_issues</tool></allow>
  <deny tool="get_secret" />
  <deny hide="false" message="Ask first."><tool>get_audit*</tool><tool>drop</tool></deny>
</tool-rules></inbound>"""
BOTH = pytest.mark.parametrize("text", [YAML, XML], ids=["yaml", "xml"])


@BOTH
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
def test_call_is_decided_by_name(text: str, tool: str, expected: Reason) -> None:
    assert decision(text, context(tool=tool)).reason is expected


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
    told = (verdict.reason, verdict.message, verdict.as_tool_result)
    assert told == (Reason.TOOL_HIDDEN, "Unknown tool: drop", False)


@BOTH
def test_hidden_tool_looks_unknown_and_denied_one_tells_the_model_why(text: str) -> None:
    hidden = decision(text, context(tool="get_secret"))
    told = (hidden.message, hidden.as_tool_result, hidden.rule)
    assert told == ("Unknown tool: get_secret", False, "test#1 tool-rules")
    denied = decision(text, context(tool="drop"))
    assert (denied.message, denied.as_tool_result) == ("Ask first.", True)


def test_denied_tool_without_a_message_is_told_something() -> None:
    plain = decision("inbound: [tool-rules: { deny: [{ tool: drop, hide: false }] }]", context(tool="drop"))
    assert plain.message == "The tool drop is not allowed."


@pytest.mark.parametrize(
    ("hint", "said", "expected"),
    [
        ("readOnlyHint", {}, False),
        ("readOnlyHint", {"readOnlyHint": True}, True),
        ("destructiveHint", {}, True),
        ("destructiveHint", {"destructiveHint": False}, False),
        ("destructiveHint", {"readOnlyHint": True}, False),
        ("destructiveHint", {"readOnlyHint": True, "destructiveHint": True}, False),
        ("destructiveHint", {"readOnlyHint": "true"}, True),
        ("destructiveHint", {"destructiveHint": 0}, True),
        ("idempotentHint", {}, False),
        ("openWorldHint", {}, True),
        ("openWorldHint", {"openWorldHint": False}, False),
    ],
)
def test_what_a_server_does_not_say_is_what_the_specification_takes_for_granted(
    hint: str, said: dict[str, object], *, expected: bool
) -> None:
    assert holds(hint, said) is expected
    assert described(f"deny: [annotation: {hint}]", **said).allowed is not expected
    assert described(f"deny: [annotation: not {hint}]", **said).allowed is expected


def test_everything_that_an_entry_says_has_to_be_true() -> None:
    entry = "{ tools: [del_*], annotation: destructiveHint, principals: ['key:k*'], projects: [agents] }"
    assert reason(f"deny: [{entry}]", "del_x") is Reason.TOOL_HIDDEN
    assert reason(f"deny: [{entry}]", "get_x") is Reason.ALLOWED
    assert reason(f"deny: [{entry}]", "del_x", principal="other") is Reason.ALLOWED
    assert reason(f"deny: [{entry}]".replace("agents", "others"), "del_x") is Reason.ALLOWED


def test_caller_is_named_in_xml_too() -> None:
    entry = '<deny tool="x"><principal>key:*</principal><project>agents</project></deny>'
    text = f"<inbound><tool-rules>{entry}</tool-rules></inbound>"
    assert decision(text, context(tool="x")).reason is Reason.TOOL_HIDDEN
    assert decision(text, context(tool="x", principal="other")).allowed


def test_one_tool_and_a_list_are_put_together() -> None:
    assert reason("allow: [{ tool: a, tools: [b] }]", "a") is Reason.ALLOWED
    assert reason("allow: [{ tool: a, tools: [b] }]", "b") is Reason.ALLOWED
    assert reason("allow: [{ tool: a, tools: [b] }]", "c") is Reason.TOOL_HIDDEN


def test_recorded_decision_is_made_again_without_the_annotations() -> None:
    in_force = policy("inbound: [tool-rules: { allow: [annotation: readOnlyHint] }]")
    for said in ({"readOnlyHint": True}, {}):
        made = decision(in_force, context(tool="x"), knowing(**said))
        again = performed(Evaluation(in_force, context(tool="x"), given=made.answers).decide())
        assert (again.reason, again.rule) == (made.reason, made.rule)


def filtering(text: str, asked: Context) -> PolicyFilter:
    in_force = policy(text)
    assert decision(in_force, asked).allowed
    assert in_force.hides_tools
    return PolicyFilter(in_force, asked)


@BOTH
@pytest.mark.parametrize("method", ["tools/list", "initialize", "prompts/get", ""])
def test_other_requests_pass_and_lists_are_filtered(text: str, method: str) -> None:
    hides = filtering(text, context(method)).hides
    shown = [hides(tool, {}) for tool in ("get_issue", "get_secret", "drop", "", "x\n")]
    assert shown == [False, True, False, True, True]


def test_list_is_filtered_by_what_it_says_of_the_tools_itself() -> None:
    hides = filtering("inbound: [tool-rules: { deny: [annotation: destructiveHint] }]", context("tools/list")).hides
    assert (hides("a", {}), hides("a", {"destructiveHint": False})) == (True, False)


@given(st.sampled_from(["get_issue", "get_secret", "drop", "list_issues", "other", "x\n", "get_audit"]) | st.text())
def test_what_is_hidden_from_a_list_is_refused_at_the_call_and_nothing_else_looks_unknown(tool: str) -> None:
    hidden = PolicyFilter(policy(YAML), context("tools/list")).hides(tool, {})
    assert (decision(YAML, context(tool=tool)).reason is Reason.TOOL_HIDDEN) == hidden


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- tool-rules says nothing"]),
        ("[]", ["[] <- must be a mapping"]),
        ("{ allow: x }", ["x } <- allow must be a list"]),
        ("{ allow: [5, '[a]'] }", ["5, '[a]'] } <- must be a mapping", "'[a]'] } <- no tool has such a name"]),
        ("{ deny: [5] }", ["5] } <- must be a mapping (write { tool: … })"]),
        ("{ deny: ['a b'] }", ["'a b'] } <- no tool has such a name"]),
        ("{ deny: [{}] }", ["{}] } <- no tool is named"]),
        ("{ deny: [{ tool: 'a b' }] }", ["'a b' }] } <- no tool has such a name"]),
        (
            "{ deny: [{ tool: 5, tools: [6] }] }",
            ["{ tool: 5 <- no tool is named", "5, tools: [6] }] } <- tool must be text", "6] }] } <- must be text"],
        ),
        ("{ deny: [{ tool: x, tools: [] }] }", ["[] }] } <- tools names nothing"]),
        ("{ allow: [{ tool: x, projects: [] }] }", ["[] }] } <- projects names nothing"]),
        ("{ deny: [{ tool: x, annotation: safe }] }", ["safe }] } <- annotation must be readOnlyHint or"]),
        ("{ deny: [{ tool: x, message: no }] }", ["no }] } <- nobody would read the message"]),
        ("{ deny: [{ tool: x, hide: 'false' }] }", ["'false' }] } <- hide must be true or false"]),
        (
            "{ deny: [{ tool: x, hidden: true }] }",
            ["hidden: true }] } <- there is no key hidden here (did you mean hide?)"],
        ),
        ("{ allow: [{ tool: x, hide: true }] }", ["hide: true }] } <- there is no key hide here"]),
        ("{ deny: [{ tools: [x, é], hide: false }] }", ["é], hide: false }] <- no tool has such a name"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("tool-rules", element, expected)


def test_entry_in_xml_that_names_nothing_is_refused() -> None:
    (found,) = problems("<inbound><tool-rules><allow /></tool-rules></inbound>", "policies/test.xml")
    assert found.startswith("1:22: no tool is named")


def test_entries_are_texts_and_mappings_for_editors_too() -> None:
    for attribute in (ALLOW, DENY):
        items = attribute.schema()["items"]
        assert isinstance(items, dict)
        assert str(items["anyOf"]).startswith("[{'type': 'string'}, {'type': 'object', 'properties': {'tool':")


def test_api_management_would_refuse_it() -> None:
    assert "API Management has no element tool-rules" in str(document(XML).remarks[0])


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [tool-rules: { deny: [{ tool: send_mail, blueprints: [B1] }] }]",
        '<inbound><tool-rules><deny tool="send_mail"><blueprint>b1</blueprint></deny></tool-rules></inbound>',
    ],
)
def test_a_rule_may_be_for_the_agents_of_a_blueprint(text: str) -> None:
    asked = context(tool="send_mail")
    agent = Principal("entra:t/a1", PrincipalKind.AGENT, agent_id="a1", blueprint_id="b1")
    assert decision(text, replace(asked, principal=agent)).reason is Reason.TOOL_HIDDEN
    assert decision(text, replace(asked, principal=replace(agent, blueprint_id="b2"))).allowed
    assert decision(text, asked).allowed
