"""set-variable gives a value a name that later expressions of the same call read."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.policy.elements.set_variable import MAX_TEXT
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import answer as answer_of
from tests.policy.calls import answered, assert_refused, context, decision, performed, policy

TENANT = """\
inbound:
  - set-variable: { name: tenant, value: "${{ request.headers['x-tenant'] }}" }
  - set-header: { name: x-out, value: "for ${{ string(variables['tenant']) }}" }
"""
TENANT_XML = """\
<policies>
  <inbound>
    <set-variable name="tenant" value="@(context.Request.Headers.GetValueOrDefault("x-tenant", "nobody"))" />
    <set-header name="x-out"><value>@("for " + (string)context.Variables["tenant"])</value></set-header>
  </inbound>
</policies>
"""


@pytest.mark.parametrize("text", [TENANT, TENANT_XML], ids=["yaml", "xml"])
def test_variable_is_read_by_later_elements(text: str) -> None:
    verdict = decision(text, context(headers={"x-tenant": "blue"}))
    assert verdict.allowed
    assert verdict.changes.headers[0].values == ("for blue",)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("'a ${{ mcp.method }}'", "a tools/call"),
        ("'${{ 1 + 1 }}'", 2),
        ("'${{ mcp.tool.arguments }}'", {"n": [1]}),
        ("true", True),
        ("7", 7),
        ("0.5", 0.5),
        ("''", ""),
    ],
)
def test_value_keeps_its_type(value: str, kept: object) -> None:
    evaluation = Evaluation(
        policy(f"inbound: [set-variable: {{ name: v, value: {value} }}]"), context(arguments={"n": [1]})
    )
    assert performed(evaluation.decide()).allowed
    assert evaluation.draft.variables == {"v": kept}


async def test_variable_of_the_request_is_there_when_the_answer_comes() -> None:
    text = """\
inbound: [set-variable: { name: who, value: "${{ principal.id }}" }]
outbound:
  - set-variable: { name: what, value: "${{ string(variables['who']) + '!' }}" }
  - set-header: { name: x-who, value: "${{ string(variables['what']) }}" }
"""
    shown, _ = await answered(text, context(), answer_of({"jsonrpc": "2.0", "id": 1, "result": {}}))
    assert shown.reply is not None
    assert shown.reply.edits[0].values == ("key:k1!",)


def test_value_that_cannot_be_computed_denies() -> None:
    assert decision(TENANT, context()).reason is Reason.POLICY_ERROR


@pytest.mark.parametrize(("length", "reason"), [(MAX_TEXT, Reason.ALLOWED), (MAX_TEXT + 1, Reason.POLICY_ERROR)])
def test_computed_text_has_a_bound(length: int, reason: Reason) -> None:
    text = "inbound: [set-variable: { name: v, value: '${{ request.headers.x }}' }]"
    verdict = decision(text, context(headers={"x": "a" * length}))
    assert verdict.reason is reason
    assert "aaa" not in verdict.detail


@pytest.mark.parametrize("length", [MAX_TEXT, MAX_TEXT + 1])
def test_recorded_verdict_is_the_same_without_the_header(length: int) -> None:
    in_force = policy("inbound: [set-variable: { name: v, value: '${{ request.headers.x }}' }]")
    first = decision(in_force, context(headers={"x": "a" * length}))
    again = performed(Evaluation(in_force, context(), given=first.answers).decide())
    assert (again.reason, again.answers) == (first.reason, first.answers)


async def test_variable_decides_which_tools_are_listed() -> None:
    text = """\
inbound:
  - set-variable: { name: team, value: "${{ principal.project }}" }
  - choose:
      when:
        - condition: mcp.method == "tools/call"
          do: [set-variable: { name: query, value: "${{ string(mcp.tool.arguments.query) }}" }]
  - choose: { when: [{ condition: variables.team == "agents", do: [tool-rules: { deny: [delete_*] }] }] }
"""
    tools = answer_of({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "get_issue"}, {"name": "delete_x"}]}})
    _, (listed,) = await answered(text, context("tools/list"), tools)
    assert listed == {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "get_issue"}]}}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- name is missing", "{} <- value is missing"]),
        ("{ name: '', value: a }", ["'', value: a } <- name must be text that is not empty"]),
        ("{ name: a, value: [b] }", ["[b] } <- value must be text, a number, true or false"]),
        ("{ name: a, value: '${{ nobody }}' }", ["'${{ nobody }}' } <- value: "]),
        ("{ name: a, value: b, type: c }", ["type: c } <- there is no key type here"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("set-variable", element, expected)


def test_text_that_is_too_long_is_refused_at_load() -> None:
    at = "a" * (MAX_TEXT + 1)
    assert_refused("set-variable", f"{{ name: a, value: {at} }}", [f"{at} }} <- value is longer than 65536 characters"])
