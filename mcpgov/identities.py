"""Who calls, and with whose credential, put together: authenticators, sources of credentials, pages of consent.

The second half of the composition root: app.py hands it the stores and what Azure gives to a host, and takes what the
stages need. Nobody else imports it.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mcpgov.audit.record import ControlEvent
from mcpgov.credential.browser_sign_in import BrowserSignIns
from mcpgov.credential.cache import TokenCache
from mcpgov.credential.consent import Consents
from mcpgov.credential.entra_tokens import EntraTokens
from mcpgov.credential.keys import ConnectionKeys
from mcpgov.credential.oauth import OAuthTokens
from mcpgov.credential.source import CredentialSources, Microsoft
from mcpgov.credential.tickets import ConsentLinks
from mcpgov.credential.token_endpoint import TokenEndpoint
from mcpgov.credential.vault import TokenVault, Vault
from mcpgov.endpoint.consent_pages import ConsentPages
from mcpgov.endpoint.metadata import accepted_audiences
from mcpgov.frozen import frozen
from mcpgov.identity.api_key import ApiKeyAuthenticator, KeyStore
from mcpgov.identity.authenticator import AUTHORIZATION, Authentication
from mcpgov.identity.client_ip import source_address
from mcpgov.identity.entra_token import EntraAuthenticator
from mcpgov.identity.key_lookups import KeyLookups
from mcpgov.identity.key_uses import noting_uses
from mcpgov.identity.oidc_token import OidcAuthenticator
from mcpgov.identity.signing_keys import KeySource, SigningKeys
from mcpgov.models import Headers, RequestHead, Secret
from mcpgov.policy_tokens import PolicyTokens
from mcpgov.stage_settings import (
    azure_identity,
    browser_sign_ins,
    entra_consent,
    entra_tenant,
    oidc_issuer,
    private_origins,
    public_url_of,
    resource_metadata,
    sites_of,
    trusted_proxy,
)
from mcpgov.trust import system_trust
from mcpgov.web import GuardedWeb
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcpgov.credential.oauth import Consent, Revoked
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.identity_settings import Identity
    from mcpgov.json_web_token import KeySet
    from mcpgov.models import Connection, Principal
    from mcpgov.snapshot import Snapshot
    from mcpgov.web import Web

AzureHosts = Callable[["AzureIdentity", ssl.SSLContext], "HostIdentity"]


class Note(Protocol):
    """Writes a control event down."""

    async def __call__(self, event: ControlEvent, /, **details: str | int) -> None:
        """Write one down. Raises StoreUnavailable."""
        ...


class Closing(Protocol):
    """What is closed at the end."""

    def close(self) -> None:
        """Close it."""
        ...


class Keys(KeyStore, Closing, Protocol):
    """The gateway keys."""


class Rows(TokenVault, Closing, Protocol):
    """The sealed tokens of users."""


@frozen
class IdentityParts:
    """What identities are made of. `material` is the secret that tokens and tickets are sealed under."""

    current: Callable[[], Snapshot]
    keys: Keys
    rows: Rows
    material: bytes
    now: Callable[[], datetime]

    def connection(self, name: str) -> Connection | None:
        """A connection that is in force."""
        return self.current().connections.get(name)

    def close(self) -> None:
        """Close the stores."""
        self.rows.close()
        self.keys.close()


@frozen
class Identities:
    """Who calls, with whose credential, and the pages where people consent."""

    authentication: Authentication
    sources: CredentialSources
    tokens: PolicyTokens
    pages: ConsentPages


@frozen
class UserConsents:
    """What users have let us have: how it is asked for, kept, and got again."""

    links: ConsentLinks
    vault: Vault
    endpoint: TokenEndpoint
    oauth: OAuthTokens


def user_consents(parts: IdentityParts, web: Web, cache: TokenCache) -> UserConsents:
    """The tokens of users, over the vault."""
    settings = parts.current().settings
    links = ConsentLinks(public_url_of(settings), parts.material, browser_sign_ins(settings.identity), parts.now)
    endpoint, vault = TokenEndpoint(web, parts.now), Vault(parts.rows, parts.material, parts.now)
    return UserConsents(links, vault, endpoint, OAuthTokens(vault, endpoint, links, cache))


@asynccontextmanager
async def identities(parts: IdentityParts, hosts: AzureHosts, note: Note) -> AsyncGenerator[Identities]:
    """Everything that proves who somebody is: callers to us, and we to upstreams."""
    settings = parts.current().settings
    tls = system_trust()
    web, cache = GuardedWeb(tls), TokenCache(parts.now)
    signing = SigningKeys(web, parts.now, private_origins(settings.identity))
    azure = azure_identity(settings.azure) if settings.azure else None
    microsoft = azure and Microsoft(azure, EntraTokens(azure, web, hosts(azure, tls), cache, parts.now))
    users = user_consents(parts, web, cache)
    sources = CredentialSources(ConnectionKeys(), cache, users.links, users.oauth, microsoft)
    try:
        async with noting_uses(parts.keys) as uses:
            by_key = ApiKeyAuthenticator(KeyLookups(parts.keys), settings.identity.key_headers, parts.now, uses)
            consents = Consents(
                links=users.links,
                vault=users.vault,
                tokens=users.endpoint,
                browsers=BrowserSignIns(web, users.endpoint, browser_keys(settings.identity, signing), parts.now),
                connection=parts.connection,
                key_holder=partial(holder_of, by_key),
                note=partial(noted, note),
                entra=entra_consent(settings.azure),
                now=parts.now,
            )
            yield Identities(
                authentication_of(parts, by_key, signing),
                sources,
                PolicyTokens(signing, sources, users.oauth, parts.connection),
                ConsentPages(
                    consents,
                    public_url_of(settings),
                    sites_of(settings),
                    lambda peer, forwarded: source_address(peer, forwarded, settings.trusted_proxies),
                ),
            )
    finally:
        await signing.aclose()
        await cache.close()
        parts.close()


def browser_keys(identity: Identity, signing: SigningKeys) -> Callable[[str, str], Awaitable[KeySet]]:
    """The keys of who signs a browser in, by its configuration: those that callers' tokens are checked with."""
    issuers = [oidc_issuer(one) for one in identity.oidc]
    sources = {issuer.configuration_url: issuer.keys for issuer in issuers}

    async def keys(configuration_url: str, kid: str) -> KeySet:
        return await signing.of(sources.get(configuration_url, KeySource(configuration_url)), kid)

    return keys


