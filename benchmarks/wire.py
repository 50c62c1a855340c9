"""The least HTTP client there is: bytes out, one answer in. What it costs is the same for every target."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION: Final = "2026-07-28"
PIECE: Final = 1 << 18
END: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One request: where it goes, the header fields it carries, its body."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: str

    def packed(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"POST {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


def message(method: str, params: Mapping[str, Any], request_id: int | str = 1) -> str:
    """A message of MCP 2026-07-28, as JSON."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    }
    whole = {**params, "_meta": {**params.get("_meta", {}), **meta}}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": whole})


def fields(method: str, name: str = "", revision: str = REVISION) -> dict[str, str]:
    """The header fields that go with a message."""
    named = {"Mcp-Name": name} if name else {}
    return {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": revision,
        "Mcp-Method": method,
        **named,
    }


class BrokenError(Exception):
    """The other side hung up, or what it sent is no HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, its body whole."""

    status: int
    body: bytes


def unchunked(body: bytes) -> bytes:
    """What stands in the chunks of a whole body (RFC 9112, 7.1)."""
    pieces: list[bytes] = []
    at = 0
    while (end := body.find(b"\r\n", at)) >= 0 and (size := int(body[at:end].partition(b";")[0], 16)):
        pieces.append(body[end + 2 : end + 2 + size])
        at = end + 4 + size
    return b"".join(pieces)


class Line:
    """One connection, on which requests go one after the other."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, request: bytes) -> Answer:
        """Send one request and read the whole answer."""
        self.send(request)
        status, head, body = self.head()
        if (length := head.get("content-length")) is not None:
            return Answer(status, self._read(body, int(length)))
        if head.get("transfer-encoding") == "chunked":
            return Answer(status, unchunked(self._read_chunks(body)))
        return Answer(status, self._read_all(body))

    def send(self, request: bytes) -> None:
        """Send one request."""
        self._socket.sendall(request)

    def head(self) -> tuple[int, dict[str, str], bytes]:
        """The status, the header fields in lower case, and what came of the body with them."""
        come = b""
        while (end := come.find(b"\r\n\r\n")) < 0:
            come += self.more()
        first, *lines = come[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, come[end + 4 :]

    def more(self) -> bytes:
        """What comes next, at least a byte. Raises `BrokenError`."""
        if come := self._socket.recv(PIECE):
            return come
        raise BrokenError("the connection was closed")

    def _read(self, come: bytes, length: int) -> bytes:
        while len(come) < length:
            come += self.more()
        return come

    def _read_chunks(self, come: bytes) -> bytes:
        """To the last chunk: no message of the benchmarks ends as it does."""
        pieces, tail = [come], come[-len(END) :]
        while tail != END:
            pieces.append(self.more())
            tail = (tail + pieces[-1])[-len(END) :]
        return b"".join(pieces)

    def _read_all(self, come: bytes) -> bytes:
        pieces = [come]
        while piece := self._socket.recv(PIECE):
            pieces.append(piece)
        return b"".join(pieces)
