"""What the demo's client does, as a real MCP client: calls that are allowed, denied by tool, by IP, and by rate.

Each step is one tools/call and what the caller saw of it. The audit table afterwards is the ledger's view of the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcpgov.models import Secret


@frozen
class Step:
    """One call: what was asked, of which connection, and the answer in one line."""

    connection: str
    call: str
    answer: str


async def tell(base_url: str, key: Secret) -> AsyncIterator[Step]:
    """Make the demo's calls against a gateway at `base_url`, yielding each with what came of it."""
    async with client_of(f"{base_url}/mcp/cities", key) as client:
        listed = await client.list_tools()
        yield Step("cities", "tools/list", ", ".join(tool.name for tool in listed.tools))
        yield await call(client, "cities", "list_cities", {})
        yield await call(client, "cities", "get_population", {"city": "Kyoto"})
        yield await call(client, "cities", "rename_city", {"city": "Oslo", "name": "Kristiania"})
        yield await call(client, "cities", "delete_city", {"city": "Lisbon"})
        for _ in range(3):
            yield await call(client, "cities", "get_population", {"city": "Oslo"})
    yield await refused_at_the_door(f"{base_url}/mcp/cities-office", key)


def client_of(url: str, key: Secret) -> Client:
    """An MCP client that sends a gateway key."""
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key.reveal()}"}, timeout=30)
    return Client(streamable_http_client(url, http_client=http))


async def call(client: Client, connection: str, tool: str, arguments: dict[str, object]) -> Step:
    """Call one tool and put the answer in one line, errors included."""
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        answer = f"error {error.error.code}: {error.error.message}"
    else:
        texts = [block.text for block in result.content if block.type == "text"]
        answer = ("isError: " if result.is_error else "") + " ".join(texts)
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return Step(connection, f"{tool}({shown})", answer)


async def refused_at_the_door(url: str, key: Secret) -> Step:
    """Call from an address that the connection's policy does not let in; seen as plain HTTP, to show the status."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_cities"}}
    async with httpx2.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {key.reveal()}", "Accept": "application/json, text/event-stream"}
        response = await http.post(url, json=message, headers=headers)
    return Step("cities-office", "list_cities()", f"HTTP {response.status_code}: {response.json()['error']['message']}")
