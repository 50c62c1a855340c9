"""Access tokens, and who can get one: the words that the rooms of this stage share. Nothing here asks anybody.

Rule: a token is got for one purpose and one holder, and every way of getting one either gives exactly that or refuses.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, Self

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from mcpgov.models import Connection, Principal, Secret


@frozen
class AccessToken:
    """A bearer token (RFC 6750). From `refresh_at` on a new one is wanted, from `expires_at` on it is no token."""

    secret: Secret
    expires_at: datetime
    refresh_at: datetime

    @classmethod
    def lasting(cls, secret: Secret, seconds: float, now: datetime) -> Self:
        """One that was got `now`. It is renewed at half its life, so that its source may be away for the other half."""
        return cls(secret, now + timedelta(seconds=seconds), now + timedelta(seconds=seconds / 2))


@frozen
class EntraApp:
    """An app registration that mcpgov signs in as: by its secret, or federated where there is none."""

    client_id: str
    client_secret: Secret | None = None


@frozen
class AzureIdentity:
    """Who mcpgov is in Microsoft Entra.

    `identity` is the kind of identity that the host gives; `managed_identity` the client id of a user-assigned one.
    `app` acts on behalf of users, `blueprint` as its agent identities. `private` allows an authority of one's own.
    """

    tenant_id: str
    authority: str = "https://login.microsoftonline.com"
    private: bool = False
    identity: Literal["managed", "workload", "environment"] = "managed"
    managed_identity: str = ""
    app: EntraApp | None = None
    blueprint: EntraApp | None = None


class HostIdentity(Protocol):
    """The identity that the host gives to mcpgov."""

    async def token(self, scope: str, client_id: str) -> AccessToken:
        """A new token for `scope`; `client_id` chooses one of several identities. Raises Refusal."""
        ...


class MicrosoftTokens(Protocol):
    """Who gets tokens from Microsoft Entra. Every method asks anew and raises Refusal: credential-unavailable, and
    consent-required where a user has to agree first. `scope` is that of one resource, like https://x/.default.
    """

    async def managed(self, scope: str, client_id: str = "") -> AccessToken:
        """A token of the host's identity."""
        ...

    async def agent(self, agent_id: str, scope: str) -> AccessToken:
        """A token of an agent identity of our blueprint."""
        ...

    async def agent_for_user(self, agent_id: str, scope: str, assertion: Secret) -> AccessToken:
        """A token of an agent identity of our blueprint, on behalf of the user whose token `assertion` is."""
        ...

    async def on_behalf_of(self, scope: str, assertion: Secret) -> AccessToken:
        """A token of our app registration, on behalf of the user whose token `assertion` is."""
        ...


class OAuthTokens(Protocol):
    """Who gets and keeps the tokens of connections with authType OAuth2."""

    async def token(self, connection: Connection, principal: Principal) -> AccessToken:
        """The connection's token, of this principal where users consent.

        Raises Refusal: consent-required and user-required with a link, credential-unavailable.
        """
        ...

    def reject(self, connection: Connection, principal: Principal, token: AccessToken) -> None:
        """Note that the upstream refused this very token: the next call asks for a new one, if not too often."""
        ...
