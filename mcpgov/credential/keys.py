"""The credentials that stand in the catalog: none at all, or the keys written with a connection.

Rules: a connection is given its own keys or the call is refused. There is no default credential, no other connection's,
and no going on without one: a key that is missing is a refusal, not an anonymous call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import AuthType, Credential

if TYPE_CHECKING:
    from mcpgov.models import Connection, Principal


class ConnectionKeys:
    """Stage 4 for authType None and CustomKeys."""

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        """The connection's own keys. Raises Refusal (credential-unavailable) when it should have some and has none."""
        del principal  # the keys are the connection's, whoever calls
        kind, reference = str(connection.auth_type), f"{connection.server}#{connection.name}"
        if connection.auth_type is AuthType.NONE:
            return Credential(kind, reference)
        if connection.auth_type is AuthType.CUSTOM_KEYS and connection.keys:
            return Credential(kind, reference, connection.keys)
        raise Refusal(
            Reason.CREDENTIAL_UNAVAILABLE,
            "The gateway has no credential for this connection.",
            detail=f"{reference} has authType {kind} and no keys",
        )
