"""validate-jwt lets in who shows a token that holds, in both syntaxes."""

from __future__ import annotations

import base64

import pytest

from mcpgov.decision import Reason
from mcpgov.models import Secret
from mcpgov.policy.document import parse_document
from mcpgov.policy.expression import References
from tests.peers.signing import jwk, rsa_key
from tests.policy.calls import context, document, problems
from tests.policy.tokens import (
    AUDIENCE,
    CONFIGURATION,
    ISSUER,
    NOW,
    SHARED,
    Issuers,
    bearing,
    decided,
    published,
    token,
)

URL = f"openid-config: {{ url: {CONFIGURATION} }}"
YAML = f"""\
inbound:
  - validate-jwt:
      header-name: Authorization
      require-scheme: Bearer
      clock-skew: 5
      output-token-variable-name: jwt
      {URL}
      audiences: ["{AUDIENCE}"]
      issuers: ["{ISSUER}"]
      required-claims: [{{ name: scp, match: any, separator: " ", value: [read, write] }}]
  - set-header: {{ name: X-Sub, value: '${{{{ variables["jwt"].subject }}}}' }}
"""
XML = f"""<policies><inbound>
  <validate-jwt header-name="Authorization" require-scheme="Bearer" clock-skew="5" output-token-variable-name="jwt">
    <openid-config url="{CONFIGURATION}" />
    <audiences><audience>{AUDIENCE}</audience></audiences>
    <issuers><issuer>{ISSUER}</issuer></issuers>
    <required-claims><claim name="scp" match="any" separator=" "><value>read</value><value>write</value></claim>
    </required-claims>
  </validate-jwt>
  <set-header name="X-Sub"><value>@(((Jwt)context.Variables["jwt"]).Subject)</value></set-header>
</inbound></policies>"""
ODD = base64.b64encode(SHARED).decode()


@pytest.mark.parametrize("text", [YAML, XML])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, Reason.JWT_CLAIM_DENIED),
        ({"scp": "write other"}, Reason.ALLOWED),
        ({"scp": "other"}, Reason.JWT_CLAIM_DENIED),
        ({"scp": "read", "iss": "https://x"}, Reason.JWT_ISSUER_DENIED),
        ({"scp": "read", "exp": NOW - 4}, Reason.ALLOWED),
        ({"scp": "read", "exp": NOW - 5}, Reason.JWT_EXPIRED),
    ],
)
def test_both_syntaxes_decide_alike(text: str, said: dict[str, str], reason: Reason) -> None:
    made, _ = decided(text, bearing(token(**said)))
    assert made.reason is reason
    assert [edit.values for edit in made.changes.headers] == ([("s1",)] if made.allowed else [])


def test_a_scheme_that_is_required_must_be_there() -> None:
    asked = context(headers={"authorization": token(scp="read")})
    assert decided(YAML, asked)[0].reason is Reason.CREDENTIAL_MISSING


def test_a_token_without_an_end_holds_only_where_that_is_said() -> None:
    text = f"inbound: [validate-jwt: {{ header-name: Authorization, {URL}, require-expiration-time: EXP }}]"
    forever = bearing(token(exp=None))
    assert decided(text.replace("EXP", "true"), forever)[0].reason is Reason.JWT_CLAIM_DENIED
    assert decided(text.replace("EXP", "false"), forever)[0].allowed


def test_a_secret_that_is_written_down_verifies_hs256_and_nothing_else() -> None:
    text = f"inbound: [validate-jwt: {{ header-name: x-token, issuer-signing-keys: [{{ secret: {ODD} }}] }}]"
    for algorithm, reason in (("HS256", Reason.ALLOWED), ("RS256", Reason.JWT_SIGNATURE_INVALID)):
        issuers = Issuers()
        asked = context(headers={"x-token": token(algorithm=algorithm)})
        assert decided(text, asked, issuers)[0].reason is reason
        assert issuers.asked == []


def test_a_key_may_be_written_down_by_modulus_and_exponent_beside_a_configuration() -> None:
    key = jwk(rsa_key("k9"))
    written = f"issuer-signing-keys: {{ id: k9, n: {key['n']}, e: {key['e']} }}"
    text = f"inbound: [validate-jwt: {{ header-name: Authorization, {URL}, {written} }}]"
    assert decided(text, bearing(token("k9")))[0].allowed
    assert decided(text, bearing(token("k9")), Issuers(down=True))[0].allowed
    assert decided(text, bearing(token("k2")))[0].reason is Reason.JWT_KEY_UNKNOWN
    assert decided(text, bearing(token("k1")), Issuers(keys=published("k1")))[0].allowed


