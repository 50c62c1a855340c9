"""A server of both eras written with the Python SDK, whose ledger says which tools it was made to run.

    python -m tests.hostile.sdk_server LEDGER    prints its URL, then serves until it is ended

Whatever the SDK takes for a call it runs: any name, any arguments. One JSON line is written for each before its answer.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any, Final, TextIO

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext

TOOL: Final = types.Tool(name="safe_tool", description="Does no harm.", input_schema={"type": "object"})

Context = ServerRequestContext[Any, Any]


class Obedient:
    """Runs everything."""

    def __init__(self, ledger: TextIO) -> None:
        self._ledger = ledger

    async def list(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """One tool, though any other can be called too."""
        return types.ListToolsResult(tools=[TOOL])

    async def call(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Write the call down, and say what it was."""
        headers = dict(context.request.headers) if context.request else {}
        noted = {"correlation": headers.get("x-correlation-id", ""), "tool": params.name}
        noted |= {"arguments": params.arguments or {}, "headers": headers}
        self._ledger.write(json.dumps(noted) + "\n")
        self._ledger.flush()
        said = json.dumps({"tool": params.name, "arguments": params.arguments or {}})
        return types.CallToolResult(content=[types.TextContent(text=said)])


def main() -> None:
    """Serve until SIGTERM."""
    with Path(sys.argv[1]).open("a", encoding="utf-8") as ledger:
        obedient = Obedient(ledger)
        server: Server[dict[str, Any]] = Server("obedient", on_list_tools=obedient.list, on_call_tool=obedient.call)
        listener = socket.create_server(("127.0.0.1", 0))
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
        sys.stdout.flush()
        app = server.streamable_http_app(stateless_http=True)
        config = uvicorn.Config(app, http="h11", log_level="error", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
