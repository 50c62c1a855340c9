"""A real HTTP server on a loopback port that plays scripted answers, or scripted faults, and keeps a ledger.

It is written on sockets, because what is tested is what a broken server does.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mcpgov.models import Headers
from mcpgov.upstream.memory import ScriptedAnswer, Sent

OK = b'{"jsonrpc":"2.0","id":1,"result":{}}'


class Then(Enum):
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Fault:
    """Raw bytes for an answer, and what happens after them. `endless` is repeated until nobody reads any more."""

    sends: bytes = b""
    then: Then = Then.CLOSE
    endless: bytes = b""


class Loopback:
    def __init__(self) -> None:
        self.ledger: list[Sent] = []
        self.connections = 0
        self.bytes_sent = 0
        self.held_back = asyncio.Event()
        self.port = 0
        self.scheme = "http"
        self._script: list[ScriptedAnswer | Fault] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/mcp"

    def script(self, *answers: ScriptedAnswer | Fault) -> None:
        self._script.extend(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    def shout(self, unasked: bytes) -> None:
        """Write to every client that is connected, before its loop can tell it."""
        for writer in self._writers:
            writer.write(unasked)

    async def say_unasked(self, unasked: bytes) -> None:
        """Write to every client that is connected."""
        for writer in self._writers:
            writer.write(unasked)
            await writer.drain()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        fields = tuple((name.lower(), value) for name, _, value in (line.partition(": ") for line in head[1:-2]))
        headers = Headers(fields)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        sent = Sent(method, target, headers, body)
        self.ledger.append(sent)
        answer = self._script.pop(0) if self._script else ScriptedAnswer(chunks=(OK,))
        if isinstance(answer, Fault):
            await self._fail(answer, sent, reader, writer)
            return False
        writer.write(b"\r\n".join(head_of(answer)) + b"\r\n\r\n")
        for chunk in answer.chunks:
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await writer.drain()
        if not answer.ends:
            await until_cut(sent, reader)
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _fail(self, fault: Fault, sent: Sent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(fault.sends)
        await writer.drain()
        while fault.endless:
            writer.write(fault.endless)
            try:
                await asyncio.wait_for(writer.drain(), 0.2)
            except TimeoutError:
                self.held_back.set()
                await writer.drain()
            self.bytes_sent += len(fault.endless)
        if fault.then is Then.HANG:
            await until_cut(sent, reader)
        if fault.then is Then.RESET:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Canary:
    """A listener on 127.0.0.2 that nobody may ever be led to; `visits` says how many were."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.2:{self.port}/canary"

    def visited(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


@asynccontextmanager
async def canary() -> AsyncGenerator[Canary, None]:
    """A canary, until the context is left."""
    bird = Canary()
    server = await asyncio.start_server(bird.visited, "127.0.0.2", 0)
    bird.port = server.sockets[0].getsockname()[1]
    try:
        yield bird
    finally:
        server.close()
        await server.wait_closed()


def head_of(answer: ScriptedAnswer) -> Iterable[bytes]:
    yield b"HTTP/1.1 %d Whatever" % answer.status
    yield b"transfer-encoding: chunked"
    if answer.content_type:
        yield b"content-type: " + answer.content_type.encode()
    for name, value in answer.headers:
        yield f"{name}: {value}".encode("latin-1")


async def until_cut(sent: Sent, reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        assert await reader.read(1) == b""
    sent.cut.set()


@asynccontextmanager
async def loopback(
    certificate: Path | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[Loopback, None]:
    """A server on a free port of 127.0.0.1, until the context is left; over TLS if it has a certificate."""
    served = Loopback()
    tls = None
    if certificate:
        served.scheme = "https"
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server = await asyncio.start_server(served.serve, host, port, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await served.stop()
        await server.wait_closed()
