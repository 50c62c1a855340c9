"""trace writes a line for those who run the gateway, and no secret."""

from __future__ import annotations

import pytest

from mcpgov.decision import Effect, Reason, Trace
from mcpgov.errors import InvalidConfiguration, Refusal
from mcpgov.models import Secret
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import admitted, answer, context, decision, document, performed, policy, problems

YAML = """\
inbound:
  - trace: { source: here, severity: error, message: a line, metadata: [{ name: k, value: v }, { name: e, value: "" }] }
"""
XML = """\
<inbound>
  <trace source="here" severity="error">
    <message>a line</message>
    <metadata name="k" value="v" />
    <metadata name="e" value="" />
  </trace>
</inbound>
"""


def told(text: str) -> list[Effect]:
    """What is written for one request."""
    effects: list[Effect] = []

    def perform(effect: Effect) -> object:
        effects.append(effect)
        return admitted(effect)

    assert decision(text, context(), perform).allowed
    return [effect for effect in effects if isinstance(effect, Trace)]


@pytest.mark.parametrize("text", [YAML, XML], ids=["yaml", "xml"])
def test_the_line_says_where_it_comes_from_and_which_call_it_is_about(text: str) -> None:
    metadata = (("correlation-id", "c1"), ("k", "v"), ("e", ""))
    assert told(text) == [Trace("test#1 trace", "here", "error", "a line", metadata)]


def test_values_may_be_computed_and_the_severity_is_verbose_if_nothing_is_said() -> None:
    (line,) = told("inbound: [trace: { source: a, message: 'by ${{ principal.name }}' }]")
    assert line == Trace("test#1 trace", "a", "verbose", "by first", (("correlation-id", "c1"),))


def test_it_stands_in_every_section() -> None:
    text = "\n".join(f"{at}: [trace: {{ source: {at}, message: m }}]" for at in ("backend", "outbound", "on-error"))
    effects: list[Effect] = []

    def perform(effect: Effect) -> object:
        effects.append(effect)
        return admitted(effect)

    evaluation = Evaluation(policy(text), context())
    performed(evaluation.decide(), perform)
    performed(evaluation.answered(answer({})), perform)
    performed(evaluation.refused(Refusal(Reason.UPSTREAM_RESET, "no")), perform)
    assert [one.source for one in effects if isinstance(one, Trace)] == ["backend", "outbound", "on-error"]


def test_a_value_that_is_not_there_denies() -> None:
    text = "inbound: [trace: { source: a, message: '${{ request.headers[\"nowhere\"] }}' }]"
    assert decision(text, context()).reason is Reason.POLICY_ERROR


class Known:
    """References that know one secret."""

    def named(self, name: str) -> str | Secret | None:
        """The secret, if it is the one."""
        return Secret("s3cret-value") if name == "key" else None

    def resolve(self, reference: str) -> Secret:
        """There are none."""
        raise ValueError(reference)


@pytest.mark.parametrize(
    "element",
    [
        "trace: { source: a, message: 'x {{key}}' }",
        "trace: { source: a, message: x, metadata: [{ name: n, value: '{{key}}' }] }",
        "emit-metric: { name: a, dimensions: [{ name: n, value: '{{key}}' }] }",
    ],
)
def test_a_secret_is_refused_at_load(element: str) -> None:
    with pytest.raises(InvalidConfiguration, match="a secret would be written down here") as caught:
        document(f"inbound: [{element}]", references=Known())
    assert "s3cret" not in str(caught.value)


ENCODED = "@(Convert.ToBase64String(Encoding.UTF8.GetBytes(&quot;user:{{key}}&quot;)))"


@pytest.mark.parametrize(
    "element",
    [
        f'<trace source="a"><message>{ENCODED}</message></trace>',
        f'<trace source="a"><message>x</message><metadata name="n" value="{ENCODED}" /></trace>',
        f'<emit-metric name="a"><dimension name="n" value="{ENCODED}" /></emit-metric>',
        '<emit-metric name="a" value="@(&quot;{{key}}&quot;.Length)"><dimension name="API ID" /></emit-metric>',
        '<emit-metric name="a" value="{{key}}"><dimension name="API ID" /></emit-metric>',
    ],
)
def test_a_secret_that_an_expression_could_encode_is_refused_at_load(element: str) -> None:
    with pytest.raises(InvalidConfiguration, match="a secret would be written down here") as caught:
        document(f"<inbound>{element}</inbound>", references=Known())
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ message: m }", "source is missing"),
        ("{ source: a }", "message is missing"),
        ("{ source: a, message: m, severity: warning }", "severity must be verbose or information or error"),
        ("{ source: a, message: m, metadata: [{ name: n }] }", "value is missing"),
        ("{ source: a, message: m, metadata: [{ value: n }] }", "name is missing"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"inbound: [trace: {element}]")
    assert expected in found
