"""What a connection needs of mcpgov.yaml is missed when files are loaded, at its place in the catalog."""

import pytest

from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.needs import unmet
from mcpgov.credential.references import EnvironmentAndFiles, unfetched
from mcpgov.settings import parse_settings

GUID = "11111111-1111-2222-3333-444444444444"
OTHER = "22222222-1111-2222-3333-444444444444"
APP = f"{{ client_id: {GUID}, federated: true }}"
AZURE = f"azure: {{ tenant_id: {GUID} }}"
AZURE_APP = f"azure: {{ tenant_id: {GUID}, app: {APP} }}"
BLUEPRINT = f"azure: {{ tenant_id: {GUID}, blueprint: {APP} }}"
ENVIRONMENT = f"azure: {{ tenant_id: {GUID}, identity: environment }}"
ENTRA = f"identity: {{ entra: {{ tenant_id: {GUID}, audiences: [a] }} }}"
OTHER_TENANT = ENTRA.replace(GUID, OTHER)
FOR_OTHERS = f"identity: {{ entra: {{ tenant_id: {GUID}, audiences: [{OTHER}, 'api://{OTHER}'] }} }}"
FOR_IT = f"identity: {{ entra: {{ tenant_id: {GUID}, audiences: ['api://{GUID.upper()}', {OTHER}] }} }}"
OIDC = "identity: { oidc: [{ issuer: https://id.contoso.com }] }"
CONSENT = "public_url: https://mcp.contoso.com\nsecrets: { key: '${env:KEY}' }"

MANAGED = "authType: ProjectManagedIdentity, audience: api://a"
AGENT = f"authType: AgenticIdentityToken, audience: api://a, agentIdentity: {GUID}"
USER = "authType: UserEntraToken, audience: api://a"
TOKEN = "callerToken: { header: X-T, audience: api://a }"
OAUTH = "clientId: a, tokenUrl: https://id.contoso.com/t"
PER_USER = f"authType: OAuth2, oauth: {{ {OAUTH}, authorizationUrl: https://id.contoso.com/a }}"
FOR_ITSELF = f"authType: OAuth2, oauth: {{ {OAUTH}, grant: client_credentials, clientSecret: '${{env:KEY}}' }}"


def missed(said: str, settings: str) -> list[str]:
    """Every problem of a connection, its place in the line of the connection included."""
    lookup = EnvironmentAndFiles({"KEY": unfetched("")})
    text = f"name: com.contoso/x\nupstream: https://x.contoso.com\nconnections:\n  x: {{ {said} }}"
    problems = tuple(unmet([parse_entry(text, "x.yaml", lookup)], parse_settings(settings or "{}", "y", lookup)))
    assert all(problem.mend for problem in problems)
    return [str(problem).removeprefix("x.yaml:4:") for problem in problems]


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ("", ""),
        ("authType: CustomKeys, keys: { X-Key: a }", ""),
        (MANAGED, AZURE),
        (f"{MANAGED}, identity: {GUID}", AZURE),
        (MANAGED, ENVIRONMENT),
        (AGENT, BLUEPRINT),
        (f"{AGENT}, onBehalfOf: true", f"{BLUEPRINT}\n{ENTRA}"),
        (USER, f"{AZURE_APP}\n{ENTRA}"),
        (TOKEN, f"{AZURE_APP}\n{ENTRA}"),
        (USER, f"{AZURE_APP}\n{FOR_IT}"),
        (f"{USER}, clientAuthType: UserEntraToken, clientAudience: api://{GUID}", f"{AZURE_APP}\n{FOR_OTHERS}"),
        (f"{USER}, clientAuthType: UserEntraToken, clientAudience: https://a", f"{AZURE_APP}\n{FOR_OTHERS}"),
        (AGENT, f"{BLUEPRINT}\n{FOR_OTHERS}"),
        (PER_USER, CONSENT),
        (FOR_ITSELF, ""),
        ("clientAuthType: None", "identity: { allow_anonymous: true }"),
        ("clientAuthType: AgenticIdentityToken, clientAudience: api://a", ENTRA),
        ("clientAuthType: OAuth2", ENTRA),
        ("clientAuthType: OAuth2", OIDC),
    ],
)
def test_a_connection_whose_needs_are_met_is_served(said: str, settings: str) -> None:
    assert missed(said, settings) == []


@pytest.mark.parametrize(
    ("said", "settings", "says"),
    [
        (MANAGED, "", ["nothing says who mcpgov is for ProjectManagedIdentity"]),
        (f"{MANAGED}, identity: {GUID}", ENVIRONMENT, ["mcpgov's identity is that of the environment"]),
        (AGENT, "", ["nothing says who mcpgov is for AgenticIdentityToken"]),
        (AGENT, AZURE_APP, ["nothing says who mcpgov is for AgenticIdentityToken"]),
        (f"{AGENT}, onBehalfOf: true", BLUEPRINT, ["could act on behalf of nobody"]),
        (f"{AGENT}, onBehalfOf: true", f"{BLUEPRINT}\n{OTHER_TENANT}", ["of another tenant"]),
        (USER, ENTRA, ["nothing says who mcpgov is for UserEntraToken"]),
        (USER, f"{BLUEPRINT}\n{ENTRA}", ["nothing says who mcpgov is for UserEntraToken"]),
        (USER, AZURE_APP, ["could act on behalf of nobody"]),
        (USER, f"{AZURE_APP}\n{OTHER_TENANT}", ["of another tenant"]),
        (TOKEN, "", ["nothing says who mcpgov is for callerToken", "could act on behalf of nobody"]),
        (USER, f"{AZURE_APP}\n{FOR_OTHERS}", ["accepted here is for azure.app, which exchanges it"]),
        (TOKEN, f"{AZURE_APP}\n{FOR_OTHERS}", ["accepted here is for azure.app, which exchanges it"]),
        (
            f"{AGENT}, onBehalfOf: true, clientAuthType: UserEntraToken, clientAudience: {OTHER}",
            f"{BLUEPRINT}\n{FOR_OTHERS}",
            ["accepted here is for azure.blueprint, which exchanges it"],
        ),
        (PER_USER, "", ["users have no URL to consent at", "there is no key"]),
        ("clientAuthType: None", "", ["clients that sign in with nothing are not let in"]),
        ("clientAuthType: UserEntraToken, clientAudience: api://a", OIDC, ["no tokens of Entra are taken"]),
        ("clientAuthType: OAuth2", "", ["nobody's are taken"]),
    ],
)
def test_a_connection_that_could_never_work_is_told(said: str, settings: str, says: list[str]) -> None:
    found = missed(said, settings)
    assert len(found) == len(says)
    assert all(part in line for part, line in zip(says, found, strict=True)), found


@pytest.mark.parametrize("reached", ["public_url: https://mcp.contoso.com", "trusted_proxies: [10.0.0.7]"])
def test_no_mend_lets_strangers_in_where_settings_would_refuse_it(reached: str) -> None:
    (found,) = missed("clientAuthType: None", reached)
    assert found.endswith("clients that sign in with nothing are not let in (remove it)")


def test_it_is_told_where_the_catalog_asks_for_it() -> None:
    text = "add azure: with tenant_id and app to mcpgov.yaml"
    assert missed(f"timeout: 9, {USER}", ENTRA) == [f"30: nothing says who mcpgov is for UserEntraToken ({text})"]
