"""The generation in force as a request at /mcp sees it: the connections there are, and the gateway itself.

Rules: the gateway itself is the connection without a name; it sends nothing, has no credential and no policy, for what
it answers is made of members' answers, to which their policies, their pins and the caller's scope were applied. Nothing
of it is pinned: one caller's list would become the measure of another's. Pure.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from mcpgov.frozen import frozen
from mcpgov.models import Connection, RemoteUpstream
from mcpgov.pinning.mode import PinMode
from mcpgov.policy.compiled import ConnectionPolicy, compile_policy
from mcpgov.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.models import CallerScope, Principal

PATH: Final = "/mcp"


@frozen
class NoPolicy(ConnectionPolicy):
    """Nothing, whoever calls: a name at /mcp is not the name that a scope speaks of."""

    def bounded_by(self, scope: CallerScope) -> ConnectionPolicy:
        """The same."""
        del scope
        return self


@frozen
class WithAggregate(Snapshot):
    """`verdict` raises the Refusal of a request that was read and has nowhere to go."""

    verdict: Callable[[], None] = lambda: None

    def connection(self, name: str, principal: Principal) -> Connection:
        """The connection with this name, or the gateway itself. Raises Refusal."""
        self.verdict()
        if name:
            return Snapshot.connection(self, name, principal)
        url = self.settings.url
        return Connection("", "mcpgov", RemoteUpstream(url + PATH), pin=PinMode.OFF)

    def policy(self, connection: str) -> ConnectionPolicy:
        """The policy of a connection; none where the gateway answers."""
        return self.policies[connection] if connection else NoPolicy(**_shallow(compile_policy((), (), (), {})))


def with_aggregate(snapshot: Snapshot, verdict: Callable[[], None]) -> WithAggregate:
    """The same generation, seen by a request at /mcp."""
    return WithAggregate(**_shallow(snapshot), verdict=verdict)


def _shallow(value: Snapshot | ConnectionPolicy) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
