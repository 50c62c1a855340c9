"""The upstreams whose ledgers judge: a socket that notes every byte, and servers written with the official SDKs.

None of them is ours to excuse: what stands in a ledger has left the gateway.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HEADER: Final = re.compile(rb"\r\n([^:\r\n]+): ([^\r\n]*)")
CALL_RESULT: Final = '{"content":[],"isError":false,"resultType":"complete","echo":%s}'


@dataclass(frozen=True, slots=True)
class Noted:
    """One request as an upstream got it: every byte, or, of an SDK, what it ran. `body` is there where bytes are."""

    correlation: str
    everything: bytes
    target: str = ""
    body: bytes | None = None
    tool: str = ""
    arguments: object = None


Answer = Callable[[Noted], AsyncIterator[bytes]]  # the whole answer, piece by piece


async def obedient(noted: Noted) -> AsyncIterator[bytes]:
    """The result of whatever is asked, with the arguments in it."""
    message: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):
        message = json.loads(noted.body or b"{}")
    params: dict[str, Any] = message.get("params") or {}
    result = CALL_RESULT % json.dumps(params.get("arguments"))
    yield as_json(f'{{"jsonrpc":"2.0","id":{json.dumps(message.get("id"))},"result":{result}}}'.encode())


async def fast(_: Noted) -> AsyncIterator[bytes]:
    """The same result whatever is asked: what it costs to read the question is not counted."""
    yield as_json(b'{"jsonrpc":"2.0","id":"1","result":{"content":[],"resultType":"complete"}}')


async def with_session(noted: Noted) -> AsyncIterator[bytes]:
    """The same, and a session for whoever begins one."""
    async for piece in obedient(noted):
        begins = b'"method": "initialize"' in (noted.body or b"")
        yield (
            piece.replace(b"\r\n\r\n", b"\r\nmcp-session-id: s-%s\r\n\r\n" % noted.correlation.encode(), 1)
            if begins
            else piece
        )


def as_json(body: bytes, status: str = "200 OK", more: bytes = b"") -> bytes:
    """A JSON answer with its head; `more` are header lines."""
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n"
    return head % (status.encode(), len(body), more) + body


@dataclass
class RawWitness:
    """Listens, notes every byte, and answers by path; `connections` counts who came at all."""

    answers: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    ledger: list[Noted] = field(default_factory=list[Noted])
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    async def open(self, host: str = "127.0.0.1") -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, host, 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Let go of the port and of whoever is still there."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._one(head, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the last is the end of the loop, of which asyncio makes a traceback on standard error
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = {name.lower(): value for name, value in HEADER.findall(head)}
        body = await reader.readexactly(int(told.get(b"content-length", b"0")))
        target = head.split(b" ", 2)[1].decode("latin-1")
        correlation = told.get(b"x-correlation-id", b"").decode("latin-1")
        noted = Noted(correlation, head + body, target, body)
        self.ledger.append(noted)
        ends = False
        async for piece in self.answers.get(target.partition("?")[0], obedient)(noted):
            writer.write(piece)
            await writer.drain()
            ends = ends or b"connection: close" in piece[:1000]
        if ends:
            raise ConnectionResetError


@dataclass
class SdkWitness:
    """The ledger that a server written with an SDK keeps in a file."""

    path: Path
    _read: int = 0

    def news(self) -> list[Noted]:
        """What has been written since this was last asked."""
        text = self.path.read_bytes() if self.path.exists() else b""
        lines = text[self._read :].splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._read += sum(map(len, whole))
        return [noted_of(line) for line in whole]


def noted_of(line: bytes) -> Noted:
    """One line of such a ledger."""
    entry = json.loads(line)
    return Noted(entry["correlation"], line, tool=entry["tool"], arguments=entry["arguments"])
