"""The settings as each stage is told them: frozen values of the stage's own, so that no stage reads mcpgov.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.credential.browser_sign_in import BrowserSignIn
from mcpgov.credential.consent import EntraConsent
from mcpgov.credential.tickets import redirect_url
from mcpgov.credential.tokens import AzureIdentity, EntraApp
from mcpgov.decision import GetToken
from mcpgov.destinations import origin
from mcpgov.endpoint.asgi import EndpointSettings
from mcpgov.endpoint.limits import ConnectionLimits, Pace, Sites
from mcpgov.endpoint.metadata import AuthorizationServer, ResourceMetadata
from mcpgov.event_hubs import Hub, Signature
from mcpgov.event_hubs import Identity as OwnIdentity
from mcpgov.identity.entra_token import AllowedCallers, EntraTenant
from mcpgov.identity.oidc_token import CONFIGURATION, OidcIssuer
from mcpgov.identity.trusted_proxy import TrustedProxy
from mcpgov.models import AuthType
from mcpgov.places import Most, Places
from mcpgov.publish.offer import key_header
from mcpgov.registry.asgi import RegistrySettings
from mcpgov.strict_json import JsonLimits
from mcpgov.upstream.bounds import AnswerLimits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.buffers import Buffers
    from mcpgov.identity_settings import App, Azure, Entra, Identity, Oidc
    from mcpgov.limit_settings import Limits
    from mcpgov.models import Connection, Secret
    from mcpgov.policy_tokens import PolicyTokens
    from mcpgov.settings import Settings

EVENT_HUBS = "https://eventhubs.azure.net"  # what a token for Event Hubs is made out for


def public_url_of(settings: Settings) -> str:
    """Where callers reach us: scheme and host, without a slash at its end."""
    return settings.url


def other_urls(settings: Settings, base: str) -> dict[str, str]:
    """What is served besides each connection, where the gateway is called at `base`: the aggregate if there is one, and
    the registry.
    """
    aggregate = {"aggregate": f"{base}/mcp"} if settings.aggregate else {}
    return {**aggregate, "registry": f"{base}/v0.1/servers"}


def redirect_urls(settings: Settings, connections: Iterable[Connection]) -> dict[str, str]:
    """What has to stand as redirect URL in the registrations that people are sent back from, by what names them:
    `sign_in`, `azure.app`, or the OAuth2 connection.
    """
    base, every = public_url_of(settings), tuple(connections)
    at_entra = (one.auth_type is AuthType.USER_ENTRA or one.sign_in.caller_token is not None for one in every)
    found = {"sign_in": redirect_url(base)} if any(settings.identity.sign_ins) else {}
    if entra_consent(settings.azure) is not None and any(at_entra):
        found["azure.app"] = redirect_url(base)
    asking = (one.name for one in every if one.sign_in.oauth is not None and one.sign_in.oauth.per_user)
    return found | {name: redirect_url(base, name) for name in asking}


def endpoint_settings(settings: Settings, buffers: Buffers) -> EndpointSettings:
    """What the data plane is told."""
    limits = settings.limits
    return EndpointSettings(
        limits=JsonLimits(body=limits.body_bytes, depth=limits.depth, keys=limits.keys, string=limits.string_bytes),
        sites=sites_of(settings),
        trusted_proxies=settings.trusted_proxies,
        pace=Pace(limits.body_seconds, limits.body_rate),
        caller_headers=settings.identity.caller_headers,
        metadata=resource_metadata(settings),
        buffers=buffers,
    )


def places(limits: Limits) -> Places:
    """The places for what is under way at once."""
    return Places(
        Most(
            calls=limits.calls,
            calls_per_caller=limits.calls_per_caller,
            calls_per_upstream=limits.calls_per_upstream,
            streams=limits.streams,
            streams_per_caller=limits.streams_per_caller,
        )
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """What the server underneath is told of each connection."""
    limits = settings.limits
    return ConnectionLimits(
        header_fields=limits.header_fields,
        header_bytes=limits.header_bytes,
        header_seconds=limits.header_seconds,
        idle_seconds=limits.idle_seconds,
        connections=limits.connections,
        pace=Pace(limits.body_seconds, limits.body_rate),
    )


def answer_limits(settings: Settings) -> AnswerLimits:
    """How much an answer may be, and how many of them there may be at one upstream."""
    limits = settings.limits
    return AnswerLimits(
        answer_bytes=limits.answer_bytes,
        event_bytes=limits.event_bytes,
        events=limits.events,
        answer_seconds=limits.answer_seconds,
        stream_seconds=limits.stream_seconds,
        open_calls=limits.calls_per_upstream,
    )


def registry_settings(settings: Settings) -> RegistrySettings:
    """What the registry is told."""
    return RegistrySettings(
        gateway=public_url_of(settings),
        places=tuple(dict.fromkeys(("authorization", *settings.identity.caller_headers))),
        trusted_proxies=settings.trusted_proxies,
        metadata=resource_metadata(settings),
        cards=settings.experimental.server_cards,
        header=key_header(settings.identity.key_headers),
    )


def sites_of(settings: Settings) -> Sites:
    """The names by which we may be called."""
    return Sites.of(settings.listen.host, settings.public_url or "")


def resource_metadata(settings: Settings) -> ResourceMetadata | None:
    """What clients that sign in are told; None where no issuer of tokens is configured."""
    entra, oidc = settings.identity.entra, settings.identity.oidc
    servers = (
        *([AuthorizationServer(entra.issuers[1], entra.resource, entra.scopes, entra=True)] if entra else []),
        *(AuthorizationServer(one.issuer, one.resource, one.scopes) for one in oidc),
    )
    return ResourceMetadata(public_url_of(settings), servers) if servers else None


def entra_tenant(entra: Entra) -> EntraTenant:
    """Whose tokens are accepted."""
    allowed = entra.allowed
    return EntraTenant(
        entra.tenant_id,
        entra.audiences,
        entra.authority,
        entra.scopes,
        entra.roles,
        AllowedCallers(allowed.object_ids, allowed.app_ids, allowed.blueprint_ids, allowed.roles),
        entra.shared_agents,
        entra.clock_skew,
    )


def oidc_issuer(oidc: Oidc) -> OidcIssuer:
    """Whose tokens are accepted."""
    return OidcIssuer(
        oidc.issuer,
        oidc.audiences,
        oidc.keys_url,
        oidc.scopes,
        oidc.name_claim,
        oidc.project_claim,
        oidc.roles_claim,
        oidc.app_claim,
        oidc.clock_skew,
    )


def trusted_proxy(settings: Settings) -> TrustedProxy | None:
    """The proxies whose word on callers is taken; None where there are none."""
    proxy = settings.identity.proxy
    if proxy is None:
        return None
    return TrustedProxy(settings.trusted_proxies, proxy.user_header, proxy.certificate_header, proxy.certificates)


def private_origins(identity: Identity) -> tuple[str, ...]:
    """The origins of issuers that may have addresses of our own network."""
    entra = [identity.entra.authority] if identity.entra and identity.entra.private else []
    urls = [*entra, *(url for one in identity.oidc if one.private for url in (one.issuer, one.keys_url) if url)]
    found = [origin(url) for url in urls]
    return tuple(f"{scheme}://{host}:{port}" for scheme, host, port in (one for one in found if one))


def browser_sign_ins(identity: Identity) -> tuple[BrowserSignIn, ...]:
    """The registrations of mcpgov itself, for consent pages to know who opened them."""
    made: list[BrowserSignIn] = []
    if (entra := identity.entra) and (client := entra.sign_in):
        issuer = entra.issuers[1]
        made.append(
            BrowserSignIn(
                issuer,
                issuer + CONFIGURATION,
                client.client_id,
                client.client_secret,
                entra.tenant_id,
                entra.private,
            )
        )
    for one in identity.oidc:
        if client := one.sign_in:
            configuration = oidc_issuer(one).configuration_url
            made.append(
                BrowserSignIn(one.issuer, configuration, client.client_id, client.client_secret, private=one.private)
            )
    return tuple(made)


def azure_identity(azure: Azure) -> AzureIdentity:
    """Who mcpgov is in Microsoft Entra."""
    return AzureIdentity(
        azure.tenant_id,
        azure.authority,
        azure.private,
        azure.identity,
        azure.managed_identity,
        _entra_app(azure.app),
        _entra_app(azure.blueprint),
    )


def event_hubs(settings: Settings, tokens: PolicyTokens) -> dict[str, Hub]:
    """The event hubs that policies log to, by name, each with what it is shown."""

    async def token() -> Secret:
        return (await tokens.token(GetToken(EVENT_HUBS))).secret

    found: dict[str, Hub] = {}
    for name, hub in settings.loggers.items():
        key = hub.shared_key
        found[name] = Hub(hub.to, Signature(key.name, key.key) if key else OwnIdentity(token), hub.private)
    return found


def entra_consent(azure: Azure | None) -> EntraConsent | None:
    """Where users consent to what mcpgov's own registration asks for; None where it has none."""
    if azure is None or azure.app is None:
        return None
    return EntraConsent(f"{azure.authority}/{azure.tenant_id}/oauth2/v2.0/authorize", azure.app.client_id)


def _entra_app(app: App | None) -> EntraApp | None:
    return EntraApp(app.client_id, app.client_secret) if app else None
