"""What a policy may look at: the request, who makes it, and the connection it is made on. Refuses to know the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpgov.models import Connection, MCPRequest, Principal


@dataclass(frozen=True, slots=True)
class Context:
    """One request as policies see it."""

    request: MCPRequest
    principal: Principal
    connection: Connection

    def calling(self, tool: str) -> Context:
        """The same caller calling `tool` without arguments: what is asked when a list of tools is filtered."""
        request = replace(self.request, method="tools/call", name=tool, params={})
        return replace(self, request=request)
