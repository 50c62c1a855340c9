"""Bytes on a socket, as no client library would send them, and everything that comes back."""

import asyncio
import json
from contextlib import closing, suppress

from tests.flows.house import META, STATELESS

CALL = {"name": "get_city", "_meta": META}


def message(tool: str = "get_city") -> bytes:
    """A tools/call."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL | {"name": tool}}).encode()


def head(key: str, *fields: bytes, tool: str = "get_city", path: bytes = b"/mcp/city") -> bytes:
    """The head of a call, without its length, and without the line that ends it."""
    usual = (
        *(b"POST " + path + b" HTTP/1.1", b"Host: 127.0.0.1", b"X-API-Key: " + key.encode()),
        *(b"Content-Type: application/json", b"MCP-Protocol-Version: " + STATELESS.encode()),
        *(b"Mcp-Method: tools/call", b"Mcp-Name: " + tool.encode()),
    )
    return b"".join(line + b"\r\n" for line in (*usual, *fields))


def whole(key: str, *fields: bytes, tool: str = "get_city") -> bytes:
    """A call that is as it should be, with these fields more."""
    body = message(tool)
    return head(key, *fields, b"Content-Length: %d" % len(body), tool=tool) + b"\r\n" + body


async def said(url: str, *pieces: bytes) -> bytes:
    """All that is answered to these bytes until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    answer = bytearray()
    with closing(writer), suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        while part := await reader.read(65_536):
            answer += part
    return bytes(answer)


def statuses(answer: bytes) -> list[int]:
    """The status of each answer."""
    return [int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
