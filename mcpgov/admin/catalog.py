"""/admin/v1/catalog and /admin/v1/connections: the servers in force, and what they are served as."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mcpgov.admin.access import AdminRefusal, Fault, Role
from mcpgov.admin.routes import Asked, Reply, Route
from mcpgov.pinning.approval import Standing, standings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.admin.parts import AdminParts

UNSEEN: Final = Standing()


class CatalogRoutes:
    """The routes over the catalog. It changes by its files alone."""

    def __init__(self, parts: AdminParts) -> None:
        self._answers = parts.answers
        self._pins = parts.pins

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
        standings = await self.standings()
        servers = [{**asdict(server), "tools": asdict(standings.get(server.name, UNSEEN))} for server in found]
        return Reply({"stamp": self._answers.stamp(), "servers": servers})

    async def standings(self) -> Mapping[str, Standing]:
        """How many tools of each server are in each state, by the name of the server. Raises StoreUnavailable."""
        return standings_of(await self._pins.servers())

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
