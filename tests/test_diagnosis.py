"""The failure table: what was seen, what it is called, and that the words name the mend."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mcpgov.decision import Reason
from mcpgov.diagnosis import Diagnosis, Seen, diagnose, link_in, untested
from mcpgov.models import (
    AuthType,
    CallerToken,
    Connection,
    Credential,
    OAuthClient,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    Secret,
    SignIn,
)

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
CLIENT = OAuthClient("client-1", Secret("s3cret"), "https://as.example/token")
CONSENTS = replace(KEYS, auth_type=AuthType.OAUTH2, keys=(), sign_in=SignIn(oauth=CLIENT))
OF_ITSELF = replace(CONSENTS, sign_in=SignIn(oauth=replace(CLIENT, per_user=False)))
FOR_USER = replace(ENTRA, auth_type=AuthType.USER_ENTRA)
AGENT_FOR_USER = replace(ENTRA, auth_type=AuthType.AGENTIC_IDENTITY, sign_in=SignIn(on_behalf_of=True))
SECOND = CallerToken("x-query-source", "https://search.azure.com")
WITH_SECOND = replace(KEYS, sign_in=SignIn(caller_token=SECOND))
PROBE = Principal("mcpgov:probe", PrincipalKind.PROBE)
AGENT = Principal("entra:t:agent", PrincipalKind.AGENT)
USER = Principal("entra:t:ada", PrincipalKind.USER, assertion=Secret("a-users-token"))
STRANGER = replace(USER, id="oidc:https://issuer.example#ada", assertion=None)
KEY = Principal("key:k1", PrincipalKind.KEY)
ROOT = Path(__file__).parents[1]
CREDENTIALS = (ROOT / "docs" / "credentials.md").read_text("utf-8")


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
        (seen(REFUSED, CONSENTS, TOKEN, 401), "token-refused", "then revoke the consent and give it again"),
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


@pytest.mark.parametrize("code", sorted(set(re.findall(r"AADSTS[0-9]+", CREDENTIALS))))
def test_every_code_of_entra_on_the_page_has_words_of_its_own(code: str) -> None:
    diagnosis = found(seen(Reason.CREDENTIAL_UNAVAILABLE, FOR_USER, None, detail=f"Microsoft Entra: error {code}"))
    assert diagnosis.name != "token-refused"
    assert code in diagnosis.what
    assert "{" not in diagnosis.what + diagnosis.mend


@pytest.mark.parametrize(("connection", "needed"), [(FOR_USER, "azure.app"), (AGENT_FOR_USER, "azure.blueprint")])
@pytest.mark.parametrize("code", ["AADSTS50013", "AADSTS500131"])
def test_a_users_token_for_another_application_names_the_one_it_has_to_be_for(
    connection: Connection, needed: str, code: str
) -> None:
    diagnosis = found(seen(Reason.CREDENTIAL_UNAVAILABLE, connection, None, detail=code))
    assert (diagnosis.name, needed in diagnosis.mend) == ("user-token-wrong", True)


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
        ("DNS", "name-unknown"),
        ("SSLCertVerificationError", "certificate-refused"),
        ("ConnectionRefusedError", "unreachable"),
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


def test_the_record_that_has_the_rule_is_named() -> None:
    assert "mcpgov audit show 3fa9c1d2 has the rule" in found(replace(seen(Reason.QUARANTINED), record="3fa9c1d2")).mend


@pytest.mark.parametrize("reason", [Reason.UPSTREAM_INVALID, Reason.UPSTREAM_ERROR])
def test_what_an_upstream_answered_instead_is_told(reason: Reason) -> None:
    assert found(seen(reason, detail="status 404")).what.endswith(" (status 404).")


def test_a_token_of_the_connection_itself_has_no_consent_that_could_be_revoked() -> None:
    diagnosis = found(seen(REFUSED, OF_ITSELF, TOKEN, 401))
    assert (diagnosis.name, "consent" in diagnosis.mend) == ("token-refused", False)


@pytest.mark.parametrize("code", ["invalid_client", "incorrect_client_credentials", "unauthorized_client"])
def test_a_client_that_is_not_accepted_is_mended_in_the_catalog(code: str) -> None:
    detail = f"no token by client credentials: {code}"
    diagnosis = found(seen(Reason.CREDENTIAL_UNAVAILABLE, OF_ITSELF, None, detail=detail))
    assert (diagnosis.name, code in diagnosis.what) == ("client-refused", True)
    assert "clientId: and clientSecret:" in diagnosis.mend


@pytest.mark.parametrize(
    ("connection", "principal", "token", "lacks", "bring"),
    [
        (FOR_USER, PROBE, "The token in Authorization", "mcpgov:probe (probe)", "signed in with Entra"),
        (FOR_USER, AGENT, "The token in Authorization", "entra:t:agent (agent)", "signed in with Entra"),
        (FOR_USER, STRANGER, "The token in Authorization", "brings no user's token of Entra", "signed in with Entra"),
        (AGENT_FOR_USER, STRANGER, "The token in Authorization", "brings no user's token", "signed in with Entra"),
        (CONSENTS, AGENT, "The token in Authorization", "no user and holds no gateway key", "or a gateway key"),
        (WITH_SECOND, PROBE, "callerToken, in x-query-source,", "brings no user's token", "signed in with Entra"),
        (WITH_SECOND, KEY, "callerToken, in x-query-source,", "key:k1 (key)", "signed in with Entra"),
        (
            *(replace(CONSENTS, sign_in=SignIn(oauth=CLIENT, caller_token=SECOND)), KEY),
            *("callerToken, in x-query-source,", "key:k1 (key)", "signed in with Entra"),
        ),
        (
            *(replace(AGENT_FOR_USER, sign_in=SignIn(on_behalf_of=True, caller_token=SECOND)), AGENT),
            *("callerToken, in x-query-source,", "entra:t:agent (agent)", "signed in with Entra"),
        ),
    ],
)
def test_which_token_of_a_user_is_missing_is_told_with_who_asked(
    connection: Connection, principal: Principal, token: str, lacks: str, bring: str
) -> None:
    diagnosis = found(
        replace(seen(Reason.USER_REQUIRED, connection, None), principal=principal, link="https://x.example")
    )
    assert (diagnosis.name, diagnosis.link) == ("user-required", "https://x.example")
    assert diagnosis.what.startswith(f"{token} is got for the calling user. This was asked as {principal.id} (")
    assert lacks in diagnosis.what
    assert bring in diagnosis.mend
    assert "--token-env" in diagnosis.mend


@pytest.mark.parametrize("principal", [None, PROBE, AGENT, STRANGER, USER])
def test_what_only_a_user_can_prove_is_untested_by_everybody_else(principal: Principal | None) -> None:
    told = "" if principal is USER else "on behalf of a user (--token-env)"
    assert untested(AGENT_FOR_USER, principal) == untested(WITH_SECOND, principal) == told
    assert untested(ENTRA, principal) == untested(None, principal) == ""


def test_a_token_for_somebody_else_is_told_for_whom_it_may_be() -> None:
    accepted = "accepted audiences: api://mcpgov, https://mcp.contoso.com/mcp/github"
    assert accepted in found(seen(Reason.JWT_AUDIENCE_DENIED, detail=accepted)).mend
    assert "docs/identity.md" in found(seen(Reason.JWT_AUDIENCE_DENIED)).mend


@pytest.mark.parametrize("reason", [Reason.JWT_EXPIRED, Reason.JWT_NOT_YET_VALID])
def test_a_token_out_of_its_time_is_mended_by_a_new_one_or_the_clock(reason: Reason) -> None:
    diagnosis = found(seen(reason))
    assert "does not let this caller in" in diagnosis.what
    assert "the clock of this machine" in diagnosis.mend


@pytest.mark.parametrize("reason", [Reason.JWT_MALFORMED, Reason.CREDENTIAL_INVALID, Reason.CALLER_NOT_ALLOWED])
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


def test_tools_that_wait_for_approval_are_said_to_wait() -> None:
    diagnosis = found(replace(seen(None), tools=0, waiting=4))
    assert (diagnosis.name, diagnosis.what) == ("tools-wait", "The tools of the server wait for approval: 4.")
    assert diagnosis.mend == f"look at them, and decide: mcpgov catalog diff {seen(None).name}"
    assert diagnose(replace(seen(None), tools=1, waiting=4)) is None


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
    page = (ROOT / "docs" / "sign-in.md").read_text("utf-8") + (ROOT / "docs" / "reasons.md").read_text("utf-8")
    source = (ROOT / "mcpgov" / "diagnosis.py").read_text("utf-8")
    own = set(re.findall(r'(?:Diagnosis\(|": \(\s*|Final = \(\s*)"([a-z-]+)"', source))
    assert "user-token-wrong" in own
    assert len(own) > 15
    assert [name for name in sorted(own) if f"`{name}`" not in page] == []
