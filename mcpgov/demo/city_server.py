"""The upstream of the demo: a small MCP server about cities that wants a key which its callers never hold.

Run as `python -m mcpgov.demo.city_server [PORT]`; prints the URL it listens on as its first line.
"""

from __future__ import annotations

import hmac
import os
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn
from mcp.server import MCPServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

KEY_HEADER = "x-city-key"
KEY_VARIABLE = "MCPGOV_DEMO_CITY_KEY"

POPULATION = {"Lisbon": 567_000, "Oslo": 717_000, "Kyoto": 1_464_000}


def build_server() -> MCPServer:
    """The server with its four tools: two that read, two that change things."""
    server = MCPServer("city-records", log_level="WARNING")

    @server.tool()
    def list_cities() -> list[str]:
        """Name every city on record."""
        return sorted(POPULATION)

    @server.tool()
    def get_population(city: str) -> str:
        """Say how many people live in a city."""
        return f"{city} has {POPULATION.get(city, 0):,} inhabitants."

    @server.tool()
    def rename_city(city: str, name: str) -> str:
        """Give a city another name."""
        return f"{city} is now called {name}."

    @server.tool()
    def delete_city(city: str) -> str:
        """Remove a city from the records."""
        return f"{city} is gone."

    return server


class RequireKey:
    """ASGI: lets nobody in without the key, so that the demo shows whose credential reached it."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that has the key; refuse any other with 401."""
        presented = dict(scope.get("headers", [])).get(KEY_HEADER.encode(), b"")
        if scope["type"] == "http" and not hmac.compare_digest(presented, self._key):
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send)


def main() -> None:
    """Serve on a loopback port, a free one if none is named, until told to stop."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    listener = socket.create_server(("127.0.0.1", port))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    app = RequireKey(build_server().streamable_http_app(), os.environ[KEY_VARIABLE])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
