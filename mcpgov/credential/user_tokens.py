"""The tokens that users let mcpgov have: a valid one for each call, renewed before it ends.

Rules: one renewal at a time for each entry, however many calls wait for it; a new token is in the vault before it is
used. A server that is down leaves a token that still holds in use, and is asked again after a while; only a server that
says that the grant is over, or a user who never gave one, leads to asking the user. A token that the upstream refused
is renewed once, and not again for a minute, so that a broken upstream cannot wear out the authorization server.
Refuses to know: who the principal is, and how a user is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcpgov.credential.cache import again
from mcpgov.credential.token_endpoint import GrantRefused
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mcpgov.credential.token_endpoint import TokenEndpoint
    from mcpgov.credential.vault import Entry, Tokens, Vault
    from mcpgov.models import Connection, OAuthClient, Secret

EARLY: Final = 60  # seconds before its end that a token is renewed; at half its life where that is shorter
BACK_OFF: Final = 5  # seconds before a server that failed is asked again for the same entry
BETWEEN_FORCED: Final = 60  # seconds between two renewals that an upstream's refusals lead to
MOST_TROUBLES: Final = 10_000
# The user's grant is over: RFC 6749 section 5.2, and what GitHub says instead.
OVER: Final = frozenset({"invalid_grant", "bad_refresh_token"})
Key = tuple[str, str, str]  # principal, connection, digest of the client


class ConsentNeeded(Exception):
    """There is no grant of this user, or no longer."""


@frozen
class Trouble:
    """What went wrong with an entry lately: the token that its upstream refused, and when what was last tried."""

    rejected: Secret | None = None
    forced_at: float = 0.0
    failed_at: float = 0.0


class UserTokens:
    """Gives each principal its own token at each connection, out of the vault."""

    def __init__(self, vault: Vault, endpoint: TokenEndpoint, now: Callable[[], datetime]) -> None:
        self._vault = vault
        self._endpoint = endpoint
        self._now = now
        self._renewals: dict[Key, asyncio.Task[Tokens | Refusal | None]] = {}
        self._troubles: dict[Key, Trouble] = {}

    async def get(self, connection: Connection, oauth: OAuthClient, principal: str) -> Tokens:
        """Tokens that hold. Raises ConsentNeeded, Refusal (credential-unavailable)."""
        try:
            entry = await self._vault.find(principal, connection, oauth)
        except StoreUnavailable as error:
            raise unavailable(f"the vault cannot be read: {error}") from error
        if entry is None:
            raise ConsentNeeded
        key = _key(entry)
        if not self._is_due(key, entry):
            return entry.tokens
        renewal = self._renewals.get(key)
        if renewal is None:
            renewal = asyncio.create_task(self._renewed(entry, connection, oauth))
            self._renewals[key] = renewal
            renewal.add_done_callback(lambda _: self._renewals.pop(key))
        outcome = await asyncio.shield(renewal)  # a caller that leaves does not take the others' renewal with it
        if outcome is None:
            raise ConsentNeeded
        if isinstance(outcome, Refusal):
            raise again(outcome)
        return outcome

    def reject(self, connection: Connection, client: str, principal: str, access: Secret) -> None:
        """Note that the upstream refused this very token."""
        key = (principal, connection.name, client)
        self._note(key, replace(self._trouble(key), rejected=access))

    def _is_due(self, key: Key, entry: Entry) -> bool:
        tokens, now, trouble = entry.tokens, self._now().timestamp(), self._trouble(key)
        if trouble.rejected == tokens.access and now - trouble.forced_at >= BETWEEN_FORCED:
            return True
        if tokens.expires_at is None:
            return False
        life = tokens.expires_at - entry.row.updated_at.timestamp()
        if now < tokens.expires_at - min(EARLY, life / 2):
            return False
        waiting = now - trouble.failed_at < BACK_OFF
        return not (self._holds(tokens) and (waiting or tokens.refresh is None))

    async def _renewed(self, entry: Entry, connection: Connection, oauth: OAuthClient) -> Tokens | Refusal | None:
        """The entry's next tokens, in the vault; None where the user has to be asked.

        A refusal is given back, not raised: many wait for it, or nobody.
        """
        key, now = _key(entry), self._now().timestamp()
        trouble = self._trouble(key)
        if trouble.rejected == entry.tokens.access:
            self._note(key, replace(trouble, forced_at=now))
        elif now - trouble.failed_at < BACK_OFF:
            return unavailable("the authorization server failed a moment ago")
        try:
            return await self._asked(entry, connection, oauth)
        except StoreUnavailable as error:
            return unavailable(f"the vault cannot be used: {error}")
        except (WebUnavailable, GrantRefused) as failure:
            self._note(key, replace(self._trouble(key), failed_at=now))
            return entry.tokens if self._holds(entry.tokens) else unavailable(f"the token was not renewed: {failure}")

    async def _asked(self, entry: Entry, connection: Connection, oauth: OAuthClient) -> Tokens | None:
        if entry.tokens.refresh is None:
            return await self._over(entry, connection, oauth)
        try:
            tokens = await self._endpoint.refresh(oauth, entry.tokens)
        except GrantRefused as refused:
            if refused.code not in OVER:
                raise
            return await self._over(entry, connection, oauth)
        if await self._vault.renew(entry, tokens):
            return tokens
        return await self._written_by_another(entry, connection, oauth)

    async def _over(self, entry: Entry, connection: Connection, oauth: OAuthClient) -> Tokens | None:
        """The grant is over, unless another process was faster and has what came after it."""
        return None if await self._vault.drop(entry) else await self._written_by_another(entry, connection, oauth)

    async def _written_by_another(self, entry: Entry, connection: Connection, oauth: OAuthClient) -> Tokens | None:
        """What another process renewed, or the user gave anew, meanwhile; None if it was revoked."""
        found = await self._vault.find(entry.row.principal, connection, oauth)
        return found and found.tokens

    def _holds(self, tokens: Tokens) -> bool:
        return tokens.expires_at is None or self._now().timestamp() < tokens.expires_at

    def _trouble(self, key: Key) -> Trouble:
        return self._troubles.get(key, Trouble())

    def _note(self, key: Key, trouble: Trouble) -> None:
        self._troubles.pop(key, None)
        self._troubles[key] = trouble
        if len(self._troubles) > MOST_TROUBLES:
            del self._troubles[next(iter(self._troubles))]


def unavailable(detail: str) -> Refusal:
    """The refusal of a call whose token cannot be had at the moment."""
    message = "The gateway cannot get a token for this server at the moment. Try again."
    return Refusal(Reason.CREDENTIAL_UNAVAILABLE, message, detail=detail)


def _key(entry: Entry) -> Key:
    return entry.row.principal, entry.row.connection, entry.row.client
