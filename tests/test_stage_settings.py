"""Each stage is told exactly what mcpgov.yaml says."""

from dataclasses import replace
from pathlib import Path

from mcpgov.buffers import Buffers
from mcpgov.endpoint.limits import UNTOLD
from mcpgov.models import AuthType, CallerToken, Connection, OAuthClient, RemoteUpstream, Secret, SignIn
from mcpgov.settings import Settings, parse_settings
from mcpgov.stage_settings import (
    answer_limits,
    azure_identity,
    browser_sign_ins,
    connection_limits,
    endpoint_settings,
    entra_consent,
    entra_tenant,
    oidc_issuer,
    private_origins,
    public_url_of,
    redirect_urls,
    registry_settings,
    resource_metadata,
    trusted_proxy,
)
from mcpgov.upstream.bounds import AnswerLimits

BUFFERS = Buffers()
GUID = "72f988bf-0000-4000-8000-2d7cd011db4{}"
SECRET = "3XkP9vQ2mL7tR4wZ8HjN5cY1"
FULL = f"""\
public_url: https://mcp.contoso.com
trusted_proxies: [10.0.0.0/8]
identity:
  entra:
    tenant_id: {GUID.format(1)}
    audiences: [api://mcpgov]
    authority: https://127.0.0.1:8443
    private: true
    scopes: [Mcp.Use]
    roles: [Mcp.Invoke]
    allowed: {{ object_ids: [{GUID.format(2)}] }}
    shared_agents: [{GUID.format(3)}]
    clock_skew: 5
    sign_in: {{ client_id: browser, client_secret: {SECRET} }}
  oidc:
    - issuer: https://issuer.example/
      audiences: [us]
      scopes: [read]
      project_claim: team
      sign_in: {{ client_id: c }}
    - {{ issuer: "http://127.0.0.1:9000", private: true, keys_url: "http://127.0.0.1:9001/keys", resource: gateway }}
  proxy: {{ user_header: X-User }}
azure:
  tenant_id: {GUID.format(1)}
  managed_identity: {GUID.format(4)}
  app: {{ client_id: {GUID.format(5)}, client_secret: {SECRET} }}
  blueprint: {{ client_id: {GUID.format(6)}, federated: true }}
"""


def full() -> Settings:
    return parse_settings(FULL, "mcpgov.yaml")


def test_without_a_public_url_callers_come_to_where_we_listen() -> None:
    assert public_url_of(Settings()) == "http://127.0.0.1:8080"
    assert public_url_of(parse_settings('listen: "[::1]:9000"', "mcpgov.yaml")) == "http://[::1]:9000"
    assert public_url_of(full()) == "https://mcp.contoso.com"


def test_where_people_are_sent_back_to_is_told_only_where_they_are() -> None:
    plain = Connection("city", "dev.mcpgov/city", RemoteUpstream("https://city.example/mcp"))
    client = OAuthClient("c", None, "https://as.example/token")
    consents = replace(plain, auth_type=AuthType.OAUTH2, sign_in=SignIn(oauth=client))
    itself = replace(consents, sign_in=SignIn(oauth=replace(client, per_user=False)))
    for_user = replace(plain, auth_type=AuthType.USER_ENTRA)
    second = replace(plain, sign_in=SignIn(caller_token=CallerToken("x-user", "api://a")))
    azure = parse_settings(f"public_url: https://mcp.contoso.com\n{FULL[FULL.index('azure:') :]}", "mcpgov.yaml")
    back = "https://mcp.contoso.com/oauth/callback"
    assert redirect_urls(full(), [plain]) == {"sign_in": back}
    assert redirect_urls(azure, [plain, itself]) == {}
    assert redirect_urls(azure, [consents]) == {"city": f"{back}/city"}
    assert redirect_urls(azure, [for_user]) == redirect_urls(azure, [second]) == {"azure.app": back}
    assert redirect_urls(Settings(), [for_user, second]) == {}


def test_metadata_is_there_only_where_tokens_are_accepted() -> None:
    assert resource_metadata(Settings()) is None
    assert endpoint_settings(Settings(), BUFFERS).metadata is None
    metadata = resource_metadata(full())
    assert metadata is not None
    assert endpoint_settings(full(), BUFFERS).metadata == metadata
    told = [(one.issuer, one.resource, one.scopes, one.entra) for one in metadata.servers]
    assert told == [
        (f"https://127.0.0.1:8443/{GUID.format(1)}/v2.0", "connection", ("Mcp.Use",), True),
        ("https://issuer.example/", "connection", ("read",), False),
        ("http://127.0.0.1:9000", "gateway", (), False),
    ]


