"""Who calls and who mcpgov is, as the settings say it: pinned, exact, and nothing that is silently without effect."""

import pytest

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.identity_settings import Allowed, App, Azure, BrowserSignIn, Entra, Identity, Oidc, ProxyIdentity
from mcpgov.models import Secret
from mcpgov.reload import RELOADED
from mcpgov.settings import Settings, parse_settings

TENANT = "00000000-1111-2222-3333-444444444444"
OTHER = "99999999-1111-2222-3333-aaaaaaaaaaaa"
FINGERPRINT = "ab" * 32
ISSUED = "Q4m8Q~zN2.vWcY_71kLxRtB9aTfHs-pDgUeJwM3o"
ENTRA = f"tenant_id: {TENANT}, audiences: [api://mcpgov]"


def read(text: str) -> Settings:
    return parse_settings(text, "mcpgov.yaml", EnvironmentAndFiles({"ISSUED": ISSUED, "WEAK": "changeme-changeme"}))


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        read(text)
    assert ISSUED not in str(caught.value)
    assert "changeme" not in str(caught.value)
    return [str(problem).removeprefix("mcpgov.yaml:") for problem in caught.value.problems]


def test_without_a_word_callers_bring_keys_and_mcpgov_is_nobody() -> None:
    assert read("identity: {}") == Settings()
    assert Identity() == read("identity: {}").identity
    assert (Identity().entra, Identity().oidc, Identity().proxy) == (None, (), None)


def test_entra_is_read_whole() -> None:
    text = f"""
public_url: https://mcp.contoso.com
identity:
  entra:
    tenant_id: {OTHER.upper()}
    audiences: [api://mcpgov, {TENANT}]
    authority: https://login.microsoftonline.us/
    resource: gateway
    scopes: [Mcp.Call]
    roles: [Mcp.Invoke]
    allowed:
      object_ids: [{TENANT}]
      app_ids: [{OTHER}]
      blueprint_ids: [{OTHER.upper()}]
      roles: [Mcp.Admin]
    shared_agents: [{OTHER}]
    clock_skew: 0
    sign_in: {{ client_id: {TENANT}, client_secret: "${{env:ISSUED}}" }}
"""
    entra = read(text).identity.entra
    assert entra == Entra(
        tenant_id=OTHER,
        audiences=("api://mcpgov", TENANT),
        authority="https://login.microsoftonline.us",
        resource="gateway",
        scopes=("Mcp.Call",),
        roles=("Mcp.Invoke",),
        allowed=Allowed(object_ids=(TENANT,), app_ids=(OTHER,), blueprint_ids=(OTHER,), roles=("Mcp.Admin",)),
        shared_agents=(OTHER,),
        clock_skew=0,
        sign_in=BrowserSignIn.model_construct(client_id=TENANT, client_secret=Secret(ISSUED)),
    )
    assert entra is not None
    assert ISSUED not in repr(entra)
    assert entra.issuers == (f"https://sts.windows.net/{OTHER}/", f"https://login.microsoftonline.us/{OTHER}/v2.0")


def test_an_issuer_is_kept_exactly_as_it_is_written() -> None:
    text = """
identity:
  oidc:
    - issuer: https://id.contoso.com/
    - issuer: http://127.0.0.1:9000/realms/one
      private: true
      audiences: [mcpgov]
      keys_url: http://127.0.0.1:9000/keys
      resource: https://mcp.contoso.com
      scopes: [mcp]
      name_claim: preferred_username
      project_claim: team
      roles_claim: groups
      clock_skew: 300
"""
    slash, own = read(text).identity.oidc
    assert slash == Oidc(issuer="https://id.contoso.com/")
    assert own == Oidc(
        issuer="http://127.0.0.1:9000/realms/one",
        private=True,
        audiences=("mcpgov",),
        keys_url="http://127.0.0.1:9000/keys",
        resource="https://mcp.contoso.com",
        scopes=("mcp",),
        name_claim="preferred_username",
        project_claim="team",
        roles_claim="groups",
        clock_skew=300,
    )


def test_a_proxy_vouches_for_people_and_for_certificates() -> None:
    spelled = ":".join([FINGERPRINT.upper()[at : at + 2] for at in range(0, 64, 2)])
    certificates = f'{{ "{spelled}": build-agent }}'
    written = f"user_header: X-User, certificate_header: X-Forwarded-Client-Cert, certificates: {certificates}"
    proxy = read(f"trusted_proxies: [10.0.0.0/8]\nidentity: {{ proxy: {{ {written} }} }}").identity.proxy
    assert proxy == ProxyIdentity(
        user_header="x-user",
        certificate_header="x-forwarded-client-cert",
        certificates={FINGERPRINT: "build-agent"},
    )