class Named(References):
    """One named value, which is a secret."""

    def named(self, name: str, /) -> str | Secret | None:
        return Secret(ODD) if name == "key" else None

    def resolve(self, reference: str, /) -> Secret:
        return Secret(reference)


def test_a_secret_may_be_a_named_value() -> None:
    for text in (
        "inbound: [validate-jwt: { header-name: a, issuer-signing-keys: [{ secret: '{{key}}' }] }]",
        """<inbound><base /><validate-jwt header-name="a"><issuer-signing-keys><key id="a">{{key}}</key>
        </issuer-signing-keys></validate-jwt></inbound>""",
    ):
        loaded = document(text, references=Named())
        assert "a secret stands in the policy" not in str(loaded.remarks)
        assert ODD not in repr(loaded)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "nothing says whose signature counts (add openid-config, or issuer-signing-keys)"),
        ("openid-config: { url: http://x.example }", "url is not an https URL (write https://…/.well-known/"),
        ("openid-config: { url: https:// }", "url is not an https URL (write https://…/.well-known/"),
        (f"{URL}, require-signed-tokens: false", "a token that is not signed never holds (remove require-signed-tok"),
        (f"{URL}, decryption-keys: [{{ id: a }}]", "an encrypted token is not read here (have it signed only)"),
        (
            f"{URL}, issuer-signing-keys: [{{ certificate-id: a }}]",
            "there is no store of certificates here (write the n and e of its key, or use openid-config)",
        ),
        (f"{URL}, issuer-signing-keys: [{{ id: a }}]", "this is no key: a secret for HS256 must have 32 bytes or more"),
        (f"{URL}, issuer-signing-keys: [{{ secret: 'a b' }}]", "this is no key: the secret is not base64"),
        (
            f"{URL}, issuer-signing-keys: [{{ secret: '${{{{ request.id }}}}' }}]",
            "this is no key: a secret is not comp",
        ),
        (f"{URL}, issuer-signing-keys: [{{ n: AQAB, e: AQAB }}]", "this is no key: an RSA key must have 2048 to"),
        (f"{URL}, issuer-signing-keys: [{{ n: a, secret: a }}]", "this is no key: it has a secret beside n and e"),
    ],
)
def test_what_cannot_verify_anything_is_refused(given: str, expected: str) -> None:
    joined = ", ".join(filter(None, ("header-name: a", given)))
    (problem,) = problems(f"inbound: [validate-jwt: {{ {joined} }}]")
    assert expected in problem


def test_what_is_likely_not_meant_is_remarked() -> None:
    common = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"
    text = f"inbound: [validate-jwt: {{ header-name: a, openid-config: {{ url: {common} }}, issuer-signing-keys: "
    loaded = parse_document(text + f"[{{ secret: {ODD} }}] }}]", "policies/x.yaml")
    messages = [remark.message for remark in loaded.remarks]
    assert messages == [
        "a secret stands in the policy",
        "without audiences a token that was issued for somebody else holds too",
        "these are the keys of every tenant: without issuers no token holds",
    ]


def test_a_sample_of_the_platform_runs_as_it_is_written() -> None:
    text = f"""<policies><inbound><base />
    <validate-jwt header-name="Authorization" failed-validation-httpcode="401"
        failed-validation-error-message="Unauthorized. Access token is missing or invalid."
        output-token-variable-name="jwt-token">
      <openid-config url="{CONFIGURATION}" />
      <audiences><audience>{AUDIENCE}</audience></audiences>
    </validate-jwt>
    <set-header name="Authorization" exists-action="delete" />
    <set-header name="X-User"><value>@(((Jwt)context.Variables["jwt-token"]).Claims.GetValueOrDefault("email", "n/a"))
    </value></set-header></inbound></policies>"""
    made, _ = decided(text, bearing(token(email="ann@contoso.com")))
    assert [(edit.name, edit.action, edit.values) for edit in made.changes.headers] == [
        ("authorization", "delete", ()),
        ("x-user", "override", ("ann@contoso.com",)),
    ]
    refused, _ = decided(text, context())
    assert refused.message == "Unauthorized. Access token is missing or invalid."
