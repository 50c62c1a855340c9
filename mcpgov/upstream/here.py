"""Stage 6 for one call that mcpgov may answer itself: what is for a connection goes on, what is for none is answered.

Decides nothing: a connection without a name is the gateway itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, MCPRequest


class Upstream(Protocol):
    """What sends requests on."""

    def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request on. Raises Refusal."""
        ...


@frozen
class Here:
    """Implements pipeline.Upstream: `answer` stands for the gateway itself, `usual` for everybody else."""

    usual: Upstream
    answer: Callable[[MCPRequest], AbstractAsyncContextManager[Answer]]

    def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AbstractAsyncContextManager[Answer]:
        """Send the request on, or answer it. Raises Refusal."""
        if connection.name:
            return self.usual.forward(request, connection, decision, credential)
        return self.answer(request)