def test_mcpgov_is_an_app_and_a_blueprint_by_a_secret_or_federated() -> None:
    text = f"""
azure:
  tenant_id: {TENANT}
  identity: managed
  managed_identity: {OTHER}
  app: {{ client_id: {OTHER}, client_secret: "${{env:ISSUED}}" }}
  blueprint: {{ client_id: {TENANT}, federated: true }}
"""
    azure = read(text).azure
    assert azure == Azure(
        tenant_id=TENANT,
        managed_identity=OTHER,
        app=App.model_construct(client_id=OTHER, client_secret=Secret(ISSUED), federated=False),
        blueprint=App(client_id=TENANT, federated=True),
    )
    assert ISSUED not in repr(azure)
    private = (
        f"azure: {{ tenant_id: {TENANT}, authority: 'https://127.0.0.1:8443', private: true, identity: workload }}"
    )
    assert read(private).azure == Azure(
        tenant_id=TENANT, authority="https://127.0.0.1:8443", private=True, identity="workload"
    )


@pytest.mark.parametrize(
    ("entra", "says"),
    [
        ("audiences: [x]", "tenant_id is missing"),
        (f"tenant_id: {TENANT}", "audiences is missing"),
        ("tenant_id: common, audiences: [x]", "not an id of Entra"),
        ("tenant_id: contoso.com, audiences: [x]", "not an id of Entra"),
        (f"tenant_id: '{TENANT}\n', audiences: [x]", "not an id of Entra"),
        (f"tenant_id: {TENANT}, audiences: []", "at least 1"),
        (f"tenant_id: {TENANT}, audiences: ['a b']", "not 1 to 512 visible ASCII characters"),
        (f"tenant_id: {TENANT}, audiences: ['']", "not 1 to 512 visible ASCII characters"),
        (f"{ENTRA}, authority: http://login.contoso.com", "not an authority of Entra"),
        (f"{ENTRA}, authority: https://login.microsoftonline.com/common", "not an authority of Entra"),
        (f"{ENTRA}, authority: 'https://login.microsoftonline.com?a'", "not an authority of Entra"),
        (f"{ENTRA}, authority: https://10.0.0.1", "not a public address"),
        (f"{ENTRA}, authority: login.microsoftonline.com", "not a URL"),
        (f"{ENTRA}, private: yes", "must be true or false"),
        (f"{ENTRA}, resource: conection", "not a resource"),
        (f"{ENTRA}, resource: {TENANT}", "not a resource"),
        (f"{ENTRA}, resource: 'api://x#y'", "not a resource"),
        (f"{ENTRA}, scopes: []", "at least 1"),
        (f"{ENTRA}, roles: Mcp.Invoke", "must be a list"),
        (f"{ENTRA}, allowed: {{ object_ids: [] }}", "at least 1"),
        (f"{ENTRA}, allowed: {{ app_ids: [agent] }}", "not an id of Entra"),
        (f"{ENTRA}, allowed: {{ blueprints: [{TENANT}] }}", "did you mean blueprint_ids"),
        (f"{ENTRA}, shared_agents: [x]", "not an id of Entra"),
        (f"{ENTRA}, clock_skew: 301", "whole number of seconds from 0 to 300"),
        (f"{ENTRA}, clock_skew: 30s", "whole number of seconds from 0 to 300"),
        (f"{ENTRA}, sign_in:", "sign_in is empty"),
        (f"{ENTRA}, sign_in: {{}}", "client_id is missing"),
        (f"{ENTRA}, sign_in: {{ client_id: x, client_secret: short }}", "shorter than 16 characters"),
        (f"{ENTRA}, sign_in: {{ client_id: x, client_secret: 7 }}", "must be text"),
        (f"{ENTRA}, sign_in: {{ client_id: x, client_secret: '${{env:WEAK}}' }}", "is a placeholder or a pattern"),
    ],
)
def test_entra_that_cannot_be_trusted_is_refused(entra: str, says: str) -> None:
    found = problems(f"identity: {{ entra: {{ {entra} }} }}")
    assert [problem for problem in found if says in problem], found


