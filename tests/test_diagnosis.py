"""The failure table: what was seen, what it is called, and that the words name the mend."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mcpgov.decision import Reason
from mcpgov.diagnosis import Diagnosis, Seen, diagnose, link_in
from mcpgov.models import AuthType, Connection, Credential, RemoteUpstream, Secret, SignIn

KEYS = Connection(
    "github",
    "com.contoso/github",
    RemoteUpstream("https://api.contoso.com/mcp"),
    AuthType.CUSTOM_KEYS,
    keys=(("Authorization", Secret("Bearer ghp_secret")), ("X-Tenant", Secret("tenant-secret"))),
)
ENTRA = replace(
    KEYS, auth_type=AuthType.PROJECT_MANAGED_IDENTITY, keys=(), sign_in=SignIn(audience="https://search.azure.com")
)
SENT = Credential("CustomKeys", "github", (("Authorization", Secret("x")), ("X-Tenant", Secret("y"))))
TOKEN = Credential(
    "Entra", "github", (("Authorization", Secret("x")),), identity="client-1", audience="https://search.azure.com"
)
REFUSED = Reason.UPSTREAM_UNAUTHORIZED


def seen(
    reason: Reason | None,
    connection: Connection | None = KEYS,
    credential: Credential | None = SENT,
    status: int | None = None,
    detail: str = "",
) -> Seen:
    return Seen(
        "github", connection, credential, reason, "It was refused.", detail, status, known=("github", "mail", "time")
    )


def found(what: Seen) -> Diagnosis:
    diagnosis = diagnose(what)
    assert diagnosis is not None
    return diagnosis


def test_tools_and_no_refusal_are_nothing_wrong() -> None:
    assert diagnose(replace(seen(None), tools=3)) is None


@pytest.mark.parametrize(
    ("what", "name", "told"),
    [
        (seen(REFUSED, replace(KEYS, auth_type=AuthType.NONE), None, 401), "credential-expected", "authType"),
        (seen(REFUSED, status=401), "key-refused", "Sent: header Authorization, X-Tenant."),
        (seen(REFUSED, credential=None, status=401), "key-refused", "Sent: no header."),
        (seen(REFUSED, replace(KEYS, auth_type=AuthType.OAUTH2), TOKEN, 401), "token-refused", "scopes:"),
        (seen(REFUSED, ENTRA, TOKEN, 401), "wrong-audience", "https://search.azure.com"),
        (seen(REFUSED, ENTRA, TOKEN, 403), "role-missing", "client-1"),
        (seen(REFUSED, ENTRA, None, 403), "role-missing", "the identity"),
        (seen(REFUSED, status=403), "permission-missing", "X-Tenant"),
        (seen(REFUSED, status=407), "proxy-in-between", "proxy"),
    ],
)
def test_what_an_upstream_makes_of_the_credential(what: Seen, name: str, told: str) -> None:
    diagnosis = found(what)
    assert diagnosis.name == name
    assert told in f"{diagnosis.what} {diagnosis.mend}"


@pytest.mark.parametrize(("value", "lacks"), [("ghp_secret", True), ("Bearer ghp_secret", False)])
def test_a_key_without_its_scheme_is_noticed_and_not_repeated(value: str, *, lacks: bool) -> None:
    diagnosis = found(seen(REFUSED, replace(KEYS, keys=(("authorization", Secret(value)),)), status=401))
    assert ("write the scheme" in diagnosis.mend) is lacks
    assert "ghp_secret" not in repr(diagnosis)


@pytest.mark.parametrize(
    ("detail", "name", "told"),
    [
        ("AADSTS500011: no principal", "wrong-audience", "https://search.azure.com"),
        ("AADSTS501051", "role-missing", "app roles"),
        ("AADSTS65001", "consent-required", "consent"),
        ("AADSTS7000215", "secret-wrong", "not its id"),
        ("AADSTS99999", "token-refused", "AADSTS99999"),
        ("managed identity: this host has none, or not the one that is named", "identity-missing", "azure.identity"),
        ("workload identity: not answered in time", "identity-missing", "workload identity"),
        ("the authority is down", "credential-unavailable", "the authority is down"),
    ],
)
def test_why_there_is_no_token(detail: str, name: str, told: str) -> None:
    diagnosis = found(seen(Reason.CREDENTIAL_UNAVAILABLE, ENTRA, None, detail=detail))
    assert diagnosis.name == name
    assert told in f"{diagnosis.what} {diagnosis.mend}"


def test_a_credential_that_has_nothing_to_do_with_this_machine_is_no_missing_identity() -> None:
    diagnosis = found(seen(Reason.CREDENTIAL_UNAVAILABLE, KEYS, None, detail="managed identity: this host has none"))
    assert diagnosis.name == "credential-unavailable"


@pytest.mark.parametrize(
    ("detail", "name"),
    [
        ("ClientConnectorDNSError", "name-unknown"),
        ("ClientConnectorCertificateError", "certificate-refused"),
        ("ClientConnectorSSLError", "certificate-refused"),
        ("ClientConnectorError", "unreachable"),
    ],
)
def test_why_an_upstream_cannot_be_reached(detail: str, name: str) -> None:
    assert found(seen(Reason.UPSTREAM_UNREACHABLE, detail=detail)).name == name


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.UPSTREAM_ADDRESS_DENIED, "private: true"),
        (Reason.UPSTREAM_TIMEOUT, "timeout:"),
        (Reason.UPSTREAM_REDIRECTED, "final address"),
        (Reason.UPSTREAM_INVALID, "not an MCP server"),
        (Reason.CONSENT_REQUIRED, "link"),
        (Reason.USER_REQUIRED, "--token-env"),
        (Reason.AUDIT_UNAVAILABLE, "audit.store"),
        (Reason.SOURCE_IP_DENIED, "127.0.0.1"),
        (Reason.CONNECTION_DENIED, "does not hold for this connection"),
        (Reason.RATE_LIMITED, "It was refused."),
        (Reason.QUARANTINED, "mcpgov audit show"),
    ],
)
def test_other_refusals_are_named_by_their_reason(reason: Reason, told: str) -> None:
    diagnosis = found(replace(seen(reason), link="https://mcp.contoso.com/consent/x"))
    assert (diagnosis.name, diagnosis.link) == (str(reason), "https://mcp.contoso.com/consent/x")
    assert told in f"{diagnosis.what} {diagnosis.mend}"


@pytest.mark.parametrize("reason", [Reason.JWT_EXPIRED, Reason.CREDENTIAL_INVALID, Reason.CALLER_NOT_ALLOWED])
def test_a_caller_who_is_not_let_in_is_told_apart_from_a_policy(reason: Reason) -> None:
    diagnosis = found(seen(reason))
    assert "does not let this caller in" in diagnosis.what
    assert "key that holds" in diagnosis.mend


def test_a_consent_that_nobody_can_give_through_a_link_is_told_in_the_gateways_own_words() -> None:
    diagnosis = found(seen(Reason.CONSENT_REQUIRED))
    assert "It was refused." in diagnosis.what
    assert "administrator" in diagnosis.mend


@pytest.mark.parametrize("reason", sorted(Reason))
def test_every_reason_has_words(reason: Reason) -> None:
    diagnosis = found(seen(reason))
    assert diagnosis.what
    assert diagnosis.mend


def test_no_tools_are_a_finding_that_names_the_audience_where_there_is_one() -> None:
    assert "audience, https://search.azure.com" in found(replace(seen(None, ENTRA, TOKEN), tools=0)).mend
    assert "credential and the URL" in found(replace(seen(None), tools=0)).mend


def test_a_connection_without_an_audience_is_said_to_have_none() -> None:
    assert "(none)" in found(seen(REFUSED, replace(ENTRA, sign_in=SignIn()), None, 401)).what


def test_an_unknown_connection_is_named_with_its_nearest() -> None:
    unknown = replace(seen(Reason.UNKNOWN_CONNECTION, None), name="githb")
    assert found(unknown).mend == "did you mean github?"
    assert found(replace(unknown, known=())).mend == "the catalog has no connection yet"


def test_an_error_of_the_server_is_told_with_its_code() -> None:
    assert "-32603: broken" in found(replace(seen(None), code=-32603, told="broken")).what


def test_a_consent_that_the_server_waits_for_comes_with_its_link() -> None:
    diagnosis = found(replace(seen(None), code=-32007, link="https://consent.example/x"))
    assert (diagnosis.name, diagnosis.link) == ("upstream-consent-required", "https://consent.example/x")


@pytest.mark.parametrize(
    ("error", "link"),
    [
        ('{"message": "see https://a.example/x?y=1"}', "https://a.example/x?y=1"),
        ('{"data": {"url": "https://a.example/", "x": 1}}', "https://a.example/"),
        ("http://a.example", ""),
        ("null", ""),
    ],
)
def test_a_link_is_found_in_an_error_wherever_it_stands(error: str, link: str) -> None:
    assert link_in(error) == link


def test_every_name_that_a_diagnosis_may_have_is_on_the_page() -> None:
    root = Path(__file__).parents[1]
    page = (root / "docs" / "sign-in.md").read_text("utf-8") + (root / "docs" / "reasons.md").read_text("utf-8")
    source = (root / "mcpgov" / "diagnosis.py").read_text("utf-8")
    own = set(re.findall(r'(?:Diagnosis\(|": \(\s*)"([a-z-]+)"', source))
    assert len(own) > 15
    assert [name for name in sorted(own) if f"`{name}`" not in page] == []
