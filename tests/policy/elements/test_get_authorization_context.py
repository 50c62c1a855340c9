"""get-authorization-context gives a policy the token that an OAuth2 connection has for the caller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcpgov.decision import GetAuthorization, Reason
from mcpgov.models import CallerScope
from tests.policy.calls import context, document, problems
from tests.policy.tokens import Issuers, decided

NAME = "get-authorization-context"
YAML = f"""\
inbound:
  - {NAME}: {{ provider-id: github, context-variable-name: auth }}
  - set-header: {{ name: X-Token, value: '${{{{ variables["auth"].access_token }}}}' }}
"""
XML = f"""<policies><inbound><base />
  <{NAME} provider-id="github" authorization-id="a" context-variable-name="auth" identity-type="jwt"
    identity="@(context.Request.Headers["Authorization"][0].Replace("Bearer ", ""))" ignore-error="false" />
  <set-header name="X-Token"><value>@(((Authorization)context.Variables.GetValueOrDefault("auth"))?.AccessToken)</value>
  </set-header></inbound></policies>"""


@pytest.mark.parametrize("text", [YAML, XML])
def test_the_authorization_is_the_callers_own(text: str) -> None:
    issuers = Issuers()
    made, draft = decided(text, context(principal="entra:t/o1"), issuers)
    assert made.changes.headers[0].values == ("t0ken-of-ours",)
    assert issuers.asked == [GetAuthorization("github", "entra:t/o1")]
    assert "t0ken-of-ours" not in repr((made, draft))


def test_the_scope_of_a_key_bounds_what_it_gets() -> None:
    issuers, of_a_key = Issuers(), context(principal="key:k1")
    principal = replace(of_a_key.principal, scope=CallerScope(("city",), None))
    decided(YAML, replace(of_a_key, principal=principal), issuers)
    assert issuers.asked == [GetAuthorization("github", "key:k1", ("city",))]


@pytest.mark.parametrize(("down", "reason"), [(True, Reason.TOOL_HIDDEN), (False, Reason.ALLOWED)])
def test_without_it_the_call_goes_on_where_that_is_said(*, down: bool, reason: Reason) -> None:
    text = f"""\
inbound:
  - {NAME}: {{ provider-id: github, context-variable-name: auth, ignore-error: true }}
  - choose: {{ when: [{{ condition: variables.auth == null, do: [tool-rules: {{ deny: ['*'] }}] }}] }}
"""
    assert decided(text, context(), Issuers(down=down))[0].reason is reason


def test_what_is_hidden_is_told_also_before_it_was_asked() -> None:
    text = f"inbound: [quarantine: {{ tools: [get_*] }}, {NAME}: {{ provider-id: a, context-variable-name: b }}, "
    made, _ = decided(text + "tool-rules: { deny: [delete_*] }]", context())
    assert made.reason is Reason.QUARANTINED


@pytest.mark.parametrize("provider", ["'@(context.RequestId)'", "'${{ request.id }}'"])
def test_nobody_chooses_the_provider(provider: str) -> None:
    (problem,) = problems(f"inbound: [{NAME}: {{ provider-id: {provider}, context-variable-name: a }}]")
    assert "provider-id is the name of a connection (write it: nobody may choose it)" in problem


def test_what_api_management_does_otherwise_is_remarked() -> None:
    assert [remark.message for remark in document(XML).remarks if "identity" in remark.message] == [
        "identity is not read: the caller is the one that was verified"
    ]
    text = f'<inbound><base /><{NAME} provider-id="a" context-variable-name="b" /></inbound>'
    assert [remark.message for remark in document(text).remarks] == [
        "each caller gets a token of their own; in API Management all share one, with managed",
        "API Management requires authorization-id",
    ]
