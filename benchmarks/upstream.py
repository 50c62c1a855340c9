"""The upstream of the benchmarks: answers MCP messages with as little work as possible, so that it is never the limit.

Run as `python -m benchmarks.upstream PORT`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

TOOL = {
    "name": "echo",
    "description": "Echo.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
CAPABILITIES: dict[str, Any] = {"tools": {}}
INFO = {"name": "bench", "version": "1"}


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of one method."""
    if method == "tools/call":
        return {"content": [{"type": "text", "text": "pong" * 12}], "isError": False, "resultType": "complete"}
    if method == "tools/list":
        return {"tools": [TOOL], "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public"}
    if method == "server/discover":
        offered: dict[str, Any] = {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES, "ttlMs": 60_000}
        return {**offered, "cacheScope": "public", "resultType": "complete", "serverInfo": INFO}
    version = params.get("protocolVersion", "2025-11-25")
    return {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": INFO}


async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer one POST; anything else is 405."""
    if scope["type"] != "http":
        return
    if scope["method"] != "POST":
        await answer(send, 405, b"")
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    request = json.loads(body)
    if "id" not in request:
        await answer(send, 202, b"")
        return
    result = result_of(request["method"], request.get("params", {}))
    await answer(send, 200, json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode())


async def answer(send: Send, status: int, body: bytes) -> None:
    """Send a whole answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")
