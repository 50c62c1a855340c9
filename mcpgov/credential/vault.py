"""The vault: the tokens that users let mcpgov have, one entry for each user and connection, sealed at rest.

Rules: an entry opens for its own principal, connection and client alone, so that a row moved elsewhere in the store is
no entry at all; and a connection that becomes another client of another server asks anew. What was read is only ever
replaced as long as it still stands there: a renewal never brings back what was revoked meanwhile, and of two processes
that renew at once one wins.
Refuses to know: how tokens are had, and what a store is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from mcpgov.credential.sealing import Seal
from mcpgov.frozen import frozen
from mcpgov.models import RemoteUpstream, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.models import Connection, Json, OAuthClient

LABEL = "mcpgov vault 1"


@frozen
class Tokens:
    """What an authorization server issued. `expires_at` is in seconds since 1970; None where it did not say."""

    access: Secret
    expires_at: int | None = None
    refresh: Secret | None = None


@frozen
class SealedTokens:
    """A row of the vault. `client` is the digest of what the tokens were issued to."""

    principal: str
    connection: str
    client: str
    sealed: bytes = field(repr=False)
    updated_at: datetime


class TokenVault(Protocol):
    """Where sealed tokens are kept, and which links are used up. Every method raises StoreUnavailable."""

    async def find(self, principal: str, connection: str) -> SealedTokens | None:
        """The row of this principal at this connection."""
        ...

    async def keep(self, row: SealedTokens) -> None:
        """Keep a row, in place of the one that was there."""
        ...

    async def replace(self, before: SealedTokens, after: SealedTokens | None) -> bool:
        """Put `after` in the place of `before`, None deletes; False where something else or nothing stands there."""
        ...

    async def list(self, connection: str) -> Sequence[SealedTokens]:
        """Every row of this connection, by principal."""
        ...

    async def connections_of(self, principal: str) -> Sequence[str]:
        """Where this principal has a row, by name."""
        ...

    async def spend(self, ticket: str, expires_at: datetime, now: datetime) -> bool:
        """Use up a single-use id, which is forgotten after it expires; False if it was used up before."""
        ...

    async def is_spent(self, ticket: str) -> bool:
        """Whether a single-use id was used up."""
        ...


@frozen
class Entry:
    """An opened entry, and the row that it was read from."""

    tokens: Tokens
    row: SealedTokens = field(repr=False)


class Vault:
    """Seals what goes into the store, and opens what comes out. Every method raises StoreUnavailable."""

    def __init__(self, rows: TokenVault, key: bytes, now: Callable[[], datetime]) -> None:
        self.rows = rows
        self._seal = Seal(key, LABEL)
        self._now = now

    async def find(self, principal: str, connection: Connection, oauth: OAuthClient) -> Entry | None:
        """The entry of this principal, if it was made for this very connection and client."""
        row = await self.rows.find(principal, connection.name)
        client = client_digest(connection, oauth)
        if row is None or row.client != client:
            return None
        plain = self._seal.open(row.sealed, principal, connection.name, client)
        return None if plain is None else Entry(_tokens(plain), row)

    async def keep(self, principal: str, connection: Connection, oauth: OAuthClient, tokens: Tokens) -> None:
        """Keep tokens, whatever was there before."""
        await self.rows.keep(self._row(principal, connection.name, client_digest(connection, oauth), tokens))

    async def renew(self, entry: Entry, tokens: Tokens) -> bool:
        """Replace an entry's tokens; False where it is no longer what it was."""
        old = entry.row
        return await self.rows.replace(old, self._row(old.principal, old.connection, old.client, tokens))

    async def drop(self, entry: Entry) -> bool:
        """Delete an entry; False where it is no longer what it was."""
        return await self.rows.replace(entry.row, None)

    async def spend(self, ticket: str, expires_at: datetime) -> bool:
        """Use up a single-use id; False if it was used up before."""
        return await self.rows.spend(ticket, expires_at, self._now())

    async def is_spent(self, ticket: str) -> bool:
        """Whether a single-use id was used up."""
        return await self.rows.is_spent(ticket)

    def _row(self, principal: str, connection: str, client: str, tokens: Tokens) -> SealedTokens:
        plain: dict[str, Json] = {
            "access": tokens.access.reveal(),
            "expires": tokens.expires_at,
            "refresh": tokens.refresh.reveal() if tokens.refresh else None,
        }
        sealed = self._seal.close(plain, principal, connection, client)
        return SealedTokens(principal, connection, client, sealed, self._now())


def client_digest(connection: Connection, oauth: OAuthClient) -> str:
    """What a user consents to, as one text: whom mcpgov is there, where it goes for tokens, and who receives them.

    Not the client's secret, which is rotated without asking anybody.
    """
    upstream = connection.upstream
    server = "{0.scheme}://{0.netloc}".format(urlsplit(upstream.url)) if isinstance(upstream, RemoteUpstream) else ""
    parts = (
        *(connection.server, server, oauth.client_id, oauth.token_url, oauth.authorization_url),
        *(oauth.refresh_url, oauth.revocation_url, sorted(oauth.scopes), oauth.resource),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _tokens(plain: Mapping[str, Json]) -> Tokens:
    access, expires, refresh = plain["access"], plain["expires"], plain["refresh"]
    return Tokens(
        Secret(str(access)),
        expires if isinstance(expires, int) else None,
        Secret(refresh) if isinstance(refresh, str) else None,
    )
