"""Stage 6 as the pipeline sees it: remote or local, by what the connection's catalog entry says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcpgov.models import LocalUpstream
from mcpgov.upstream.bounds import AnswerLimits, Bounded
from mcpgov.upstream.breaking import Breaking
from mcpgov.upstream.renewing import Renewing
from mcpgov.upstream.retrying import Retrying
from mcpgov.upstream.traced import traced

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, MCPRequest
    from mcpgov.upstream.forward import RemoteForwarder
    from mcpgov.upstream.local import LocalForwarder


class Upstreams:
    """Implements pipeline.Upstream over both forwarders. `sleep` waits so many seconds, between attempts."""

    def __init__(
        self,
        remote: RemoteForwarder,
        local: LocalForwarder,
        limits: AnswerLimits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits or AnswerLimits()
        self._remote = remote
        self._breaking = Breaking(remote)
        self._local = local
        self._sleep = sleep

    def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AbstractAsyncContextManager[Answer]:
        """Send the request on; entering gives the answer's head, leaving closes what is left. Raises Refusal."""
        chosen = self._local if isinstance(connection.upstream, LocalUpstream) else self._breaking
        bounded = Bounded(Renewing(Retrying(chosen, self._sleep)), self._limits)
        return bounded.forward(traced(request), connection, decision, credential)

    async def update(self, connections: Iterable[Connection]) -> None:
        """Keep what these connections use; called after each reload. What else is open ends with its last call."""
        kept = tuple(connections)
        self._breaking.update(kept)
        await self._remote.update(kept)
        await self._local.update(kept)

    async def close(self) -> None:
        """Close sockets and end local servers; calls that run get upstream-reset."""
        await asyncio.gather(self._remote.close(), self._local.close())
