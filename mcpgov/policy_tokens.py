"""Where policies get keys and tokens from: the places that the stages get theirs from. Implements effects.Tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Issued
from mcpgov.policy.glob import compile_wildcards

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

    async def managed_token(self, resource: str, client_id: str) -> Issued:
        """A token for `resource`. Raises Refusal (credential-unavailable)."""
        ...


class Authorizations(Protocol):
    """Tokens that users have let mcpgov have."""

    async def authorization(self, connection: Connection, principal_id: str) -> Secret:
        """The principal's token at an OAuth2 connection. Raises Refusal."""
        ...


@frozen
class PolicyTokens:
    """`connection` finds one that is in force by its name."""

    signing: Keys
    managed: ManagedTokens
    users: Authorizations
    connection: Callable[[str], Connection | None]

    async def keys(self, effect: FetchKeys) -> KeySet:
        """Performs FetchKeys."""
        return await self.signing.keys(effect.url, effect.kid)

    async def token(self, effect: GetToken) -> Issued:
        """Performs GetToken."""
        return await self.managed.managed_token(effect.resource, effect.client_id)

    async def authorization(self, effect: GetAuthorization) -> Issued:
        """Performs GetAuthorization."""
        connection = self.connection(effect.provider)
        if effect.scope is not None and effect.provider not in compile_wildcards(effect.scope):
            raise _not_to_be_had(f"the scope of the caller's key does not have the connection {effect.provider}")
        oauth = connection.sign_in.oauth if connection else None
        if connection is None or oauth is None:
            raise _not_to_be_had(f"{effect.provider} is no connection with authType OAuth2")
        secret = await self.users.authorization(connection, effect.principal_id)
        whose = f"{effect.provider} for {effect.principal_id}" if oauth.per_user else effect.provider
        return Issued(secret, whose, oauth.resource)


def _not_to_be_had(detail: str) -> Refusal:
    return Refusal(Reason.CREDENTIAL_UNAVAILABLE, "A token that a policy asks for cannot be had.", detail=detail)
