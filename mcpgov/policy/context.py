"""What a policy may look at: the request, who makes it, the connection it is made on; later the answer, or the refusal.

Refuses to know the rest.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Connection, MCPRequest, Principal


@frozen
class Context:
    """One request as policies see it.

    `withheld` names the header fields, besides the usual ones, in which a caller's credential may stand (`-` for `_`).
    """

    request: MCPRequest
    principal: Principal
    connection: Connection
    withheld: frozenset[str] = frozenset()

    def calling(self, tool: str) -> Context:
        """The same caller calling `tool` without arguments: what is asked when a list of tools is filtered."""
        request = replace(self.request, method="tools/call", name=tool, params={})
        return replace(self, request=request)

    def naming(self, tool: str) -> Context:
        """The same call of another tool."""
        request = replace(self.request, name=tool, params={**self.request.params, "name": tool})
        return replace(self, request=request)


@frozen
class Response:
    """The head of the answer, or of the refusal. `headers` has lower-case names; repeated ones are joined with `, `."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@frozen
class LastError:
    """Why there is a refusal (API Management's context.LastError): `reason` is that platform's word where it has one,
    `decision` ours. `source` is the element's name, `path` its rule.
    """

    source: str
    reason: str
    message: str
    section: str = ""
    path: str = ""
    scope: str = ""
    policy_id: str = ""
    decision: str = ""
