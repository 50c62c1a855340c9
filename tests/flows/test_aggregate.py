"""Real clients of both eras at /mcp, in front of real servers."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import fastmcp
import mcp
import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from tests.aggregate.houses import entry
from tests.flows.house import House, house
from tests.flows.upstream import listening

SETTINGS = "identity: { allow_anonymous: true }\n"
Connect = Callable[[str], Any]
CLIENTS: dict[str, Connect] = {
    "sdk-any-era": mcp.Client,
    "sdk-handshake": lambda url: mcp.Client(url, mode="legacy"),
    "fastmcp": fastmcp.Client,
}


def server(name: str) -> MCPServer:
    """A server with a tool, a prompt, a resource and a template, each of which says whose it is."""
    made = MCPServer(name)

    @made.tool()
    async def greet(who: str, ctx: Context) -> str:
        """Greets somebody."""
        await ctx.report_progress(1, 2)
        return f"{name} greets {who}"

    @made.prompt()
    def ask(topic: str) -> str:
        """Asks about something."""
        return f"{name} asks about {topic}"

    @made.resource(f"{name}://about")
    def about() -> str:
        """What this is."""
        return f"about {name}"

    @made.resource(f"{name}://rooms/{{room}}")
    def rooms(room: str) -> str:
        """One room."""
        return f"{name} has room {room}"

    return made


@asynccontextmanager
async def served(made: MCPServer) -> AsyncGenerator[str]:
    """A server of the SDK on a real socket."""
    app = made.streamable_http_app()
    async with made.session_manager.run(), listening(app) as url:
        yield f"{url}/mcp"


@asynccontextmanager
async def together(tmp_path: Path) -> AsyncGenerator[House]:
    """A gateway with two servers, and one that is down, as one."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(served(server(name))) for name in ("red", "blue")]
        built = await stack.enter_async_context(house(tmp_path, SETTINGS))
        for name, url in zip(("red", "blue", "down"), (*urls, "http://127.0.0.1:1/mcp"), strict=True):
            built.write(f"catalog/{name}.yaml", entry(name, url))
        written = (tmp_path / "mcpgov.yaml").read_text()
        built.write("mcpgov.yaml", written + "aggregate: { connections: [red, '*'] }\n")
        built.reload()
        yield built


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_lists_and_calls_what_all_members_have(tmp_path: Path, name: str) -> None:
    async with asyncio.timeout(30), together(tmp_path) as built:
        async with CLIENTS[name](f"{built.url}/mcp") as client:
            tools = members(await client.list_tools(), "tools")
            assert [tool.name for tool in tools] == ["red_greet", "blue_greet"]
            for tool in ("red_greet", "blue_greet"):
                heard: list[float] = []
                answer = await client.call_tool(tool, {"who": "Ada"}, **hearing(name, heard))
                assert answer.content[0].text == f"{tool[:-6]} greets Ada"
                assert heard == [1.0]
        calls = await built.records(event="intent", **{"mcp.method.name": "tools/call"})
        recorded = [(call["mcpgov.connection"], call["gen_ai.tool.name"]) for call in calls]
        assert recorded == [("red", "greet"), ("blue", "greet")]


def hearing(client: str, heard: list[float]) -> dict[str, Any]:
    """What makes a client note the progress of a call."""

    async def note(progress: float, _total: float | None, _message: str | None) -> None:
        heard.append(progress)

    return {"progress_handler" if client == "fastmcp" else "progress_callback": note}


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_real_client_gets_prompts_and_reads_resources_of_all_members(tmp_path: Path, name: str) -> None:
    async with asyncio.timeout(30), together(tmp_path) as built, CLIENTS[name](f"{built.url}/mcp") as client:
        prompts = members(await client.list_prompts(), "prompts")
        assert [prompt.name for prompt in prompts] == ["red_ask", "blue_ask"]
        prompt = await client.get_prompt("blue_ask", {"topic": "tea"})
        assert prompt.messages[0].content.text == "blue asks about tea"
        assert texts(await client.read_resource("blue://about")) == ["about blue"]
        assert texts(await client.read_resource("red://rooms/7")) == ["red has room 7"]


def texts(result: Any) -> list[str]:
    """What a resource says."""
    return [content.text for content in members(result, "contents")]


def members(result: Any, key: str) -> Any:
    """What is in a result, which some clients give bare."""
    return getattr(result, key, result)


@pytest.mark.parametrize("name", CLIENTS)
async def test_an_unknown_tool_is_an_error_of_that_call_alone(tmp_path: Path, name: str) -> None:
    async with asyncio.timeout(30), together(tmp_path) as built, CLIENTS[name](f"{built.url}/mcp") as client:
        with pytest.raises(Exception, match="Unknown tool: nobody_greet"):
            await client.call_tool("nobody_greet", {})
        answer = await client.call_tool("red_greet", {"who": "Ada"})
        assert answer.content[0].text == "red greets Ada"
