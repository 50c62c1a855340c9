"""set-query-parameter edits the query of the URL that a call goes to, and tells nobody what is in it."""

from __future__ import annotations

import pytest

from mcpgov.decision import QueryEdit, Reason
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import assert_refused, context, decision, performed, policy, problems


def edits(text: str) -> tuple[QueryEdit, ...]:
    verdict = decision(text, context(headers={"x-a": "a b"}))
    assert verdict.allowed
    return verdict.changes.query


@pytest.mark.parametrize(
    ("element", "xml", "expected"),
    [
        (
            "name: api-version, exists-action: skip, value: '2026-01-01'",
            'name="api-version" exists-action="skip"><value>2026-01-01</value>',
            QueryEdit("api-version", "skip", ("2026-01-01",)),
        ),
        (
            "name: $filter, value: '${{ request.headers[\"x-a\"] }}'",
            'name="$filter"><value>@(context.Request.Headers.GetValueOrDefault("x-a", ""))</value>',
            QueryEdit("$filter", "override", ("a b",)),
        ),
        (
            "name: tag, exists-action: append, value: [a, '']",
            'name="tag" exists-action="append"><value>a</value><value></value>',
            QueryEdit("tag", "append", ("a", "")),
        ),
        (
            "name: code, exists-action: delete",
            'name="code" exists-action="delete">',
            QueryEdit("code", "delete"),
        ),
    ],
)
def test_edit_is_part_of_the_decision(element: str, xml: str, expected: QueryEdit) -> None:
    assert edits(f"inbound: [set-query-parameter: {{ {element} }}]") == (expected,)
    whole = f"<set-query-parameter {xml}</set-query-parameter>"
    assert edits(f"<policies><inbound>{whole}</inbound></policies>") == (expected,)


def test_edits_keep_their_order_and_backend_follows_inbound() -> None:
    text = """\
backend: [set-query-parameter: { name: b, value: "2" }]
inbound: [set-query-parameter: { name: a, value: "1" }]
"""
    assert [edit.name for edit in edits(text)] == ["a", "b"]


@pytest.mark.parametrize("value", ["a\r\nb", "a\x7f", "x" * 8193])
def test_value_that_no_url_should_hold_denies_without_being_quoted(value: str) -> None:
    in_force = policy("inbound: [set-query-parameter: { name: q, value: '${{ request.headers.x }}' }]")
    verdict = decision(in_force, context(headers={"x": value}))
    assert (verdict.reason, verdict.rule) == (Reason.POLICY_ERROR, "test#1 set-query-parameter")
    assert verdict.detail == "the value for the query parameter q cannot be sent"
    again = performed(Evaluation(in_force, context(), given=verdict.answers).decide())
    assert again.reason is Reason.POLICY_ERROR


def test_no_value_shows_in_a_decision() -> None:
    verdict = decision("inbound: [set-query-parameter: { name: key, value: s3cret }]", context())
    assert "s3cret" not in repr(verdict)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- name is missing", "{} <- value is missing (add value:, or exists-action: delete)"]),
        ("{ name: 'a b', value: c }", ["'a b', value: c } <- name is not the name of a query parameter"]),
        ("{ name: 'a&b=c', value: c }", ["'a&b=c', value: c } <- name is not the name of a query parameter"]),
        (
            "{ name: '${{ mcp.method }}', value: c }",
            ["'${{ mcp.method }} <- name is not the name of a query parameter"],
        ),
        ("{ name: a, value: [] }", ["{ name: a, value:  <- value is missing"]),
        ("{ name: a, exists-action: delete, value: b }", ["b } <- a parameter that is deleted has no value"]),
        ("{ name: a, value: [b, 5] }", ["5] } <- value must be text"]),
        ('{ name: a, value: ["b", "c\\r\\n"] }', ['"c\\r\\n"] } <- a parameter may hold no control character']),
        ("5", ["5 <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("set-query-parameter", element, expected)


def test_an_expression_as_name_is_refused_in_xml() -> None:
    element = '<set-query-parameter name="@(context.RequestId)"><value>a</value></set-query-parameter>'
    (found,) = problems(f"<policies><inbound>{element}</inbound></policies>", "policies/test.xml")
    assert found.startswith("1:")
    assert "an expression cannot stand here" in found


def test_answers_have_no_query() -> None:
    (found,) = problems("outbound: [set-query-parameter: { name: a, value: b }]")
    assert "set-query-parameter may not stand in outbound" in found
