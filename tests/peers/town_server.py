"""An MCP server of both eras with many tools in pages, written with the Python SDK: two of them make an aggregate.

    python -m tests.peers.town_server NAME

Each tool answers with the server's name and its own. `change` announces that the tools changed. The URL is the first
line that it prints.
"""

import socket
import sys
from typing import Any, Final

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

TOOLS: Final = 300
PAGE: Final = 100
CHANGE: Final = "change"
NAMES: Final = (CHANGE, *(f"street_{number:03}" for number in range(1, TOOLS)))

Context = ServerRequestContext[Any, Any]


class Town:
    """What it offers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.changes = InMemorySubscriptionBus()

    async def list(self, _: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """One page of the tools."""
        start = int((params and params.cursor) or 0)
        own = (*NAMES, f"only_in_{self._name}")
        page = [
            types.Tool(name=name, description=f"Says {name} of {self._name}", input_schema={"type": "object"})
            for name in own[start : start + PAGE]
        ]
        return types.ListToolsResult(tools=page, next_cursor=str(start + PAGE) if start + PAGE < len(own) else None)

    async def call(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Say which tool of which server this is."""
        if params.name == CHANGE:
            await self.changes.publish(ToolsListChanged())
            if context.protocol_version < "2026-07-28":
                await context.session.send_notification(types.ToolListChangedNotification())
        return types.CallToolResult(content=[types.TextContent(text=f"{self._name}: {params.name}")])


def main() -> None:
    """Serve until SIGTERM."""
    town = Town(sys.argv[1])
    server: Server[dict[str, Any]] = Server(
        sys.argv[1],
        on_list_tools=town.list,
        on_call_tool=town.call,
        on_subscriptions_listen=ListenHandler(town.changes),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    config = uvicorn.Config(server.streamable_http_app(), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
