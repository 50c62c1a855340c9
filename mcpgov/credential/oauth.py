"""authType OAuth2: the token of the calling user where users consent, else that of the connection itself.

Rules: only a principal that stands for one person or one holder may own a consent; every other one is told so, and
never gets somebody's token. A user who has not consented, or whose grant is over, is given a link. A connection that
signs in for itself never uses a user's token, nor the other way round.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.credential.cache import TokenCache, TokenKey, no_token
from mcpgov.credential.tickets import stands_for_one
from mcpgov.credential.token_endpoint import GrantRefused
from mcpgov.credential.tokens import AccessToken
from mcpgov.credential.user_tokens import ConsentNeeded, UserTokens
from mcpgov.credential.vault import client_digest
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import AuthType, Secret
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from mcpgov.credential.tickets import ConsentLinks
    from mcpgov.credential.token_endpoint import TokenEndpoint
    from mcpgov.credential.vault import Tokens, Vault
    from mcpgov.models import Connection, OAuthClient, Principal

UNTOLD_LIFE: Final = timedelta(hours=1)  # of a token whose end the server did not tell; a 401 ends it earlier


@frozen
class Consent:
    """One user's consent, as operators see it: whose, for which connection, and when it was given or last renewed."""

    principal: str
    connection: str
    updated_at: datetime


@frozen
class Revoked:
    """What came of a revocation: whether there was a consent, and whether its server took notice of the end."""

    found: bool
    at_server: bool = False


class OAuthTokens:
    """The tokens of connections with authType OAuth2."""

    def __init__(self, vault: Vault, endpoint: TokenEndpoint, links: ConsentLinks, cache: TokenCache) -> None:
        self._vault = vault
        self._endpoint = endpoint
        self._links = links
        self._cache = cache
        self._now = endpoint.now
        self._users = UserTokens(vault, endpoint, endpoint.now)

    async def token(self, connection: Connection, principal: Principal) -> AccessToken:
        """The connection's token, of this principal where users consent.

        Raises Refusal: consent-required and user-required with a link, credential-unavailable.
        """
        oauth = _client(connection)
        if not oauth.per_user:
            return await self._of_connection(connection, oauth)
        if not stands_for_one(principal):
            raise self._links.user_required(connection)
        try:
            return self._access(await self._users.get(connection, oauth, principal.id))
        except ConsentNeeded:
            raise self._links.required(connection, principal) from None

    async def authorization(self, connection: Connection, principal_id: str) -> Secret:
        """The same for one of whom the id alone is known; there is no link for them. Raises Refusal."""
        oauth = _client(connection)
        if not oauth.per_user:
            return (await self._of_connection(connection, oauth)).secret
        try:
            return (await self._users.get(connection, oauth, principal_id)).access
        except ConsentNeeded:
            message = f"The caller has not let this gateway use {connection.name} on their behalf. Call that one first."
            raise Refusal(Reason.CONSENT_REQUIRED, message) from None

    def reject(self, connection: Connection, principal: Principal, token: AccessToken) -> None:
        """Note that the upstream refused this very token: the next call asks for a new one, if not too often."""
        oauth = _client(connection)
        if oauth.per_user:
            self._users.reject(connection, client_digest(connection, oauth), principal.id, token.secret)
        else:
            self._cache.reject(_key(connection, oauth), token)

    async def consents(self, connection: str) -> tuple[Consent, ...]:
        """Who has consented at this connection. Raises StoreUnavailable."""
        rows = await self._vault.rows.list(connection)
        return tuple(Consent(row.principal, row.connection, row.updated_at) for row in rows)

    async def revoke(self, connection: Connection | None, name: str, principal_id: str) -> Revoked:
        """End a consent: at its server where that can be asked, and here in any case. Raises StoreUnavailable.

        `connection` is None where the catalog no longer has it; then only what is kept here can be deleted.
        """
        row = await self._vault.rows.find(principal_id, name)
        oauth = connection.sign_in.oauth if connection else None
        at_server = False
        if row and connection and oauth and oauth.revocation_url:
            entry = await self._vault.find(principal_id, connection, oauth)
            at_server = entry is not None and await self._told(oauth, entry.tokens)
        while row and not await self._vault.rows.replace(row, None):  # it was renewed at this very moment
            row = await self._vault.rows.find(principal_id, name)
        return Revoked(row is not None, at_server)

    async def _told(self, oauth: OAuthClient, tokens: Tokens) -> bool:
        try:
            await self._endpoint.revoke(oauth, tokens)
        except (WebUnavailable, GrantRefused):
            return False
        return True

    async def _of_connection(self, connection: Connection, oauth: OAuthClient) -> AccessToken:
        async def fetch() -> AccessToken:
            try:
                return self._access(await self._endpoint.client_credentials(oauth))
            except (WebUnavailable, GrantRefused) as failure:
                raise no_token(f"no token by client credentials: {failure}") from None

        return await self._cache.get(_key(connection, oauth), fetch)

    def _access(self, tokens: Tokens) -> AccessToken:
        now = self._now()
        ends = now + UNTOLD_LIFE if tokens.expires_at is None else datetime.fromtimestamp(tokens.expires_at, UTC)
        return AccessToken.lasting(tokens.access, (ends - now).total_seconds(), now)


def _client(connection: Connection) -> OAuthClient:
    oauth = connection.sign_in.oauth
    if connection.auth_type is not AuthType.OAUTH2 or oauth is None:
        message = "The gateway has no credential for this connection."
        raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, message, detail=f"{connection.name} is no client of OAuth")
    return oauth


def _key(connection: Connection, oauth: OAuthClient) -> TokenKey:
    """The full tuple of a token by client credentials: whose, from where, for what."""
    return TokenKey(
        kind="client-credentials",
        tenant=oauth.token_url,
        connection=connection.name,
        audience=oauth.resource,
        scopes=oauth.scopes,
        identity=oauth.client_id,
        principal=client_digest(connection, oauth),
    )
