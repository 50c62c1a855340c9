"""An MCP server that is fast, keeps a ledger, and holds what it is asked to hold: the other side of a soak.

python -m tests.soak.upstream LEDGER    prints its port, then serves until it is ended

The tool `work` is answered at once, `slow` after a while. `hold` is answered when this process gets SIGUSR2 or, if it
comes after that, at once; `tell` is answered by a stream that never ends of itself. GET and subscriptions/listen open
streams on which nothing comes but one event on each SIGUSR1.
"""

import asyncio
import json
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO, cast

import uvloop

SLOW: Final = 0.1  # seconds
FLUSH: Final = 0.2  # seconds after which the ledger can be read
STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
RESULT: Final = '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"done"}],"resultType":"complete"}}'
LISTENING: Final = '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{}}}'
PROGRESS: Final = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'
NEWS: Final = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'


def event(message: str) -> bytes:
    """A message as one event, in one chunk."""
    data = f"data: {message}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


class Held:
    """What all connections share: the ledger, the streams that are open, the calls that wait."""

    def __init__(self, ledger: TextIO) -> None:
        self.ledger = ledger
        self.streams: set[asyncio.Transport] = set()
        self.waiting: list[tuple[asyncio.Transport, str]] = []
        self.released = False

    def release(self) -> None:
        """Answer every call that waits, and from now on each that comes."""
        self.released = True
        for transport, request_id in self.waiting:
            answer(transport, request_id)
        self.waiting.clear()

    def tell(self) -> None:
        """Send an event on every stream."""
        for transport in self.streams:
            transport.write(event(NEWS))


def answer(transport: asyncio.Transport, request_id: str) -> None:
    """Send a result."""
    body = (RESULT % request_id).encode()
    transport.write(ANSWER % (len(body), body))


class Connection(asyncio.Protocol):
    """One connection from the gateway: requests one after the other."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._come = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once."""
        assert self._transport is not None
        self._held.streams.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Called with whatever comes."""
        self._come += data
        while b"\r\n\r\n" in self._come:
            head, _, rest = self._come.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(fields.get("content-length", "0"))
            if len(rest) < length:
                return
            self._come = rest[length:]
            self._take(json.loads(rest[:length]) if length else {"method": first}, fields)

    def _take(self, message: dict[str, Any], fields: dict[str, str]) -> None:
        held, transport = self._held, self._transport
        assert transport is not None
        if message["method"] != "tools/call":
            held.streams.add(transport)
            # An answered GET has nothing to say at first; a subscription is acknowledged (MCP 2026-07-28).
            transport.write(STREAM + (event(LISTENING) if "id" in message else b""))
            return
        entry = {"id": message["id"], "ts": f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z"}
        held.ledger.write(json.dumps(entry | {"correlation_id": fields.get("x-correlation-id", "")}) + "\n")
        name = message["params"]["name"]
        if name == "slow":
            asyncio.get_running_loop().call_later(SLOW, answer, transport, json.dumps(message["id"]))
        elif name == "tell":
            transport.write(STREAM + event(PROGRESS))
        elif name == "hold" and not held.released:
            held.waiting.append((transport, json.dumps(message["id"])))
        else:
            answer(transport, json.dumps(message["id"]))


async def serve(ledger: TextIO) -> None:
    """Serve on a free port of loopback, until SIGTERM."""
    loop, over, held = asyncio.get_running_loop(), asyncio.Event(), Held(ledger)
    loop.add_signal_handler(signal.SIGUSR1, held.tell)
    loop.add_signal_handler(signal.SIGUSR2, held.release)
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(lambda: Connection(held), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    while not over.is_set():
        ledger.flush()
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), FLUSH)


def main() -> None:
    """Serve, and keep the ledger."""
    with Path(sys.argv[1]).open("w", encoding="utf-8") as ledger:
        uvloop.run(serve(ledger))


if __name__ == "__main__":
    main()
