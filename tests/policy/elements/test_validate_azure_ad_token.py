"""validate-azure-ad-token lets in tokens of one tenant of Microsoft Entra, in both versions."""

from __future__ import annotations

from typing import Any

import pytest

from mcpgov.decision import FetchKeys, Reason
from tests.policy.calls import context, document, problems
from tests.policy.tokens import AUDIENCE, CONFIGURATION, TENANT, Issuers, bearing, decided, published, token

CLIENT = "eeeeeeee-0000-4000-8000-000000000001"
BACKEND = "aaaaaaaa-0000-4000-8000-000000000001"
V1 = f"https://sts.windows.net/{TENANT}/"
YAML = f"""\
inbound:
  - validate-azure-ad-token:
      tenant-id: {TENANT.upper()}
      client-application-ids: [{CLIENT}]
      backend-application-ids: [{BACKEND}]
      audiences: ["{AUDIENCE}"]
      required-claims: [{{ name: roles, value: [caller] }}]
      output-token-variable-name: jwt
  - set-header: {{ name: X-Oid, value: '${{{{ variables["jwt"].claims["oid"] }}}}' }}
"""
XML = f"""<policies><inbound>
  <validate-azure-ad-token tenant-id="{TENANT}" output-token-variable-name="jwt">
    <client-application-ids><application-id>{CLIENT}</application-id></client-application-ids>
    <backend-application-ids><application-id>{BACKEND}</application-id></backend-application-ids>
    <audiences><audience>{AUDIENCE}</audience></audiences>
    <required-claims><claim name="roles"><value>caller</value></claim></required-claims>
  </validate-azure-ad-token>
  <set-header name="X-Oid"><value>@(((Jwt)context.Variables["jwt"]).Claims["oid"][0])</value></set-header>
</inbound></policies>"""


@pytest.mark.parametrize("text", [YAML, XML])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, Reason.ALLOWED),
        ({"aud": BACKEND}, Reason.ALLOWED),
        ({"aud": f"api://{BACKEND}"}, Reason.ALLOWED),
        ({"aud": "https://graph.microsoft.com"}, Reason.JWT_AUDIENCE_DENIED),
        ({"iss": V1, "azp": None, "appid": CLIENT}, Reason.ALLOWED),
        ({"azp": None}, Reason.JWT_CLAIM_DENIED),
        ({"azp": "other", "appid": CLIENT}, Reason.JWT_CLAIM_DENIED),
        ({"roles": ["other"]}, Reason.JWT_CLAIM_DENIED),
        ({"tid": "11111111-0000-4000-8000-111111111111"}, Reason.JWT_CLAIM_DENIED),
        ({"tid": None}, Reason.JWT_CLAIM_DENIED),
        ({"exp": None}, Reason.JWT_CLAIM_DENIED),
        ({"iss": "https://login.microsoftonline.com/common/v2.0"}, Reason.JWT_ISSUER_DENIED),
    ],
)
def test_both_syntaxes_decide_alike(text: str, said: dict[str, Any], reason: Reason) -> None:
    claims: dict[str, Any] = {"azp": CLIENT, "roles": ["caller"], "oid": "o1", **said}
    asked = bearing(token(**claims))
    made, _ = decided(text, asked)
    assert made.reason is reason
    assert [edit.values for edit in made.changes.headers] == ([("o1",)] if made.allowed else [])


def test_keys_are_those_of_the_tenant_whatever_the_token_says() -> None:
    issuers = Issuers(keys=published("k1", issuer="https://elsewhere"))
    text = f"inbound: [validate-azure-ad-token: {{ tenant-id: {TENANT} }}]"
    assert decided(text, bearing(token(iss=V1)), issuers)[0].allowed
    assert issuers.asked == [FetchKeys(CONFIGURATION, "k1")]


def test_without_a_token_the_caller_is_told_to_sign_in() -> None:
    made, _ = decided(YAML, context())
    assert (made.reason, made.message) == (Reason.CREDENTIAL_MISSING, "JWT not present.")


def test_the_token_may_stand_elsewhere() -> None:
    text = f"inbound: [validate-azure-ad-token: {{ tenant-id: {TENANT}, WHERE }}]"
    asked = context(headers={"x-user-token": token()})
    assert decided(text.replace("WHERE", "header-name: X-User-Token"), asked)[0].allowed
    computed = text.replace("WHERE", "token-value: '${{ request.headers[\"x-user-token\"] }}'")
    assert decided(computed, asked)[0].allowed


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        ("common", "common lets every tenant in (write the id of your tenant)"),
        ("Organizations", "organizations lets every tenant in"),
        ("contoso.com", "tenant-id is not the id of a tenant (write its GUID, not a domain or an address)"),
    ],
)
def test_the_tenant_is_one(tenant: str, expected: str) -> None:
    (problem,) = problems(f"inbound: [validate-azure-ad-token: {{ tenant-id: {tenant} }}]")
    assert expected in problem


def test_what_is_likely_not_meant_is_remarked() -> None:
    text = f'<inbound><base /><validate-azure-ad-token tenant-id="{TENANT}" clock-skew="5" /></inbound>'
    assert [remark.message for remark in document(text).remarks] == [
        "without audiences a token that was issued for somebody else holds too",
        "API Management has no clock-skew here, and refuses the attribute",
    ]
    assert document(YAML).remarks == document(XML.replace("<inbound>", "<inbound><base />")).remarks == ()


def test_what_is_hidden_may_depend_on_the_token() -> None:
    text = f"""\
inbound:
  - validate-azure-ad-token: {{ tenant-id: {TENANT}, output-token-variable-name: jwt }}
  - choose:
      when:
        - condition: variables["jwt"].claims["roles"] != ["owner"]
          do: [tool-rules: {{ deny: [delete_*] }}]
"""
    for role, reason in (("owner", Reason.ALLOWED), ("reader", Reason.TOOL_HIDDEN)):
        assert decided(text, bearing(token(roles=[role]), tool="delete_a"))[0].reason is reason
