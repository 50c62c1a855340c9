"""Real MCP clients: each lists the tools of a server and calls one, and tells what it saw."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import fastmcp
import mcp
import mcp_types as types

from tests.peers.node import NODE, environment
from tests.peers.servers import Peer

CLIENT_SECONDS: Final = 30

Seen: TypeAlias = tuple[set[str], str]
Speak: TypeAlias = Callable[[str, Peer], Awaitable[Seen]]


def texts(content: list[types.ContentBlock]) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in content if isinstance(block, types.TextContent))


async def sdk_any_era(url: str, peer: Peer) -> Seen:
    """The Python SDK's client as it comes: it tries 2026-07-28 and falls back to the handshake."""
    async with mcp.Client(url, read_timeout_seconds=CLIENT_SECONDS) as client:
        listed = await client.list_tools()
        answer = await client.call_tool(peer.tool, dict(peer.arguments))
    return {tool.name for tool in listed.tools}, texts(answer.content)


async def sdk_handshake(url: str, peer: Peer) -> Seen:
    """The Python SDK's client as most clients still are: initialize, sessions."""
    async with mcp.Client(url, mode="legacy", read_timeout_seconds=CLIENT_SECONDS) as client:
        listed = await client.list_tools()
        answer = await client.call_tool(peer.tool, dict(peer.arguments))
    return {tool.name for tool in listed.tools}, texts(answer.content)


async def fastmcp_client(url: str, peer: Peer) -> Seen:
    """FastMCP's client as it comes."""
    async with fastmcp.Client(url, timeout=CLIENT_SECONDS) as client:
        listed = await client.list_tools()
        answer = await client.call_tool(peer.tool, dict(peer.arguments))
    return {tool.name for tool in listed}, texts(answer.content)


def inspector(programs: Path, home: Path) -> Speak:
    """MCP Inspector's command line; it ends with an error of its own when the server or the tool fails."""

    async def run(url: str, *words: str) -> dict[str, Any]:
        program = await asyncio.create_subprocess_exec(
            *(str(NODE), str(programs / "mcp-inspector"), "--cli", url, "--transport", "http", "--format", "json"),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(home),
        )
        output, errors = await asyncio.wait_for(program.communicate(), CLIENT_SECONDS)
        assert program.returncode == 0, errors.decode(errors="replace")
        return json.loads(output)["result"]

    async def speak(url: str, peer: Peer) -> Seen:
        listed = await run(url, "--method", "tools/list")
        given = [f"{name}={value}" for name, value in peer.arguments.items()]
        answer = await run(url, "--method", "tools/call", "--tool-name", peer.tool, "--tool-arg", *given)
        return {tool["name"] for tool in listed["tools"]}, "\n".join(block["text"] for block in answer["content"])

    return speak
