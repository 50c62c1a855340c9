"""Who calls and who mcpgov is, as the settings say it: pinned, exact, and nothing that is silently without effect."""

import pytest

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.identity_settings import (
    Allowed,
    App,
    Azure,
    BrowserSignIn,
    Entra,
    EntraSignIn,
    Identity,
    Oidc,
    ProxyIdentity,
)
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
    resource: https://mcp.contoso.com/mcp
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
        resource="https://mcp.contoso.com/mcp",
        scopes=("Mcp.Call",),
        roles=("Mcp.Invoke",),
        allowed=Allowed(object_ids=(TENANT,), app_ids=(OTHER,), blueprint_ids=(OTHER,), roles=("Mcp.Admin",)),
        shared_agents=(OTHER,),
        clock_skew=0,
        sign_in=EntraSignIn.model_construct(client_id=TENANT, client_secret=Secret(ISSUED)),
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
        (f"tenant_id: {TENANT}, audiences: []", "audiences is empty"),
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
        (f"{ENTRA}, resource: gateway", "is a bare host"),
        (f"{ENTRA}, resource: https://mcp.contoso.com/", "is a bare host"),
        (f"{ENTRA}, scopes: []", "scopes is empty"),
        (f"{ENTRA}, scopes: ['api://{OTHER}/Mcp.Use']", "scopes[0] has a resource in front"),
        (f"{ENTRA}, roles: Mcp.Invoke", "must be a list"),
        (f"{ENTRA}, allowed: {{}}", "allowed is empty"),
        (f"{ENTRA}, allowed: {{ object_ids: [] }}", "object_ids is empty"),
        (f"{ENTRA}, allowed: {{ app_ids: [agent] }}", "not an id of Entra"),
        (f"{ENTRA}, allowed: {{ blueprints: [{TENANT}] }}", "did you mean blueprint_ids"),
        (f"{ENTRA}, shared_agents: [x]", "not an id of Entra"),
        (f"{ENTRA}, clock_skew: 301", "whole number of seconds from 0 to 300"),
        (f"{ENTRA}, clock_skew: 30s", "whole number of seconds from 0 to 300"),
        (f"{ENTRA}, sign_in:", "sign_in is empty"),
        (f"{ENTRA}, sign_in: {{}}", "client_id is missing"),
        (f"{ENTRA}, sign_in: {{ client_id: x, client_secret: short }}", "shorter than 16 characters"),
        (f"{ENTRA}, sign_in: {{ client_id: x, client_secret: 7 }}", "must be text"),
        (f"{ENTRA}, sign_in: {{ client_id: x, client_secret: {OTHER} }}", "the id of a secret, not the secret"),
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
        ("issuer: https://id.contoso.com, audiences: []", "audiences is empty"),
        ("issuer: https://id.contoso.com, name_claim: ''", "not 1 to 512 visible"),
        ("issuer: https://id.contoso.com }, { issuer: https://id.contoso.com", "the issuer is there already"),
        (f"issuer: https://sts.windows.net/{TENANT}/", "the issuer is there already"),
        (f"issuer: https://login.microsoftonline.com/{TENANT}/v2.0", "the issuer is there already"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused(oidc: str, says: str) -> None:
    found = problems(f"identity: {{ entra: {{ {ENTRA} }}, oidc: [{{ {oidc} }}] }}")
    assert [problem for problem in found if says in problem], found


def test_a_list_of_no_issuers_is_not_taken_for_one_that_is_left_out() -> None:
    assert problems("identity: { oidc: [] }") == ["1:19: oidc is empty (write at least one, or remove the key)"]


def test_a_list_with_one_bad_item_is_told_once() -> None:
    (found,) = problems(f"identity: {{ entra: {{ tenant_id: {TENANT}, audiences: ['a b'] }} }}")
    assert "audiences[0] is not 1 to 512 visible ASCII characters" in found


def test_another_issuers_secret_may_look_like_an_id() -> None:
    text = f"issuer: https://id.contoso.com, sign_in: {{ client_id: x, client_secret: {OTHER} }}"
    (one,) = read(f"public_url: https://mcp.contoso.com\nidentity: {{ oidc: [{{ {text} }}] }}").identity.oidc
    assert one.sign_in == BrowserSignIn.model_construct(client_id="x", client_secret=Secret(OTHER))


def test_a_url_that_cannot_be_trusted_is_told_where_it_stands() -> None:
    text = f"""
identity:
  entra:
    tenant_id: {TENANT}
    audiences: [x]
    authority: https://127.0.0.1:8443
  oidc:
    - audiences: [x]
      issuer: http://id.contoso.com
      keys_url: https://10.0.0.1/keys
    - issuer: http://id.fabrikam.com
      private: "true"
azure: {{ tenant_id: {TENANT}, authority: https://10.0.0.1 }}
"""
    public, https = "(say `private: true` if this is your own server)", "(use https, or say `private: true`)"
    assert sorted(problems(text), key=lambda line: int(line.partition(":")[0])) == [
        f"6:16: authority leads to 127.0.0.1, which is not a public address {public}",
        f"9:15: issuer is plain http, which shows the credential to the network {https}",
        f"10:17: keys_url leads to 10.0.0.1, which is not a public address {public}",
        "12:16: private must be true or false (without quotes)",
        f"13:70: authority leads to 10.0.0.1, which is not a public address {public}",
    ]


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
        (
            f"tenant_id: {TENANT}, identity: manged",
            "identity must be 'managed', 'workload' or 'environment' (did you mean managed?)",
        ),
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


@pytest.mark.parametrize("reached", ["listen: 0.0.0.0:80", "trusted_proxies: [10.0.0.7]"])
@pytest.mark.parametrize("issuer", [f"entra: {{ {ENTRA} }}", "oidc: [{ issuer: https://id.contoso.com }]"])
def test_where_others_can_call_clients_that_sign_in_are_told_a_public_url(issuer: str, reached: str) -> None:
    (found,) = problems(f"identity:\n  {issuer}\n{reached}")
    assert found.startswith("2:")
    assert "clients would be told that this is http://" in found
    assert found.endswith("where they cannot call (add public_url, like https://mcp.contoso.com)")
    assert not read(f"identity:\n  {issuer}\n{reached}\npublic_url: https://mcp.contoso.com").is_local
    assert read(f"identity:\n  {issuer}").is_local


def test_who_calls_and_who_mcpgov_is_wait_for_a_restart() -> None:
    assert not RELOADED & {"identity", "azure"}


def test_headers_in_which_callers_are_told_of_are_named_together() -> None:
    proxied = "trusted_proxies: [10.0.0.0/8]\nidentity: { key_headers: [X-Key], proxy: { user_header: X-User } }"
    assert read(proxied).identity.caller_headers == ("x-key", "x-user")
    assert Settings().identity.caller_headers == ("authorization", "x-api-key")
