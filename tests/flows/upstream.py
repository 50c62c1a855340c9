"""The upstream of the flow tests: a small MCP server of both eras on a real socket, whose own ledger is the witness."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcpgov.endpoint.limits import UNTOLD, ConnectionLimits
from mcpgov.endpoint.server import GatewayServer

TOOLS = ("get_city", "list_cities", "rename_city", "delete_city")
SESSION = "upstream-session-1"


@dataclass
class Seen:
    """One request as it arrived: its method, path with query, headers, and exact bytes."""

    http_method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        return json.loads(self.body) if self.body else {}


@dataclass
class CityUpstream:
    """Answers tools/list and tools/call; `answers_with` chooses JSON or SSE; `hold` keeps every call waiting."""

    answers_with: str = "json"
    ledger: list[Seen] = field(default_factory=list[Seen])
    events: list[str] = field(default_factory=list[str])
    hold: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    extra_headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def calls(self) -> list[Seen]:
        """The tools/call requests that arrived."""
        return [seen for seen in self.ledger if seen.message.get("method") == "tools/call"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        query = scope["query_string"].decode()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"] + (f"?{query}" if query else ""), headers, body)
        self.ledger.append(seen)
        if seen.http_method != "POST" or not {"id", "method"} <= seen.message.keys():
            await self._whole(send, 202 if seen.http_method == "POST" else 405, b"")
        elif seen.message["method"] == "tools/call":
            await self._called(seen.message, receive, send)
        else:
            await self._answer(send, seen.message, self._result(seen.message))

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["method"] == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}, "x-unknown": name} for name in TOOLS]
            return {"tools": tools, "ttlMs": 1000, "cacheScope": "public", "resultType": "complete", "kept": 1}
        if message["method"] == "initialize":
            return {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "c", "version": "1"}}
        return {"resultType": "complete"}

    async def _called(self, message: dict[str, Any], receive: Any, send: Any) -> None:
        self.events.append("start")
        self.begun.set()
        if self.hold is not None:
            leaving = asyncio.create_task(receive())
            holding = asyncio.create_task(self.hold.wait())
            await asyncio.wait({leaving, holding}, return_when=asyncio.FIRST_COMPLETED)
            gone = leaving.done()
            for task in (leaving, holding):
                task.cancel()
            if gone:
                self.events.append("cancelled")
                self.ended.set()
                return
        self.events.append("done")
        text = [{"type": "text", "text": "Kyoto\u2028"}]
        await self._answer(send, message, {"content": text, "resultType": "complete"})
        self.ended.set()

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        answer = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        if self.answers_with == "json":
            await self._whole(send, 200, answer)
            return
        progress = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n'
        headers = [(b"content-type", b"text/event-stream"), (b"mcp-session-id", SESSION.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in (b": hello\n\n", progress, b"id: 7\ndata: " + answer + b"\n\n"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _whole(self, send: Any, status: int, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode()), *self.extra_headers]
        if body:
            headers += [(b"content-type", b"application/json"), (b"mcp-session-id", SESSION.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def listening(app: Any, limits: ConnectionLimits = UNTOLD) -> AsyncGenerator[str]:
    """An ASGI application on a real loopback port; gives its base URL."""
    server = GatewayServer(app, limits=limits)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        running = asyncio.create_task(server.serve_on(sock))
        while not server.started:
            await asyncio.sleep(0)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            server.force_exit = True
            await running
