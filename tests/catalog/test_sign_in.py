"""Each way of signing in has exactly its keys; a key that would never be used is an error, not a wish."""

import pytest

from mcpgov.catalog.entries import parse_entry
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import AuthType, CallerToken, Connection, OAuthClient, Secret, SignIn

AGENT = "11111111-1111-2222-3333-444444444444"
CALLER = "22222222-1111-2222-3333-aaaaaaaaaaaa"
ISSUED = "Q4m8Q~zN2.vWcY_71kLxRtB9aTfHs-pDgUeJwM3o"
SERVER = "name: com.contoso/x\nupstream: https://x.contoso.com/mcp\nconnections:\n  x: { "
OAUTH = "clientId: mcpgov, tokenUrl: https://id.contoso.com/token"
PER_USER = f"{OAUTH}, authorizationUrl: https://id.contoso.com/authorize"
FOR_ITSELF = f"{OAUTH}, grant: client_credentials, clientSecret: '${{env:ISSUED}}'"


def connection(said: str) -> Connection:
    entry = parse_entry(f"{SERVER}{said} }}", "x.yaml", EnvironmentAndFiles({"ISSUED": ISSUED}))
    return entry.connections[0].connection


def problems(said: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        connection(said)
    assert all(problem.mend or " must be " in problem.message for problem in caught.value.problems)
    assert ISSUED not in str(caught.value)
    return [str(problem).removeprefix("x.yaml:") for problem in caught.value.problems]


def test_none_needs_nothing() -> None:
    assert connection("authType: None").sign_in == SignIn()
    assert connection("").auth_type is AuthType.NONE


@pytest.mark.parametrize(
    ("said", "sign_in"),
    [
        ("authType: ProjectManagedIdentity, audience: https://search.azure.com", SignIn("https://search.azure.com")),
        (
            f"authType: ProjectManagedIdentity, audience: {AGENT}, identity: {CALLER.upper()}",
            SignIn(AGENT, CALLER),
        ),
        (
            f"authType: AgenticIdentityToken, audience: api://{AGENT}, agentIdentity: {AGENT}",
            SignIn(f"api://{AGENT}", agent_identity=AGENT),
        ),
        (
            (
                f"authType: AgenticIdentityToken, audience: api://a/, agentIdentity: {AGENT.upper()},"
                f" agentIdentities: {{ {CALLER.upper()}: {AGENT} }}, onBehalfOf: true"
            ),
            SignIn("api://a/", agent_identity=AGENT, agent_identities=((CALLER, AGENT),), on_behalf_of=True),
        ),
        ("authType: UserEntraToken, audience: api://a", SignIn("api://a")),
        (
            (
                f"authType: OAuth2, oauth: {{ {PER_USER}, scopes: [repo, user], resource: https://x.contoso.com/mcp,"
                " refreshUrl: https://id.contoso.com/refresh, revocationUrl: https://id.contoso.com/revoke,"
                " clientSecret: '${env:ISSUED}' }"
            ),
            SignIn(
                oauth=OAuthClient(
                    "mcpgov",
                    Secret(ISSUED),
                    "https://id.contoso.com/token",
                    "https://id.contoso.com/authorize",
                    "https://id.contoso.com/refresh",
                    "https://id.contoso.com/revoke",
                    ("repo", "user"),
                    "https://x.contoso.com/mcp",
                )
            ),
        ),
        (
            f"authType: OAuth2, oauth: {{ {FOR_ITSELF} }}",
            SignIn(oauth=OAuthClient("mcpgov", Secret(ISSUED), "https://id.contoso.com/token", per_user=False)),
        ),
        (
            (
                "authType: OAuth2, oauth: { clientId: a, tokenUrl: http://localhost:9/t,"
                " authorizationUrl: http://localhost:9/a, private: true }"
            ),
            SignIn(oauth=OAuthClient("a", None, "http://localhost:9/t", "http://localhost:9/a", private=True)),
        ),
        (
            "callerToken: { header: X-Ms-Query-Source-Authorization, audience: https://search.azure.com }",
            SignIn(caller_token=CallerToken("X-Ms-Query-Source-Authorization", "https://search.azure.com")),
        ),
        (
            (
                "authType: ProjectManagedIdentity, audience: api://a,"
                " callerToken: { header: X-User-Token, audience: api://b, required: false }"
            ),
            SignIn("api://a", caller_token=CallerToken("X-User-Token", "api://b", required=False)),
        ),
    ],
)
def test_each_way_of_signing_in_is_read_whole(said: str, sign_in: SignIn) -> None:
    read = connection(said)
    assert read.sign_in == sign_in
    assert ISSUED not in repr(read)


KEYS = {
    "keys": "{ X-Key: a }",
    "audience": "api://a",
    "identity": AGENT,
    "agentIdentity": AGENT,
    "agentIdentities": f"{{ {CALLER}: {AGENT} }}",
    "onBehalfOf": "true",
    "oauth": f"{{ {PER_USER} }}",
}
NEEDED = {
    "None": (),
    "CustomKeys": ("keys",),
    "ProjectManagedIdentity": ("audience",),
    "AgenticIdentityToken": ("audience", "agentIdentity"),
    "OAuth2": ("oauth",),
    "UserEntraToken": ("audience",),
}
BESIDES = {"ProjectManagedIdentity": ("identity",), "AgenticIdentityToken": ("agentIdentities", "onBehalfOf")}


@pytest.mark.parametrize("auth_type", AuthType)
def test_each_way_needs_its_keys_and_takes_no_other(auth_type: AuthType) -> None:
    needed, besides = NEEDED[auth_type], BESIDES.get(auth_type, ())
    whole = ", ".join([f"authType: {auth_type}", *(f"{key}: {KEYS[key]}" for key in needed)])
    assert connection(whole).auth_type is auth_type
    for key in needed:
        (found,) = problems(whole.replace(f", {key}: {KEYS[key]}", ""))
        assert f"4:18: {auth_type} without {key} (add {key}: " in found
    for key in KEYS.keys() - {*needed}:
        more = f"{whole}, {key}: {KEYS[key]}"
        if key in besides:
            assert connection(more).auth_type is auth_type
        else:
            assert f"authType {auth_type} never uses {key} ({key} belongs to authType: " in problems(more)[0]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("authType: customkeys", "not a way to sign in (did you mean CustomKeys?)"),
        ("authType: Token", "not a way to sign in (known here: AgenticIdentityToken, CustomKeys,"),
        ("clientAuthType: oauth", "not a way to sign in (did you mean OAuth2?)"),
        ("authType: null", "not a way to sign in"),
        ("authType: [OAuth2]", "not a way to sign in"),
        ("authType: UserEntraToken, audience: search", "not an audience"),
        ("authType: UserEntraToken, audience: ''", "not an audience"),
        ("authType: UserEntraToken, audience: https://search.azure.com/.default", "is a scope"),
        ("authType: UserEntraToken, audience: 1111-1111", "not an audience"),
        ("authType: ProjectManagedIdentity, audience: api://a, identity: mine", "not an id of Entra"),
        ("authType: ProjectManagedIdentity, audience: api://a, identity: ''", "not an id of Entra"),
        ("authType: AgenticIdentityToken, audience: api://a, agentIdentity: me", "not an id of Entra"),
        (
            f"authType: AgenticIdentityToken, audience: api://a, agentIdentity: {AGENT}, agentIdentities: {{ a: b }}",
            "not an id of Entra",
        ),
        ("authType: OAuth2, oauth:", "oauth is empty"),
        ("authType: OAuth2, oauth: {}", "clientId is missing"),
        (f"authType: OAuth2, oauth: {{ {OAUTH} }}", "users consent nowhere"),
        (f"authType: OAuth2, oauth: {{ {OAUTH}, grant: client_credentials }}", "client_credentials without a secret"),
        (f"authType: OAuth2, oauth: {{ {OAUTH}, grant: client_credential }}", "did you mean client_credentials?"),
        (f"authType: OAuth2, oauth: {{ {PER_USER}, clientSecret: changeme-changeme }}", "is a placeholder"),
        (f"authType: OAuth2, oauth: {{ {PER_USER}, refreshUrl: http://id.contoso.com }}", "plain http"),
        (f"authType: OAuth2, oauth: {{ {PER_USER}, revocationUrl: https://10.0.0.1 }}", "not a public address"),
        (f"authType: OAuth2, oauth: {{ {PER_USER}, tokenURL: https://a.contoso.com }}", "did you mean tokenUrl"),
        ("authType: OAuth2, oauth: { clientId: a, tokenUrl: https://localhost/t }", "a name on your own network"),
        (
            f"authType: OAuth2, oauth: {{ {FOR_ITSELF}, authorizationUrl: https://id.contoso.com/a }}",
            "client_credentials never uses authorizationUrl",
        ),
        ("callerToken:", "callerToken is empty"),
        ("callerToken: { header: X-T }", "audience is missing"),
        ("callerToken: { header: Host, audience: api://a }", "carries no key"),
        ("callerToken: { header: X-T, audience: a }", "not an audience"),
        (
            "authType: CustomKeys, keys: { x_t: a }, callerToken: { header: X-T, audience: api://a }",
            "X-T carries the connection's own credential",
        ),
        (
            "authType: UserEntraToken, audience: api://a, callerToken: { header: authorization, audience: api://b }",
            "authorization carries the connection's own credential",
        ),
        ("clientAuthType: agentic", "not a way to sign in"),
        ("clientAuthType: AgenticIdentityToken", "AgenticIdentityToken without clientAudience"),
        ("clientAuthType: ProjectManagedIdentity", "ProjectManagedIdentity without clientAudience"),
        ("clientAuthType: UserEntraToken", "UserEntraToken without clientAudience"),
        ("clientAuthType: None, clientAudience: api://a", "clientAuthType None has no audience"),
        ("clientAudience: api://a", "clientAuthType CustomKeys has no audience"),
        ("clientAuthType: OAuth2, clientAudience: a", "not an audience"),
    ],
)
def test_a_way_of_signing_in_that_cannot_work_is_refused(said: str, says: str) -> None:
    found = problems(said)
    assert [problem for problem in found if says in problem], found


def test_a_callers_token_may_go_beside_keys_in_any_other_header() -> None:
    token = "callerToken: { header: Authorization, audience: api://b }"
    read = connection(f"authType: CustomKeys, keys: {{ X-Key: a }}, {token}")
    assert read.sign_in.caller_token == CallerToken("Authorization", "api://b")


@pytest.mark.parametrize("kind", ["None", "CustomKeys", "OAuth2"])
def test_these_clients_need_no_audience(kind: str) -> None:
    assert connection(f"clientAuthType: {kind}").client_auth_type == kind
