"""A client that costs little: one connection, one request after the other, written by hand.

It reads answers by Content-Length or in chunks, keeps what the three-way checker asks for, and no more.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.faults.checker import ClientEntry
from tests.faults.gateway import META, VERSION

STATELESS: Final = (
    "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    f"MCP-Protocol-Version: {VERSION}\r\nMcp-Method: %s\r\n%s%sContent-Length: %d\r\n\r\n%s"
)
LISTEN: Final = "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n%s\r\n"
LARGEST: Final = 1 << 20


@dataclass(frozen=True)
class Got:
    """One answer: the status, header fields in lower case, and what of the body came whole."""

    status: int
    fields: dict[str, str]
    body: bytes

    def message(self) -> dict[str, Any]:
        """The JSON-RPC message, or the last one of a stream; empty where there is none."""
        text = self.body
        if self.fields.get("content-type", "").startswith("text/event-stream"):
            text = text.rstrip().rpartition(b"data: ")[2]
        return json.loads(text) if text.startswith(b"{") else {}

    def entry(self, call: str) -> ClientEntry:
        """What the client knows of a call."""
        error = self.message().get("error")
        reason = error["data"]["reason"] if error else ""
        return ClientEntry(call, "refused" if error else "result", reason, self.fields.get("x-correlation-id", ""))


@dataclass
class Caller:
    """One connection to the gateway, opened when it is needed. `key` is the gateway key that it calls with."""

    url: str
    key: str = ""
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter | None = None
    left: asyncio.StreamWriter | None = None  # that was closed last

    @property
    def _credential(self) -> str:
        return f"Authorization: Bearer {self.key}\r\n" if self.key else ""

    async def open(self) -> asyncio.StreamWriter:
        """The connection. Raises OSError."""
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof():
            self.close()
            parts = urlsplit(self.url)
            assert parts.port is not None
            self.reader, self.writer = await asyncio.open_connection(parts.hostname, parts.port, limit=LARGEST)
        return self.writer

    async def send(self, method: str, call: str, params: dict[str, Any]) -> None:
        """Send a request of the stateless era. Raises OSError."""
        message = {"jsonrpc": "2.0", "id": call, "method": method, "params": {**params, "_meta": META}}
        name = f"Mcp-Name: {params['name']}\r\n" if "name" in params else ""
        body, place = json.dumps(message), urlsplit(self.url)
        writer = await self.open()
        head = (place.path, place.netloc, method, name, self._credential, len(body), body)
        writer.write((STATELESS % head).encode())

    async def call(self, call: str, tool: str = "work") -> Got:
        """One tools/call and its answer. Raises OSError, EOFError where the line goes dead."""
        await self.send("tools/call", call, {"name": tool, "arguments": {"for": call}})
        return await self.answer()

    async def listen(self, call: str = "") -> Got:
        """Open a stream: a GET, or subscriptions/listen with an id; gives back its head, or all of a refusal.

        Raises OSError, EOFError.
        """
        if call:
            await self.send("subscriptions/listen", call, {"notifications": {"toolsListChanged": True}})
        else:
            place, writer = urlsplit(self.url), await self.open()
            writer.write((LISTEN % (place.path, place.netloc, self._credential)).encode())
        got = await self.head()
        return got if got.status == 200 else await self.whole(got)

    async def head(self) -> Got:
        """The head of an answer. Raises EOFError."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        return Got(int(first.split()[1]), fields, b"")

    async def answer(self) -> Got:
        """An answer with its whole body. Raises EOFError."""
        return await self.whole(await self.head())

    async def whole(self, got: Got) -> Got:
        """The answer with this head. Raises EOFError."""
        if "content-length" in got.fields:
            body = await self.reader.readexactly(int(got.fields["content-length"]))
        else:
            body = await self.rest()
        if got.fields.get("connection") == "close":
            self.close()
        return Got(got.status, got.fields, body)

    async def rest(self) -> bytes:
        """All chunks until the last. Raises EOFError."""
        body = b""
        while piece := await self.chunk():
            body += piece
        return body

    async def chunk(self) -> bytes:
        """One chunk; empty is the last. Raises EOFError."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self.writer is not None:
            self.writer.close()
            self.left, self.writer = self.writer, None

    async def hang_up(self) -> None:
        """Close the connection; returns when it is closed. Raises OSError where the other side had broken it off."""
        self.close()
        if self.left is not None:
            await self.left.wait_closed()
