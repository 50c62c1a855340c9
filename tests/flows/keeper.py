"""An upstream that keeps sessions, tasks and streams under ids that anybody could guess. Its ledger is the witness."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.flows.upstream import Seen

SESSION = "1"
TASK = "task-1"
EVENT = "7"
RELATED = "io.modelcontextprotocol/related-task"
STREAM = b'id: 7\ndata: {"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"task-1"}}\n\n'


@dataclass
class Keeper:
    """Every server of this kind gives the same ids."""

    ledger: list[Seen] = field(default_factory=list[Seen])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"], headers, body)
        self.ledger.append(seen)
        if seen.http_method == "GET":
            await answer(send, b"text/event-stream", STREAM)
        elif {"id", "method"} <= seen.message.keys():
            result = {"resultType": "complete", **self.result(seen.message)}
            message = {"jsonrpc": "2.0", "id": seen.message["id"], "result": result}
            await answer(send, b"application/json", json.dumps(message).encode())
        else:
            await answer(send, b"text/plain", b"", 202)

    def result(self, message: dict[str, Any]) -> dict[str, Any]:
        """What a server with tasks says (2025-11-25, and 2026-07-28 with the extension)."""
        task = {"taskId": TASK, "status": "working", "ttl": None, "createdAt": "", "lastUpdatedAt": ""}
        match message["method"]:
            case "initialize":
                return {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "k"}}
            case "tools/call":
                stateless = "io.modelcontextprotocol/protocolVersion" in message["params"].get("_meta", {})
                return {"resultType": "task", **task} if stateless else {"task": task}
            case "tasks/get" | "tasks/cancel" | "tasks/update":
                return task
            case "tasks/result":
                return {"content": [], "_meta": {RELATED: {"taskId": TASK}}}
            case _:
                return {}

    @property
    def sessions(self) -> set[str | None]:
        """The session ids that came with anything but a greeting."""
        asked = (seen for seen in self.ledger if seen.message.get("method") != "initialize")
        return {seen.headers.get("mcp-session-id") for seen in asked}

    def params(self, method: str) -> list[dict[str, Any]]:
        """The params of every request with this method."""
        return [seen.message["params"] for seen in self.ledger if seen.message.get("method") == method]


async def answer(send: Any, media: bytes, body: bytes, status: int = 200) -> None:
    """One whole answer, which says which session it belongs to."""
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", media)]
    headers.append((b"mcp-session-id", SESSION.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
