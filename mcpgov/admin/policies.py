"""/admin/v1/policies: which there are, what they say, and what they make of a request that is never made."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mcpgov.admin.access import AdminRefusal, Fault, Role
from mcpgov.admin.parts import InvalidQuestion
from mcpgov.admin.routes import Asked, Parameter, Reply, Route
from mcpgov.models import PrincipalKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mcpgov.admin.parts import AdminParts

QUESTION: Final = (
    Parameter("connection", "The connection that the request is made on.", required=True),
    Parameter("tool", "The tool that is called."),
    Parameter("method", "The MCP method, where no tool is called; tools/list unless given."),
    Parameter("principal", "The caller's id and name; key:example unless given."),
    Parameter("project", "The caller's project."),
    Parameter("kind", "What sort of caller it is; key unless given.", tuple(PrincipalKind)),
    Parameter("agent", "The caller's agent id."),
    Parameter("blueprint", "The blueprint that the calling agent was made from."),
    Parameter("roles", "The roles in the caller's token, one a line."),
    Parameter("scopes", "The scopes in the caller's token, one a line."),
    Parameter("ip", "The caller's address; 127.0.0.1 unless given."),
    Parameter("arguments", "The arguments of the call, as the text of a JSON object."),
    Parameter("headers", "Header fields of the request: NAME=VALUE, one a line."),
    Parameter("annotations", "What the server says of the tool: readOnlyHint=true, one a line."),
)


class PolicyRoutes:
    """The routes over policies. They change by their files alone."""

    def __init__(self, parts: AdminParts) -> None:
        self._answers = parts.answers

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        view, made = Role.VIEWER, "Each element in order, and the decision."
        return (
            Route("GET", "/policies", view, "List policies.", "Each policy, and where it is in force.", self.policies),
            Route("POST", "/policies/explain", view, "Explain a request.", made, self.explain, body=QUESTION),
            Route("GET", "/policies/{name}", view, "One policy.", "The policy, with its text.", self.policy),
        )

    async def policies(self, _: Asked) -> Reply:
        """Every policy, without its text."""
        found = await asyncio.to_thread(self._answers.policies)
        return Reply({"policies": [{**asdict(one), "text": None} for one in found]})

    async def policy(self, asked: Asked) -> Reply:
        """One policy."""
        for one in await asyncio.to_thread(self._answers.policies):
            if one.name == asked.path["name"]:
                return Reply(asdict(one))
        raise AdminRefusal(Fault.NOT_FOUND, "There is no such policy.")

    async def explain(self, asked: Asked) -> Reply:
        """What the policies make of one request. Nothing is sent, nothing is counted."""
        said, _ = await self.explained({name: str(value) for name, value in asked.body.items()})
        return Reply(said)

    async def explained(self, question: Mapping[str, str]) -> tuple[Mapping[str, Any], Sequence[str]]:
        """The explanation, for machines and as lines. Raises AdminRefusal."""
        try:
            return await asyncio.to_thread(self._answers.explain, question)
        except InvalidQuestion as error:
            raise AdminRefusal(Fault.INVALID_REQUEST, str(error)) from None
