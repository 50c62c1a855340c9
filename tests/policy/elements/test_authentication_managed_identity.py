"""authentication-managed-identity gives a policy a token of mcpgov's own identity."""

from __future__ import annotations

import pytest

from mcpgov.decision import GetToken, HeaderEdit, Reason
from mcpgov.errors import Refusal
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.explain import Change, DryRun, Explanation
from tests.policy.calls import context, document, policy, problems
from tests.policy.tokens import Issuers, decided

NAME = "authentication-managed-identity"
YAML = f"inbound: [{NAME}: {{ resource: https://ai.azure.com, client-id: c1 }}]"
XML = f'<inbound><{NAME} resource="https://ai.azure.com" client-id="c1" /></inbound>'
IN_VARIABLE = f"""<policies><inbound><base />
    <{NAME} resource="https://ai.azure.com" output-token-variable-name="foundry-token" ignore-error="false" />
    <set-header name="Authorization" exists-action="override">
      <value>@("Bearer " + (string)context.Variables["foundry-token"])</value></set-header>
    <set-query-parameter name="api-version" exists-action="skip"><value>v1</value></set-query-parameter>
    </inbound></policies>"""


@pytest.mark.parametrize("text", [YAML, XML])
def test_the_token_goes_into_the_header_of_the_request(text: str) -> None:
    issuers = Issuers()
    made, draft = decided(text, context(), issuers)
    assert made.changes.headers == (HeaderEdit("authorization", "override", ("Bearer t0ken-of-ours",)),)
    assert issuers.asked == [GetToken("https://ai.azure.com", "c1")]
    assert "t0ken-of-ours" not in repr((made, draft))


def test_a_sample_of_the_platform_runs_as_it_is_written() -> None:
    made, _ = decided(IN_VARIABLE, context())
    assert made.changes.headers[0].values == ("Bearer t0ken-of-ours",)


def test_without_a_token_the_call_is_refused() -> None:
    evaluation = Evaluation(policy(YAML), context())
    with pytest.raises(Refusal) as raised:
        Issuers(down=True).run(evaluation.decide())
    assert evaluation.broken_off(raised.value).rule == f"test#1 {NAME}"


@pytest.mark.parametrize("down", [True, False])
def test_without_a_token_the_call_goes_on_where_that_is_said(*, down: bool) -> None:
    text = f"inbound: [{NAME}: {{ resource: a, ignore-error: true }}]"
    made, _ = decided(text, context(), Issuers(down=down))
    assert made.allowed
    assert bool(made.changes.headers) is not down
    assert made.answers == ("f" if down else "t")


def test_a_variable_without_a_token_is_null() -> None:
    text = f"""\
inbound:
  - {NAME}: {{ resource: a, ignore-error: true, output-token-variable-name: t }}
  - choose: {{ when: [{{ condition: variables.t == null, do: [tool-rules: {{ deny: ['*'] }}] }}] }}
"""
    for down, reason in ((True, Reason.TOOL_HIDDEN), (False, Reason.ALLOWED)):
        assert decided(text, context(), Issuers(down=down))[0].reason is reason


def test_no_line_of_the_log_holds_the_token() -> None:
    text = f"""\
inbound:
  - {NAME}: {{ resource: a, output-token-variable-name: t }}
  - trace:
      source: s
      message: 'got ${{{{ variables.t }}}}'
      metadata: [{{ name: n, value: '${{{{ variables.t }}}}' }}]
  - emit-metric: {{ name: m, dimensions: [{{ name: d, value: '${{{{ variables.t }}}}' }}] }}
"""
    issuers = Issuers()
    issuers.run(Evaluation(policy(text), context()).decide())
    assert "t0ken-of-ours" not in repr(issuers.told)
    assert repr(issuers.told).count("***") == 3


def test_an_explanation_shows_that_there_is_a_token_and_not_which() -> None:
    evaluation = Evaluation(policy(YAML), context(), watch=(explanation := Explanation()))
    DryRun().run(evaluation.decide())
    assert explanation.entries[0].changes == [
        Change("gets a token of", "c1 for https://ai.azure.com"),
        Change("upstream header authorization", "Bearer ***"),
    ]


def test_an_explanation_names_no_identity_that_only_the_settings_know() -> None:
    text = f"inbound: [{NAME}: {{ resource: https://ai.azure.com }}]"
    evaluation = Evaluation(policy(text), context(), watch=(explanation := Explanation()))
    DryRun().run(evaluation.decide())
    assert explanation.entries[0].changes[0] == Change("gets a token of", "azure.identity for https://ai.azure.com")


def test_the_decision_says_whose_token_it_got_and_what_for() -> None:
    made, _ = decided(YAML, context())
    assert list(map(str, made.granted)) == [f"test#1 {NAME} ours https://ai.azure.com"]
    trial, _ = decided(f"mode: report\n{YAML}", context())
    assert (trial.granted, trial.changes.headers) == ((), ())  # it got one, and threw it away


def test_a_call_of_a_hidden_tool_says_once_what_was_got_on_the_way() -> None:
    text = f"inbound: [{NAME}: {{ resource: a }}, tool-rules: {{ deny: [delete_*] }}]"
    made, _ = decided(text, context(tool="delete_a"))
    assert list(map(str, made.granted)) == [f"test#1 {NAME} ours a"]


def test_a_resource_may_be_computed_and_must_be_said() -> None:
    issuers = Issuers()
    decided(f"inbound: [{NAME}: {{ resource: 'api://${{{{ connection.name }}}}' }}]", context(), issuers)
    assert issuers.asked == [GetToken("api://github", "")]
    assert "resource is missing" in problems(f"inbound: [{NAME}: {{}}]")[0]
    (empty,) = problems(f"inbound: [{NAME}: {{ resource: '' }}]")
    assert "resource must be text that is not empty" in empty


def test_what_api_management_does_otherwise_is_remarked() -> None:
    remarks = document(XML.replace("<inbound>", "<inbound><base />")).remarks
    assert [remark.message for remark in remarks] == [
        "the keys of the connection win over this token; in API Management there are none"
    ]
    assert document(IN_VARIABLE).remarks == ()


def test_what_is_hidden_may_stand_after_it() -> None:
    text = f"inbound: [{NAME}: {{ resource: a }}, tool-rules: {{ deny: [delete_*] }}]"
    assert decided(text, context(tool="delete_a"))[0].reason is Reason.TOOL_HIDDEN
