"""Where policies get keys and tokens from: the places that the stages get theirs from. Implements effects.Tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.decision import FetchKeys, GetAuthorization, GetToken
    from mcpgov.json_web_token import KeySet
    from mcpgov.models import Connection, Secret


class Keys(Protocol):
    """Signing keys of issuers."""

    async def keys(self, url: str, kid: str = "") -> KeySet:
        """The keys that an OpenID configuration leads to. Raises Refusal (sign-in-unavailable)."""
        ...


class ManagedTokens(Protocol):
    """Tokens of mcpgov's own identities."""

    async def managed_token(self, resource: str, client_id: str) -> Secret:
        """A token for `resource`. Raises Refusal (credential-unavailable)."""
        ...


class Authorizations(Protocol):
    """Tokens that users have let mcpgov have."""

    async def authorization(self, connection: Connection, principal_id: str) -> Secret:
        """The principal's token at an OAuth2 connection. Raises Refusal."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyTokens:
    """`connection` finds one that is in force by its name."""

    signing: Keys
    managed: ManagedTokens
    users: Authorizations
    connection: Callable[[str], Connection | None]

    async def keys(self, effect: FetchKeys) -> KeySet:
        """Performs FetchKeys."""
        return await self.signing.keys(effect.url, effect.kid)

    async def token(self, effect: GetToken) -> Secret:
        """Performs GetToken."""
        return await self.managed.managed_token(effect.resource, effect.client_id)

    async def authorization(self, effect: GetAuthorization) -> Secret:
        """Performs GetAuthorization."""
        connection = self.connection(effect.provider)
        if connection is None or connection.sign_in.oauth is None:
            detail = f"{effect.provider} is no connection with authType OAuth2"
            raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "A token that a policy asks for cannot be had.", detail=detail)
        return await self.users.authorization(connection, effect.principal_id)
