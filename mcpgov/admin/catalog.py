"""/admin/v1/catalog and /admin/v1/connections: the servers in force, and what they are served as."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from mcpgov.admin.access import AdminRefusal, Fault, Role
from mcpgov.admin.routes import Asked, Reply, Route

if TYPE_CHECKING:
    from mcpgov.admin.parts import AdminParts


class CatalogRoutes:
    """The routes over the catalog. It changes by its files alone."""

    def __init__(self, parts: AdminParts) -> None:
        self._answers = parts.answers

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        view = Role.VIEWER
        return (
            Route("GET", "/catalog", view, "List servers.", "Each server and its connections.", self.servers),
            Route("GET", "/connections", view, "List connections.", "Each connection.", self.connections),
            Route("GET", "/connections/{name}", view, "One connection.", "The connection.", self.connection),
        )

    async def servers(self, _: Asked) -> Reply:
        """The catalog in force."""
        found = await asyncio.to_thread(self._answers.servers)
        return Reply({"stamp": self._answers.stamp(), "servers": [asdict(server) for server in found]})

    async def connections(self, _: Asked) -> Reply:
        """Every connection in force."""
        servers = await asyncio.to_thread(self._answers.servers)
        return Reply({"connections": [asdict(one) for server in servers for one in server.connections]})

    async def connection(self, asked: Asked) -> Reply:
        """One connection."""
        servers = await asyncio.to_thread(self._answers.servers)
        for one in (one for server in servers for one in server.connections):
            if one.name == asked.path["name"]:
                return Reply(asdict(one))
        raise AdminRefusal(Fault.NOT_FOUND, "There is no such connection.")
