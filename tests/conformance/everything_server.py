"""An MCP server with one of everything, for the public conformance suite and for tests that need a real upstream.

    python -m tests.conformance.everything_server --port 0 [--ledger FILE]

It speaks Streamable HTTP in both eras (2025-11-25 and before with sessions, and 2026-07-28) at /mcp on the loopback
interface and prints its URL as the first line. With --ledger each tool call leaves a line when it starts and when it
ends, on disk before the answer goes out. It is a fixture: it keeps no secret and guards nothing.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import mcp_types as types
import uvicorn
from mcp.server import CacheHint, Server, ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from starlette.applications import Starlette

from tests.conformance import offers
from tests.conformance.asking_tools import ASKING_TOOLS
from tests.conformance.content_tools import CONTENT_TOOLS
from tests.conformance.event_store import MemoryEventStore
from tests.conformance.fixture import Call, ToolResult, failure
from tests.conformance.input_required_tools import INPUT_REQUIRED_TOOLS
from tests.conformance.ledger import Ledger, LedgerEvent

NAME: Final = "mcpgov-everything"
TOOLS: Final = {tool.definition.name: tool for tool in (*CONTENT_TOOLS, *ASKING_TOOLS, *INPUT_REQUIRED_TOOLS)}
FRESH: Final = CacheHint(ttl_ms=60_000, scope="public")
RETRY_MILLISECONDS: Final = 100
SHUTDOWN_SECONDS: Final = 1

Context: TypeAlias = ServerRequestContext[Any, Any]


class Tools:
    """tools/list and tools/call over the table of tools, with every call in the ledger."""

    def __init__(self, ledger: Ledger, changes: InMemorySubscriptionBus) -> None:
        self._ledger = ledger
        self._changes = changes

    async def list(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """All tools, always in the same order."""
        return types.ListToolsResult(tools=[tool.definition for tool in TOOLS.values()])

    async def call(self, context: Context, params: types.CallToolRequestParams) -> ToolResult:
        """Run the tool; an unknown one is an error that the model sees."""
        tool = TOOLS.get(params.name)
        if tool is None:
            return failure(f"Unknown tool: {params.name}")
        arguments = params.arguments or {}
        end: LedgerEvent = "done"
        self._ledger.write("start", params.name, arguments)
        try:
            return await tool.run(Call(context, params, self._changes))
        except asyncio.CancelledError:
            end = "cancelled"
            raise
        finally:
            self._ledger.write(end, params.name, arguments)


def input_schema(name: str) -> Mapping[str, Any] | None:
    """The schema that Mcp-Param headers are checked against, None for an unknown tool."""
    tool = TOOLS.get(name)
    return None if tool is None else tool.definition.input_schema


async def set_level(_: Context, __: types.SetLevelRequestParams) -> types.EmptyResult:
    """Accept any level; the fixture logs at info only."""
    return types.EmptyResult()


def build_app(ledger: Ledger) -> Starlette:
    """The server as an ASGI application with its endpoint at /mcp."""
    changes = InMemorySubscriptionBus()
    tools = Tools(ledger, changes)
    server: Server[dict[str, Any]] = Server(
        NAME,
        version="1.0.0",
        get_tool_input_schema=input_schema,
        on_list_tools=tools.list,
        on_call_tool=tools.call,
        on_list_resources=offers.list_resources,
        on_list_resource_templates=offers.list_templates,
        on_read_resource=offers.read_resource,
        on_subscribe_resource=offers.subscribe,
        on_unsubscribe_resource=offers.unsubscribe,
        on_subscriptions_listen=ListenHandler(changes),
        on_list_prompts=offers.list_prompts,
        on_get_prompt=offers.get_prompt,
        on_completion=offers.complete,
        cache_hints={
            "tools/list": FRESH,
            "prompts/list": FRESH,
            "resources/list": FRESH,
            "resources/templates/list": FRESH,
            "resources/read": FRESH,
        },
    )
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME))
    return server.streamable_http_app(event_store=MemoryEventStore(), retry_interval=RETRY_MILLISECONDS)


def main() -> None:
    """Listen, print the URL, serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="everything_server", description="An MCP server with one of everything.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--ledger", type=Path, help="append one JSON line for each start and end of a tool call")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        build_app(Ledger(options.ledger)),
        http="h11",  # httptools leaves trailing blanks on header values, which RFC 9110 section 5.5 strips
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
