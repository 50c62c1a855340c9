"""A server that speaks of its own accord, and a client that listens."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.aggregate.houses import Town
from tests.flows.house import META, Client, rpc
from tests.flows.upstream import Seen

LISTEN = "subscriptions/listen"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"sampling": {}},
    "clientInfo": {"name": "me", "version": "1"},
}
WITHIN = 20.0  # seconds


class Speaker(Town):
    """A server with one stream at a time, on which it says what it is told to; `agrees` is what it acknowledges."""

    def __init__(self, tools: Sequence[str] = (), agrees: Mapping[str, Any] | None = None) -> None:
        super().__init__(tools)
        self.agrees = agrees or {}
        self.statuses: list[int] = []
        self.left = asyncio.Event()
        self._says: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, message: Mapping[str, Any], front: str = "") -> None:
        """Say it, with these lines in front."""
        self._says.put_nowait(f"{front}data: {json.dumps({'jsonrpc': '2.0', **message})}\n\n".encode())

    def stop(self) -> None:
        """End the stream."""
        self._says.put_nowait(None)

    @property
    def listened(self) -> list[Seen]:
        """Who listened."""
        return [seen for seen in self.ledger if seen.http_method == "GET" or seen.message.get("method") == LISTEN]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        message: dict[str, Any] = json.loads(body) if body else {}
        if scope["method"] != "GET" and message.get("method") != LISTEN:
            await super().__call__(scope, replayed(body), send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.ledger.append(Seen(scope["method"], scope["path"], headers, body))
        if self.statuses:
            await self._whole(send, self.statuses.pop(0), b"")
            return
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": b"id: 1\nretry: 9\ndata:\n\n: hello\n\n", "more_body": True})
        if message:
            self.say({"method": "notifications/too/early"})
            params = {"notifications": self.agrees, "_meta": {SUBSCRIPTION: message["id"]}}
            self.say({"method": "notifications/subscriptions/acknowledged", "params": params})
        await self._speak(receive, send)

    async def _speak(self, receive: Any, send: Any) -> None:
        leaving = asyncio.create_task(receive())
        while True:
            saying = asyncio.create_task(self._says.get())
            await asyncio.wait({leaving, saying}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                saying.cancel()
                self.left.set()
                return
            said = saying.result()
            await send({"type": "http.response.body", "body": said or b"", "more_body": said is not None})
            if said is None:
                leaving.cancel()
                return


def replayed(body: bytes) -> Any:
    """A `receive` that gives a body that was read before."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class Listener:
    """What a client hears, event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def lines(self) -> list[str]:
        """The lines of the next event; none at the end."""
        heard: list[str] = []
        async with asyncio.timeout(WITHIN):
            while line := (await self.response.content.readline()).decode():
                if line == "\n":
                    break
                heard.append(line.removesuffix("\n"))
        return heard

    async def message(self) -> dict[str, Any]:
        """The next message; {} at the end."""
        while lines := await self.lines():
            if lines[-1].startswith("data: "):
                return json.loads(lines[-1][6:])
        return {}


async def opened(client: Client) -> str:
    """The id of a new session."""
    return (await client.post(rpc("initialize", HELLO), {})).headers["mcp-session-id"]


@asynccontextmanager
async def listening_in(client: Client, session: str, last: str = "") -> AsyncGenerator[Listener]:
    """A client that listens in its session."""
    headers = {**client.headers, "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    headers |= {"Last-Event-ID": last} if last else {}
    async with client.http.get(client.url, headers=headers) as response:
        yield Listener(response)


@asynccontextmanager
async def subscribed(client: Client, wanted: Mapping[str, Any]) -> AsyncGenerator[Listener]:
    """A client of 2026-07-28 that wants to be told."""
    headers = {**client.headers, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": LISTEN}
    body = rpc(LISTEN, {"notifications": dict(wanted), "_meta": META}, "mine")
    async with client.http.post(client.url, data=body, headers=headers) as response:
        yield Listener(response)