@pytest.mark.parametrize(
    ("oidc", "says"),
    [
        ("audiences: [x]", "issuer is missing"),
        ("issuer: http://id.contoso.com", "plain http"),
        ("issuer: https://127.0.0.1", "not a public address"),
        ("issuer: 'https://id.contoso.com?tenant=a'", "issuers have none"),
        ("issuer: 'https://id.contoso.com#a'", "fragment"),
        ("issuer: https://id.contoso.com, keys_url: http://id.contoso.com/keys", "plain http"),
        ("issuer: https://id.contoso.com, keys_url: https://10.0.0.1/keys", "not a public address"),
        ("issuer: https://id.contoso.com, keys_url: ''", "not a URL"),
        ("issuer: https://id.contoso.com, audiences: []", "at least 1"),
        ("issuer: https://id.contoso.com, name_claim: ''", "not 1 to 512 visible"),
        ("issuer: https://id.contoso.com }, { issuer: https://id.contoso.com", "the issuer is there already"),
        (f"issuer: https://sts.windows.net/{TENANT}/", "the issuer is there already"),
        (f"issuer: https://login.microsoftonline.com/{TENANT}/v2.0", "the issuer is there already"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused(oidc: str, says: str) -> None:
    found = problems(f"identity: {{ entra: {{ {ENTRA} }}, oidc: [{{ {oidc} }}] }}")
    assert [problem for problem in found if says in problem], found


def test_issuers_of_different_names_stand_side_by_side() -> None:
    two = "{ issuer: https://id.contoso.com }, { issuer: https://id.contoso.com/ }"
    assert len(read(f"identity: {{ oidc: [{two}] }}").identity.oidc) == 2


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("{}", "names no header"),
        ("", "proxy is empty"),
        ("{ user_header: X_User }", "dropped at the door"),
        ("{ user_header: Host }", "carries no key"),
        ("{ user_header: Authorization }", "own credential in authorization"),
        ("{ user_header: X-Api-Key }", "own credential in x-api-key"),
        (f"{{ certificate_header: X-API-Key, certificates: {{ {FINGERPRINT}: a }} }}", "own credential in x-api-key"),
        ("{ certificate_header: X-Cert }", "certificate_header and certificates together"),
        (f"{{ user_header: X-User, certificates: {{ {FINGERPRINT}: a }} }}", "certificates together"),
        (f"{{ certificate_header: X-Cert, certificates: {{ {FINGERPRINT[1:]}: a }} }}", "not the SHA-256"),
        (f"{{ certificate_header: X-Cert, certificates: {{ {FINGERPRINT}: 'a b' }} }}", "not 1 to 512 visible"),
        (f"{{ user_header: X-A, certificate_header: x-a, certificates: {{ {FINGERPRINT}: a }} }}", "from one header"),
    ],
)
def test_a_proxy_that_could_be_impersonated_is_refused(proxy: str, says: str) -> None:
    found = problems(f"trusted_proxies: [10.0.0.0/8]\nidentity:\n  proxy: {proxy}")
    assert [problem for problem in found if says in problem], found


@pytest.mark.parametrize(
    ("azure", "says"),
    [
        ("identity: managed", "tenant_id is missing"),
        (f"tenant_id: {TENANT}, identity: cli", "identity must be"),
        (f"tenant_id: {TENANT}, authority: https://localhost:8443", "a name on your own network"),
        (f"tenant_id: {TENANT}, authority: http://localhost:8443, private: true", "not an authority of Entra"),
        (f"tenant_id: {TENANT}, managed_identity: mine", "managed_identity is not an id of Entra"),
        (f"tenant_id: {TENANT}, managed_identity: ''", "managed_identity is not an id of Entra"),
        (f"tenant_id: {TENANT}, managed_identity: {OTHER}, identity: workload", "not used with identity: workload"),
        (f"tenant_id: {TENANT}, app:", "app is empty"),
        (f"tenant_id: {TENANT}, app: {{ client_id: {OTHER} }}", "needs a client_secret or federated: true"),
        (
            f"tenant_id: {TENANT}, app: {{ client_id: {OTHER}, federated: true, client_secret: '${{env:ISSUED}}' }}",
            "and not both",
        ),
        (f"tenant_id: {TENANT}, app: {{ client_id: {OTHER}, client_secret: {OTHER} }}", "the id of a secret"),
        (f"tenant_id: {TENANT}, blueprint: {{ client_id: x, federated: true }}", "client_id is not an id of Entra"),
        (
            f"tenant_id: {TENANT}, identity: environment, blueprint: {{ client_id: {OTHER}, federated: true }}",
            "cannot stand in for a secret",
        ),
    ],
)
def test_an_identity_that_cannot_be_had_is_refused(azure: str, says: str) -> None:
    found = problems(f"azure: {{ {azure} }}")
    assert [problem for problem in found if says in problem], found


def test_each_problem_has_its_own_place_and_mend() -> None:
    text = f"""
identity:
  entra: {{ {ENTRA}, resource: x }}
  oidc:
    - issuer: https://id.contoso.com
      clock_skew: -1
azure:
  tenant_id: {TENANT}
  app:
    client_id: {OTHER}
    client_secret: {OTHER}
"""
    assert problems(text) == [
        "3:98: resource is not a resource (write connection, gateway, or an App ID URI, like api://GUID)",
        "6:19: clock_skew must be a whole number of seconds from 0 to 300 (write digits without a unit)",
        (
            "11:20: client_secret is the id of a secret, not the secret"
            " (copy the column Value of the app registration, not ID)"
        ),
    ]


def test_a_browser_that_signs_in_needs_a_url_to_come_back_to() -> None:
    text = f"""
identity:
  entra: {{ {ENTRA}, sign_in: {{ client_id: x }} }}
  oidc: [{{ issuer: https://id.contoso.com, sign_in: {{ client_id: x }} }}, {{ issuer: https://id.fabrikam.com }}]
"""
    mend = "(add public_url, like https://mcp.contoso.com)"
    assert problems(text) == [
        f"3:88: browsers have no URL to come back to {mend}",
        f"4:44: browsers have no URL to come back to {mend}",
    ]
    assert read(f"public_url: https://mcp.contoso.com{text}").identity.entra


def test_who_calls_and_who_mcpgov_is_wait_for_a_restart() -> None:
    assert not RELOADED & {"identity", "azure"}
