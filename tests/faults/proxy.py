"""A proxy of ours between the gateway and a real MCP server, which breaks what passes as it is told to.

It asks the server behind it, whose own ledger says what was executed, and then spoils the answer; or it never asks. A
fault is a function of a Line, one request on one connection (toxics.py). Two need no proxy, but a port: `down` and
`blackhole`.

It keeps no time. What is slow is slow by `pace`, which is waited for between two bytes and comes from who uses it.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

END: Final = b"\r\n\r\n"
SSE: Final = "text/event-stream"
NEVER_ANSWERED: Final = 4  # connections that fill a backlog of none
Pace = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the gateway: its head with the empty line, and its body."""

    head: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """What the server answered: the fields of its head without those of the framing, and the whole body."""

    status: bytes
    fields: tuple[bytes, ...]
    body: bytes

    @property
    def streaming(self) -> bool:
        """Whether it answered in events."""
        return any(SSE.encode() in one.lower() for one in self.fields)

    @property
    def pieces(self) -> tuple[bytes, bytes]:
        """The body in two: what says nothing yet, and what answers."""
        at = self.body.rfind(b"id: 7") if self.streaming else len(self.body) // 2
        return (self.body[:at], self.body[at:]) if at > 0 else (self.body, b"")

    @property
    def greeting(self) -> bytes:
        """The comment that a stream begins with."""
        return self.body[: self.body.find(b"\n\n") + 2]

    def head(self, *framing: bytes) -> bytes:
        """The head, framed so."""
        return b"\r\n".join((self.status, *self.fields, *framing)) + END

    def whole(self, body: bytes | None = None) -> bytes:
        """The answer as it should be, or with another body."""
        body = self.body if body is None else body
        if self.streaming:
            return self.head(b"transfer-encoding: chunked") + chunk(body) + chunk(b"")
        return self.head(b"content-length: %d" % len(body)) + body


class Line:
    """One request of the gateway, not yet read but for its first byte, and the connection that it came on."""

    def __init__(self, proxy: "FaultProxy", streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.proxy = proxy
        self.reader, self.writer = streams
        self.number = 0  # how many requests came before on this connection
        self.first = b""

    async def begins(self) -> bool:
        """Wait for the first byte of a request; whether one came."""
        self.first = await self.reader.read(1)
        return bool(self.first)

    async def asked(self) -> Asked:
        """Read the request."""
        head = self.first + await self.reader.readuntil(END)
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return Asked(head, await self.reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0))

    async def heard(self) -> Heard:
        """Read the request, and ask the server."""
        return await self.proxy.ask(await self.asked())

    async def send(self, data: bytes) -> None:
        """Send to the gateway, as fast as it takes it."""
        self.writer.write(data)
        await self.writer.drain()

    async def silence(self) -> None:
        """Say nothing, and take what comes, until the gateway hangs up."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """End the connection with a RST, so that what was not yet read is lost."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Fault = Callable[[Line], Awaitable[bool | None]]  # whether the connection lives on


class FaultProxy:
    """In front of a server on a port of this machine. `fault` is what happens to the requests that come from now on."""

    def __init__(self, server: int, pace: Pace) -> None:
        self.fault: Fault = passing
        self.pace = pace
        self.port = 0
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the gateway."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = Line(self, (reader, writer))
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while await line.begins() and await self.fault(line):
                    line.number += 1
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def ask(self, asked: Asked) -> Heard:
        """What the server says to a request, the framing of its answer undone."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server)
        try:
            writer.write(asked.head[:-2] + b"connection: close" + END + asked.body)
            head, _, body = (await reader.read(-1)).partition(END)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        status, *fields = head.split(b"\r\n")
        framing = (b"connection:", b"content-length:", b"transfer-encoding:", b"date:")
        kept = tuple(one for one in fields if not one.lower().startswith(framing))
        return Heard(status, kept, unchunked(body) if b"chunked" in head.lower() else body)

    async def stop(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def chunk(body: bytes) -> bytes:
    """A chunk (RFC 9112 section 7.1); of nothing, the last one."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def unchunked(body: bytes) -> bytes:
    """What stands in chunks."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :]
    return whole


async def passing(line: Line) -> bool:
    """No fault."""
    await line.send((await line.heard()).whole())
    return True


@asynccontextmanager
async def fault_proxy(server: int, pace: Pace, tls: ssl.SSLContext | None = None) -> AsyncGenerator[FaultProxy]:
    """A proxy on a free port of 127.0.0.1, in front of another port of it."""
    proxy = FaultProxy(server, pace)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.stop()
        await listener.wait_closed()


@contextmanager
def down() -> Generator[int]:
    """A port that is taken, and on which nobody listens: connections are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def blackhole() -> Generator[int]:
    """A port whose backlog is full: a SYN gets no answer."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(NEVER_ANSWERED):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
