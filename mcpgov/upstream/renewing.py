"""Renews a credential that the upstream refused (401), once, and asks again with the new one; never for a tools/call.

Rules: a refused credential is given back, so that the next call has a new one. What was refused is asked for again only
where that cannot do anything twice: a tools/call is told as refused, though it hardly ran. The same credential is not
shown a second time, and no other identity takes its place.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mcpgov.frozen import frozen
from mcpgov.upstream.answers import Answered
from mcpgov.upstream.retrying import SHORTEST

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, MCPRequest
    from mcpgov.upstream.retrying import Forwarder


@frozen
class Renewing:
    """A forwarder that asks once more with a renewed credential."""

    inner: Forwarder

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Send the request on, within the one time-out; entering gives the answer's head. Raises Refusal."""
        if credential.renewal is None:  # nor is there an exit stack for each open stream then
            async with self.inner.forward(request, connection, decision, credential) as answer:
                yield answer
            return
        clock = asyncio.get_running_loop().time
        timeout = decision.changes.timeout or connection.timeout
        deadline = clock() + timeout
        async with AsyncExitStack() as attempt:
            try:
                answer = await attempt.enter_async_context(
                    self.inner.forward(request, connection, decision, credential)
                )
            except Answered as refused:
                renewed = await renewal_of(credential, refused, request)
                if renewed is None:
                    raise
                left = max(SHORTEST, deadline - clock())
                once = replace(decision, changes=replace(decision.changes, timeout=left))
                answer = await attempt.enter_async_context(self.inner.forward(request, connection, once, renewed))
                answer = replace(answer, attempts=answer.attempts + 1)
            yield answer


async def renewal_of(credential: Credential, refused: Answered, request: MCPRequest) -> Credential | None:
    """The credential to ask again with; None where there is none, or where nothing may be asked again.

    Raises Refusal (credential-unavailable).
    """
    if refused.status != 401 or credential.renewal is None:
        return None
    credential.renewal.reject()
    if request.method == "tools/call":
        return None
    renewed = await credential.renewal.credential()
    return None if renewed.headers == credential.headers else renewed
