"""emit-metric emits a number, with the dimensions that it is told apart by."""

from __future__ import annotations

import pytest

from mcpgov.decision import Effect, Metric, Reason
from tests.policy.calls import admitted, context, decision, document, problems


def emitted(text: str, method: str = "tools/call") -> list[Metric]:
    """What is emitted for one request."""
    effects: list[Effect] = []

    def perform(effect: Effect) -> object:
        effects.append(effect)
        return admitted(effect)

    decision(text, context(method), perform)
    return [effect for effect in effects if isinstance(effect, Metric)]


YAML = """\
inbound:
  - emit-metric:
      name: m
      namespace: n
      value: 2.5
      dimensions: [{ name: API ID }, { name: d, value: v }]
"""
XML = """\
<inbound>
  <emit-metric name="m" namespace="n" value="2.5">
    <dimension name="API ID" />
    <dimension name="d" value="v" />
  </emit-metric>
</inbound>
"""


@pytest.mark.parametrize("text", [YAML, XML], ids=["yaml", "xml"])
def test_a_measurement_has_a_value_and_dimensions(text: str) -> None:
    assert emitted(text) == [Metric("test#1 emit-metric", "m", 2.5, "n", (("API ID", "github"), ("d", "v")))]


def test_the_value_is_1_unless_something_is_said() -> None:
    (metric,) = emitted("inbound: [emit-metric: { name: m }]")
    assert (metric.value, metric.namespace, metric.dimensions) == (1, "", ())


@pytest.mark.parametrize(("value", "number"), [("${{ size(principal.name) }}", 5), ("7", 7), ("-1.5e3", -1500)])
def test_the_value_may_be_computed_or_written_as_text(value: str, number: float) -> None:
    assert emitted(f"inbound: [emit-metric: {{ name: m, value: '{value}' }}]")[0].value == number


@pytest.mark.parametrize(
    "value",
    ["${{ principal.name }}", "${{ mcp.method == mcp.method }}", "${{ mcp.tool.arguments }}", "${{ 1.0 / 0.0 }}"],
)
def test_what_is_no_number_denies(value: str) -> None:
    verdict = decision(f"inbound: [emit-metric: {{ name: m, value: '{value}' }}]", context())
    assert verdict.reason is Reason.POLICY_ERROR


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API ID", "github"),
        ("Operation ID", "get_issue"),
        ("Product ID", "agents"),
        ("Subscription ID", "key:k1"),
        ("User ID", "key:k1"),
        ("Client IP address", "10.0.0.7"),
        ("Backend ID", "com.contoso/github"),
        ("Gateway ID", "mcpgov"),
        ("Location", ""),
    ],
)
def test_some_dimensions_have_a_value_by_their_name(name: str, value: str) -> None:
    (metric,) = emitted(f"inbound: [emit-metric: {{ name: m, dimensions: [{{ name: {name} }}] }}]")
    assert metric.dimensions == ((name, value),)


def test_the_operation_is_the_method_where_no_tool_is_called() -> None:
    (metric,) = emitted("inbound: [emit-metric: { name: m, dimensions: [{ name: Operation ID }] }]", "tools/list")
    assert metric.dimensions == (("Operation ID", "tools/list"),)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", "name is missing"),
        ("{ name: m, value: many }", "value must be a number"),
        ("{ name: m, value: inf }", "value must be a number"),
        ("{ name: m, value: [] }", "value must be text, a number, true or false"),
        ("{ name: m, dimensions: [{ name: mine }] }", "the dimension mine has no value of its own"),
        ("{ name: m, dimensions: [{ value: v }] }", "name is missing"),
        ("{ name: m, dimensions: [{}] }", "name is missing"),
        (
            "{ name: m, dimensions: [" + ", ".join(["{ name: d, value: v }"] * 11) + "] }",
            "there are more than 10 dimensions",
        ),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"inbound: [emit-metric: {element}]")
    assert expected in found


def test_lint_says_that_api_management_wants_a_dimension() -> None:
    (remark,) = document('<inbound><base /><emit-metric name="m" /></inbound>').remarks
    assert remark.message == "API Management wants at least one dimension"
    one = '<inbound><base /><emit-metric name="m"><dimension name="API ID" /></emit-metric></inbound>'
    assert document(one).remarks == ()
