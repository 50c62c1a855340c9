"""The demo's upstream: an MCP server that nobody gets into without its key."""

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcpgov.demo.city_server import KEY_HEADER, RequireKey, build_server
from tests.flows.upstream import listening


async def with_key(key: str) -> str:
    """What get_population says to one who presents `key`."""
    server = build_server()
    manager = server.streamable_http_app()
    async with manager.router.lifespan_context(manager), listening(RequireKey(manager, "right")) as url:
        http = httpx2.AsyncClient(headers={KEY_HEADER: key})
        async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            (block,) = (await client.call_tool("get_population", {"city": "Kyoto"})).content
            assert block.type == "text"
            return block.text


async def test_with_the_key_the_records_answer() -> None:
    assert await with_key("right") == "Kyoto has 1,464,000 inhabitants."


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_without_the_key_nobody_gets_in(key: str) -> None:
    async with (
        listening(RequireKey(build_server().streamable_http_app(), "right")) as url,
        httpx2.AsyncClient() as http,
    ):
        assert (await http.post(f"{url}/mcp", headers={KEY_HEADER: key}, json={})).status_code == 401