def authentication_of(parts: IdentityParts, by_key: ApiKeyAuthenticator, signing: SigningKeys) -> Authentication:
    """Who may come in, in the documented order: gateway keys, Entra, the OIDC issuers as written, a proxy's word."""
    settings = parts.current().settings
    identity, entra = settings.identity, settings.identity.entra
    by_token = (
        *(
            [EntraAuthenticator(entra_tenant(entra), signing, audiences(parts, entra.issuers[1]), parts.now)]
            if entra
            else []
        ),
        *(
            OidcAuthenticator(oidc_issuer(one), signing, audiences(parts, one.issuer), parts.now)
            for one in identity.oidc
        ),
    )
    return Authentication((by_key, *by_token), identity.key_headers, identity.allow_anonymous, trusted_proxy(settings))


def audiences(parts: IdentityParts, issuer: str) -> Callable[[str], tuple[str, ...]]:
    """For whom an issuer's tokens may be made out, by the name of the connection that is called."""
    metadata = resource_metadata(parts.current().settings)

    def at(name: str) -> tuple[str, ...]:
        connection = parts.connection(name)
        own = (connection.client_audience,) if connection and connection.client_audience else ()
        return (*(accepted_audiences(metadata, issuer, name) if metadata else ()), *own)

    return at


async def holder_of(by_key: ApiKeyAuthenticator, key: Secret) -> Principal:
    """Whose gateway key this is. Raises Refusal where it does not hold."""
    headers = Headers(((AUTHORIZATION, f"Bearer {key.reveal()}"),))
    head = RequestHead("POST", "", headers, "", "", by_key.now(), "")
    return await Authentication((replace(by_key, headers=(AUTHORIZATION,)),), (AUTHORIZATION,)).identify(head)


async def noted(note: Note, event: str, details: Mapping[str, str]) -> None:
    """Write down what a person allowed or refused. Raises StoreUnavailable."""
    await note(ControlEvent(event), **details)


@frozen
class RecordedConsents:
    """The consents that are kept; that one was taken back is written down."""

    parts: IdentityParts
    oauth: OAuthTokens
    note: Note

    async def consents(self, connection: str) -> Sequence[Consent]:
        """Those of one connection. Raises StoreUnavailable."""
        return await self.oauth.consents(connection)

    def nobody_can(self, connection: str) -> str:
        """Why no user consents at a connection, and the mend; empty where users do."""
        found, known = self.parts.connection(connection), self.parts.current().connections
        if found is None:
            mend = nearest(connection, known) if known else "the catalog has no connection yet"
            return f"There is no connection {connection} ({mend})."
        oauth = found.sign_in.oauth
        if oauth and oauth.per_user:
            return ""
        return f"No user consents at {connection}: that is for authType OAuth2, without grant: client_credentials."

    async def revoke(self, connection: str, principal: str) -> Revoked:
        """Take one back, and write that down. Raises StoreUnavailable."""
        if principal in {consent.principal for consent in await self.oauth.consents(connection)}:
            await self.note(ControlEvent.CONSENT_REVOKED, connection=connection, principal=principal)
        return await self.oauth.revoke(self.parts.connection(connection), connection, principal)


@asynccontextmanager
async def kept_consents(parts: IdentityParts, note: Note) -> AsyncGenerator[RecordedConsents]:
    """The consents in the store, beside a gateway that may be running."""
    cache = TokenCache(parts.now)
    try:
        yield RecordedConsents(parts, user_consents(parts, GuardedWeb(), cache).oauth, note)
    finally:
        await cache.close()
        parts.close()
