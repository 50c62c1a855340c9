"""A tool is called with what a policy lets it be called with, and the model reads why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import assert_refused, context, decision, document, performed, policy, problems

if TYPE_CHECKING:
    from mcpgov.models import Json

CONDITION = "inbound: [argument-rules: { condition: 'mcp.tool.arguments.amount <= 1000', message: Less. }]"
SCHEMA = (
    "inbound: [argument-rules: { tools: [pay_*], schema: { required: [amount], "
    "properties: { amount: { type: number, maximum: 1000 }, note: { pattern: '^[a-z]*$' } } } }]"
)
XML = """<inbound>
  <argument-rules>
    <tool>pay_*</tool>
    <schema>{ "required": ["amount"],
      "properties": { "amount": { "type": "number", "maximum": 1000 }, "note": { "pattern": "^[a-z]*$" } } }</schema>
  </argument-rules>
</inbound>"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"amount": 1000}, Reason.ALLOWED),
        ({"amount": 1001}, Reason.ARGUMENTS_DENIED),
        ({}, Reason.ARGUMENTS_DENIED),
    ],
)
def test_condition_has_to_hold_and_what_is_missing_is_not_so(arguments: dict[str, Json], expected: Reason) -> None:
    assert decision(CONDITION, context(arguments=arguments)).reason is expected


def test_denied_call_tells_the_model_and_the_record_without_a_value() -> None:
    verdict = decision(CONDITION, context(arguments={"amount": 98765}))
    assert (verdict.message, verdict.as_tool_result, verdict.rule) == ("Less.", True, "test#1 argument-rules")
    assert verdict.detail == "the condition does not hold"
    verdict = decision(SCHEMA, context(tool="pay_bill", arguments={"amount": 1, "note": "S3CRET"}))
    assert verdict.message == "The arguments for pay_bill are not allowed by a policy."
    assert verdict.detail == "the schema does not hold"


@pytest.mark.parametrize("text", [SCHEMA, XML])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"amount": 5, "other": []}, Reason.ALLOWED),
        ({"amount": 5.5, "note": "x"}, Reason.ALLOWED),
        ({"amount": 1001}, Reason.ARGUMENTS_DENIED),
        ({"amount": "5"}, Reason.ARGUMENTS_DENIED),
        ({}, Reason.ARGUMENTS_DENIED),
        ({"amount": 5, "x": 2**64}, Reason.ARGUMENTS_DENIED),
        ({"amount": 5, "x": "\ud800"}, Reason.ARGUMENTS_DENIED),
        ({"amount": 5, "\ud800": 1}, Reason.ARGUMENTS_DENIED),
    ],
)
def test_schema_has_to_be_met_in_both_syntaxes(text: str, arguments: dict[str, Json], expected: Reason) -> None:
    assert decision(text, context(tool="pay_bill", arguments=arguments)).reason is expected


@pytest.mark.parametrize("text", [SCHEMA, XML, CONDITION.replace("{ c", "{ tools: [pay_*], c")])
def test_other_tools_and_other_requests_are_not_asked(text: str) -> None:
    assert decision(text, context(tool="get_issue")).allowed
    assert decision(text, context("tools/list")).allowed


def test_rule_for_every_tool_leaves_other_requests_alone() -> None:
    assert decision(CONDITION, context("prompts/get")).allowed


@given(
    st.dictionaries(
        st.sampled_from(["amount", "note"]),
        st.integers() | st.text() | st.floats(allow_nan=False) | st.lists(st.text()),
    )
)
def test_recorded_decision_is_made_again_without_the_arguments(arguments: dict[str, Json]) -> None:
    in_force = policy(SCHEMA)
    made = decision(in_force, context(tool="pay_bill", arguments=arguments))
    again = performed(Evaluation(in_force, context(tool="pay_bill"), given=made.answers).decide())
    assert (again.reason, again.rule, again.answers) == (made.reason, made.rule, made.answers)
    assert made.reason in (Reason.ALLOWED, Reason.ARGUMENTS_DENIED)


@pytest.mark.parametrize("value", [2**64, "\ud800"])
def test_condition_over_what_the_engine_cannot_hold_denies(value: Json) -> None:
    verdict = decision(CONDITION, context(arguments={"amount": 1, "other": value}))
    assert verdict.reason in (Reason.POLICY_ERROR, Reason.ARGUMENTS_DENIED)


def test_pattern_made_to_backtrack_is_decided_at_once() -> None:
    rules = "inbound: [argument-rules: { schema: { properties: { a: { pattern: '^(a|aa)+$' } } } }]"
    assert not decision(rules, context(arguments={"a": "a" * 100_000 + "b"})).allowed


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- argument-rules has one condition, or one schema"]),
        ("{ condition: 'true', schema: {} }", ["{ condition: 'true' <- argument-rules has one condition"]),
        ("[]", ["[] <- must be a mapping"]),
        ("{ tools: [a b], schema: {} }", ["a b] <- no tool has such a name"]),
        ("{ tools: [], schema: {} }", ["[], schema <- tools names nothing"]),
        ("{ schema: [] }", ["[] } <- a schema is a mapping, true or false"]),
        (
            "{ schema: { properties: { a: { typ: x } } } }",
            ["x } } } } <- there is no keyword typ (did you mean type?)"],
        ),
        ("{ schema: { pattern: '(?=a)' } }", ['\'(?=a)\' } } <- "(?=a)" is not a "regex" (RE2 syntax']),
        (
            "{ schema: { $ref: 'https://x.example/s' } }",
            ["'https://x.example/s' } } <- 'https://x.example/s' leads to no schema in here (write"],
        ),
        ("{ condition: 'nobody == 1' }", ["'nobody == 1' } <- condition: "]),
        ("{ schema: {}, message: '' }", ["'' } <- message must be text that is not empty"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("argument-rules", element, expected)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("{", "1:34: schema: no JSON: Not JSON at character 1"),
        ('{ "a": 1, "a": 2 }', "1:34: schema: no JSON: The key"),
        ('{ "not": { "typ": 1 } }', "1:34: $.not.typ: there is no keyword typ (did you mean type?)"),
        ("5", "1:34: $: a schema is a mapping, true or false"),
        ("", "1:26: schema: no JSON: "),
    ],
)
def test_schema_in_xml_that_cannot_be_taken_is_refused_at_load(schema: str, expected: str) -> None:
    (found,) = problems(
        f"<inbound><argument-rules><schema>{schema}</schema></argument-rules></inbound>", "policies/test.xml"
    )
    assert found.startswith(expected), found


def test_schema_may_be_true_or_false() -> None:
    assert decision("inbound: [argument-rules: { schema: true }]", context()).allowed
    assert decision("inbound: [argument-rules: { schema: false }]", context()).reason is Reason.ARGUMENTS_DENIED


def test_api_management_would_refuse_it() -> None:
    assert "API Management has no element argument-rules" in str(document(XML).remarks[0])
