"""SIGTERM as clients see it who have a stream open: each is told in the way its stream allows, and recorded."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mcpgov.endpoint.server import GatewayServer
from tests.flows.house import HANDSHAKE, META, STATELESS, House, house, rpc
from tests.flows.upstream import listening

WITHIN = 10
STOPPING = "gateway-stopping"


@dataclass
class Endless:
    """Answers everything with a stream that has begun and does not end."""

    left: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        body = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await receive()
        self.left.append(scope["method"])


@dataclass
class Ending:
    """A gateway that serves, with a client that has a key."""

    built: House
    server: GatewayServer
    serving: asyncio.Task[None]
    url: str
    key: str

    async def ready(self) -> int:
        """The status of /readyz."""
        assert self.built.http is not None
        async with self.built.http.get(f"{self.url}/readyz") as response:
            return response.status

    @asynccontextmanager
    async def open(self, method: str, name: str = "") -> AsyncGenerator[aiohttp.ClientResponse]:
        """A stream, once it has begun: the GET of a session, or a request with the id 5."""
        fields = {"X-API-Key": self.key, "Accept": "application/json, text/event-stream"}
        body = None
        if method == "GET":
            fields["MCP-Protocol-Version"] = HANDSHAKE
        else:
            fields |= {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method, "Content-Type": "application/json"}
            fields |= {"Mcp-Name": name} if name else {}
            body = rpc(method, {**({"name": name, "arguments": {}} if name else {"notifications": {}}), "_meta": META})
        verb = "GET" if body is None else "POST"
        assert self.built.http is not None
        async with self.built.http.request(verb, f"{self.url}/mcp/city", headers=fields, data=body) as response:
            assert response.status == 200
            await response.content.readuntil(b"\n\n")
            yield response


@pytest.fixture
async def upstream() -> AsyncGenerator[tuple[Endless, str]]:
    endless = Endless()
    async with listening(endless) as url:
        yield endless, url


@asynccontextmanager
async def serving(folder: Path, upstream: str) -> AsyncGenerator[Ending]:
    """A gateway before an upstream, whose running calls get no time."""
    async with house(folder) as built:
        await built.furnish(f"{upstream}/mcp")
        assert built.running is not None
        gateway = built.running.gateway
        server = GatewayServer(gateway, drain=0, ending=gateway.drain)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            task = asyncio.create_task(server.serve_on(sock))
            async with asyncio.timeout(WITHIN):
                yield Ending(built, server, task, url, await built.key())
                server.should_exit = True
                await task


async def test_the_stream_of_a_get_just_ends(tmp_path: Path, upstream: tuple[Endless, str]) -> None:
    async with serving(tmp_path, upstream[1]) as ending, ending.open("GET") as stream:
        assert await ending.ready() == 200
        assert ending.built.running is not None
        ending.built.running.gateway.drain()
        assert await stream.content.read() == b""  # a whole end: a line that broke would raise
        assert await ending.ready() == 503
        assert (await ending.built.records(event="outcome"))[0]["mcpgov.reason"] == STOPPING


@pytest.mark.parametrize(("method", "name"), [("subscriptions/listen", ""), ("tools/call", "get_city")])
async def test_who_has_an_id_is_told_in_the_stream_by_its_id(
    tmp_path: Path, upstream: tuple[Endless, str], method: str, name: str
) -> None:
    async with serving(tmp_path, upstream[1]) as ending, ending.open(method, name) as stream:
        ending.server.handle_exit(15, None)
        rest = await stream.content.read()
        assert rest.startswith(b'event: message\ndata: {"jsonrpc":"2.0","id":5,"error":')
        assert f'"reason":"{STOPPING}"'.encode() in rest
        await ending.serving
        outcomes = await ending.built.records(event="outcome")
        assert Counter((one["mcpgov.status"], one["mcpgov.reason"]) for one in outcomes) == {("cancelled", STOPPING): 1}
    assert upstream[0].left == ["POST"]