def test_a_tenant_is_told_with_everything_that_is_asked_of_its_callers() -> None:
    entra = full().identity.entra
    assert entra is not None
    tenant = entra_tenant(entra)
    assert (tenant.tenant_id, tenant.audiences, tenant.clock_skew) == (GUID.format(1), ("api://mcpgov",), 5)
    assert (tenant.scopes, tenant.roles) == (("Mcp.Use",), ("Mcp.Invoke",))
    assert (tenant.allowed.object_ids, tenant.shared_agents) == ((GUID.format(2),), (GUID.format(3),))
    assert tenant.authority == "https://127.0.0.1:8443"


def test_an_issuer_is_told_as_it_is_written() -> None:
    first, second = map(oidc_issuer, full().identity.oidc)
    assert (first.issuer, first.audiences, first.scopes) == ("https://issuer.example/", ("us",), ("read",))
    assert (first.project_claim, first.name_claim, first.roles_claim) == ("team", "name", "roles")
    assert second.keys_url == "http://127.0.0.1:9001/keys"


def test_only_issuers_that_say_so_may_be_private() -> None:
    assert private_origins(full().identity) == (
        "https://127.0.0.1:8443",
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9001",
    )
    assert private_origins(Settings().identity) == ()


def test_a_proxy_is_believed_only_where_one_is_named() -> None:
    assert trusted_proxy(Settings()) is None
    proxy = trusted_proxy(full())
    assert proxy is not None
    assert (proxy.user_header, proxy.certificate_header) == ("x-user", "")
    assert [str(network) for network in proxy.proxies] == ["10.0.0.0/8"]


def test_browsers_sign_in_where_we_are_registered() -> None:
    entra, oidc = browser_sign_ins(full().identity)
    assert entra.issuer == f"https://127.0.0.1:8443/{GUID.format(1)}/v2.0"
    assert entra.configuration_url == f"{entra.issuer}/.well-known/openid-configuration"
    assert (entra.client_id, entra.client_secret, entra.tenant_id) == ("browser", Secret(SECRET), GUID.format(1))
    assert oidc.configuration_url == "https://issuer.example/.well-known/openid-configuration"
    assert (oidc.issuer, oidc.client_secret, oidc.tenant_id) == ("https://issuer.example/", None, "")
    assert browser_sign_ins(Settings().identity) == ()


def test_who_we_are_in_entra_is_told_with_both_registrations() -> None:
    azure = full().azure
    assert azure is not None
    identity = azure_identity(azure)
    assert (identity.identity, identity.managed_identity) == ("managed", GUID.format(4))
    assert identity.app is not None
    assert (identity.app.client_id, identity.app.client_secret) == (GUID.format(5), Secret(SECRET))
    assert identity.blueprint is not None
    assert (identity.blueprint.client_id, identity.blueprint.client_secret) == (GUID.format(6), None)
    consent = entra_consent(azure)
    assert consent is not None
    assert consent.client_id == GUID.format(5)
    assert consent.authorization_url.endswith(f"/{GUID.format(1)}/oauth2/v2.0/authorize")


def test_without_a_registration_nobody_consents_at_entra(tmp_path: Path) -> None:
    assert entra_consent(None) is None
    alone = parse_settings(f"azure: {{ tenant_id: {GUID.format(1)} }}", str(tmp_path / "mcpgov.yaml")).azure
    assert alone is not None
    assert entra_consent(alone) is None
    assert azure_identity(alone).app is None


def test_the_registry_is_told_where_the_gateway_is_and_where_credentials_stand(tmp_path: Path) -> None:
    text = (
        "public_url: https://mcp.contoso.com\nidentity: { key_headers: [x-key] }\nexperimental: { server_cards: true }"
    )
    told = registry_settings(parse_settings(text, str(tmp_path / "mcpgov.yaml")))
    assert (told.gateway, told.places, told.cards) == ("https://mcp.contoso.com", ("authorization", "x-key"), True)
    plain = registry_settings(Settings())
    assert (plain.gateway, plain.metadata, plain.cards) == ("http://127.0.0.1:8080", None, False)


def test_a_connection_is_told_its_limits_and_without_settings_they_are_the_same() -> None:
    assert connection_limits(Settings()) == UNTOLD
    told = connection_limits(
        parse_settings("limits: { header_fields: 20, body_seconds: 7, connections: 99 }", "x.yaml")
    )
    assert (told.header_fields, told.pace.seconds, told.connections) == (20, 7, 99)
    assert endpoint_settings(full(), Buffers()).caller_headers == full().identity.caller_headers


def test_each_bound_of_an_answer_is_told() -> None:
    assert answer_limits(Settings()) == AnswerLimits()
    said = "answer_bytes: 1025, event_bytes: 1026, events: 17, answer_seconds: 2, stream_seconds: 3"
    settings = parse_settings(f"limits: {{ {said}, calls_per_upstream: 4 }}", "mcpgov.yaml")
    assert answer_limits(settings) == AnswerLimits(1025, 1026, 17, 2, 3, 4)
