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


def sdk(mode: str) -> Speak:
    """The Python SDK's client. `auto`, as it comes, tries 2026-07-28 and falls back to the handshake; `legacy` begins
    with the handshake, as most clients still do; a revision is spoken without a question.
    """

    async def speak(url: str, peer: Peer) -> Seen:
        async with mcp.Client(url, mode=mode, read_timeout_seconds=CLIENT_SECONDS) as client:
            page = await client.list_tools()
            tools = {tool.name for tool in page.tools}
            while page.next_cursor:
                page = await client.list_tools(cursor=page.next_cursor)
                tools |= {tool.name for tool in page.tools}
            answer = await client.call_tool(peer.tool, dict(peer.arguments))
        return tools, texts(answer.content)

    return speak


def fastmcp_client(mode: str) -> Speak:
    """FastMCP's client, in the modes of the SDK's."""

    async def speak(url: str, peer: Peer) -> Seen:
        async with fastmcp.Client(url, mode=mode, timeout=CLIENT_SECONDS) as client:
            listed = await client.list_tools()
            answer = await client.call_tool(peer.tool, dict(peer.arguments))
        return {tool.name for tool in listed}, texts(answer.content)

    return speak


def inspector(programs: Path, home: Path, era: str = "legacy") -> Speak:
    """MCP Inspector's command line in its `legacy`, `modern` or `auto` era; it ends with an error of its own when the
    server or the tool fails.
    """

    async def run(url: str, *words: str) -> dict[str, Any]:
        program = await asyncio.create_subprocess_exec(
            *(str(NODE), str(programs / "mcp-inspector"), "--cli", url, "--transport", "http", "--format", "json"),
            *("--protocol-era", era),
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
        given = [
            f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in peer.arguments.items()
        ]
        arguments = ("--tool-arg", *given) if given else ()
        answer = await run(url, "--method", "tools/call", "--tool-name", peer.tool, *arguments)
        return {tool["name"] for tool in listed["tools"]}, "\n".join(block["text"] for block in answer["content"])

    return speak
