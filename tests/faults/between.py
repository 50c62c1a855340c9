"""A gateway, a proxy that breaks what passes, and a real server behind it.

All in this process: so that what is left over after a fault can be counted, to the task and to the descriptor.

Each connection to the server through the proxy is there twice: `quick`, whose time-out comes soon, for faults that only
time ends; and `patient`, so that on a busy machine a slow answer is not taken for one that never comes.
"""

import asyncio
import gc
import ssl
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from mcpgov.models import Json
from mcpgov.upstream.switch import Upstreams
from tests.audit.stores import until
from tests.faults.proxy import Fault, FaultProxy, blackhole, down, fault_proxy
from tests.flows.house import HANDSHAKE, Client, House, Reply, house
from tests.flows.upstream import CityUpstream, listening
from tests.upstream.certificates import self_signed

QUICK: Final = 0.3  # seconds
PATIENT: Final = 30.0
SETTINGS: Final = "identity: { allow_anonymous: true }\nlimits: { event_bytes: 1048576 }"
STEP: Final = 0.02  # seconds between two bytes of a slow answer
GIVEN_UP: Final = 20.0  # seconds after which the client says that it got no answer
STREAM: Final = "GET"
NOTICE: Final = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"on"}}\n\n'


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked, and how it is answered."""

    name: str
    version: str
    tool: str  # or GET

    @property
    def calls(self) -> bool:
        """Whether it is a tools/call."""
        return self.tool != STREAM


JSON_2026: Final = Shape("JSON 2026", "2026", "get_city")
JSON_2025: Final = Shape("JSON 2025", "2025", "get_city")
SSE_2026: Final = Shape("SSE 2026", "2026", "list_cities")
SSE_2025: Final = Shape("SSE 2025", "2025", "list_cities")
GET_2025: Final = Shape("GET 2025", "2025", STREAM)
SHAPES: Final = (JSON_2026, JSON_2025, SSE_2026, SSE_2025, GET_2025)


class EveryWay(CityUpstream):
    """Answers one tool with JSON, the other with a stream, and a GET with a stream that says one thing."""

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        self.answers_with = "sse" if message["params"].get("name") == SSE_2026.tool else "json"
        await super()._answer(send, message, result)

    async def _whole(self, send: Any, status: int, body: bytes) -> None:
        if status != 405:
            await super()._whole(send, status, body)
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hello\n\n" + NOTICE})


@dataclass(frozen=True, slots=True)
class Got:
    """What the client got: a reason, or `ok`; `open` for a stream that has begun, `cut` for one that ended without an
    answer, `twice` for one with two; or what is no definite answer: `broken`, `hung`.
    """

    what: str
    seconds: float
    correlation_id: str = ""
    retry_after: str = ""


class Between:
    """The whole, with what is asked of it."""

    def __init__(self, gateway: House, server: EveryWay, proxies: dict[str, FaultProxy]) -> None:
        self.gateway = gateway
        self.server = server
        self.proxies = proxies

    def breaks(self, fault: Fault) -> None:
        """From now on this happens to every request."""
        for proxy in self.proxies.values():
            proxy.fault = fault

    async def ask(self, connection: str, shape: Shape, *, leaves: bool = False) -> Got:
        """Ask, on a connection of the client's own. `leaves`: once a stream has begun, the client goes."""
        began = time.perf_counter()
        timeout = aiohttp.ClientTimeout(GIVEN_UP)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            try:
                reply = await self._asked(http, f"{self.gateway.url}/mcp/{connection}", shape, leaves=leaves)
            except TimeoutError:
                return Got("hung", time.perf_counter() - began)
            except aiohttp.ClientError:
                return Got("broken", time.perf_counter() - began)
        told = reply.headers
        return Got(
            what(reply, shape, leaves=leaves),
            time.perf_counter() - began,
            told.get("x-correlation-id", ""),
            told.get("retry-after", ""),
        )

    async def _asked(self, http: aiohttp.ClientSession, url: str, shape: Shape, *, leaves: bool) -> Reply:
        client = Client(http, url, "")
        if shape.calls:
            params = {"name": shape.tool, "arguments": {"for": shape.name}}
            ask = client.request if shape.version == "2026" else client.handshake_request
            return await ask("tools/call", params)
        headers = {"Accept": "text/event-stream", "MCP-Protocol-Version": HANDSHAKE}
        async with http.get(url, headers=headers) as response:
            gone = leaves and response.status == 200
            return Reply(response.status, response.headers, b"" if gone else await response.read())

    async def all_shapes(self, connection: str, leaves: Iterable[Shape] = ()) -> dict[Shape, Got]:
        """Every shape at once."""
        left = frozenset(leaves)
        got = await asyncio.gather(*(self.ask(connection, shape, leaves=shape in left) for shape in SHAPES))
        return dict(zip(SHAPES, got, strict=True))

    async def outcomes(self, asked: Iterable[Got]) -> list[tuple[Json, Json]]:
        """The status and the reason in the last record of each call."""
        last = {record.get("correlation_id"): record for record in await self.gateway.records()}
        records = [last[got.correlation_id] for got in asked]
        return [(record.get("mcpgov.status"), record.get("mcpgov.reason")) for record in records]

    def executed(self) -> Counter[str]:
        """How often the server ran the call of each shape."""
        return Counter(seen.message["params"]["arguments"]["for"] for seen in self.server.calls)

    async def keep(self, *, pools: bool) -> None:
        """Keep connections to servers for the next call; or none, so that what is left over shows."""
        assert self.gateway.running is not None
        running = self.gateway.running
        assert isinstance(running.stages.upstream, Upstreams)
        await running.stages.upstream.update(running.generations.current().connections.values() if pools else ())

    async def settled(self, baseline: tuple[int, int]) -> tuple[int, int]:
        """What there is, once that is what there was; or what there is after a while."""
        gc.collect()  # readers of the ledger are let go of when they are collected
        try:
            await until(lambda: left() == baseline)
        except TimeoutError:
            return left()
        return baseline


def left() -> tuple[int, int]:
    """Tasks and open descriptors."""
    return len(asyncio.all_tasks()), sum(1 for _ in Path("/proc/self/fd").iterdir())


def what(reply: Reply, shape: Shape, *, leaves: bool) -> str:
    """What an answer is to the client."""
    if leaves and reply.status == 200:
        return "open"
    streaming = reply.headers.get("content-type", "").startswith("text/event-stream")
    if streaming and b"data: " not in reply.body:
        return "cut" if shape.calls else "ok"
    try:
        message = reply.message
    except ValueError:
        return "garbage"
    if streaming and reply.body.count(b'"result"') > 1:
        return "twice"
    if "error" in message:
        return message["error"]["data"]["reason"]
    return "ok" if "result" in message or not shape.calls else "cut"


def entry(name: str, url: str, policies: str = "") -> str:
    """The catalog entry of one connection."""
    served = f"connections: {{ {name}: {{ authType: None, timeout: {PATIENT:.0f}s, policies: [{policies}] }} }}"
    return (
        f"name: dev.mcpgov/{name}\nversion: 1.0.0\ndescription: cities\nupstream: {url}/mcp\nprivate: true\n{served}\n"
    )


@asynccontextmanager
async def between(folder: Path) -> AsyncGenerator[Between]:
    """All of it, running. The environment's SSL_CERT_FILE has to name server.pem of this folder."""
    certificate = self_signed(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    pace, server = partial(asyncio.sleep, STEP), EveryWay()
    async with AsyncExitStack() as open_:
        url = await open_.enter_async_context(listening(server))
        port = urlsplit(url).port or 0
        plain = await open_.enter_async_context(fault_proxy(port, pace))
        sealed = await open_.enter_async_context(fault_proxy(port, pace, tls))
        sound = await open_.enter_async_context(fault_proxy(port, pace))  # never broken: the same way, for comparison
        gateway = await open_.enter_async_context(
            house(folder, "identity: { allow_anonymous: true }\nlimits: { event_bytes: 1048576 }")
        )
        places = {
            "plain": f"http://127.0.0.1:{plain.port}",
            "tls": f"https://127.0.0.1:{sealed.port}",
            "handshake": f"https://127.0.0.1:{plain.port}",
            "down": f"http://127.0.0.1:{open_.enter_context(down())}",
            "blackhole": f"http://127.0.0.1:{open_.enter_context(blackhole())}",
        }
        for name, place in places.items():
            gateway.write(f"catalog/{name}-quick.yaml", entry(f"{name}-quick", place, "quick"))
            gateway.write(f"catalog/{name}-patient.yaml", entry(f"{name}-patient", place))
        gateway.write("catalog/well.yaml", entry("well", f"http://127.0.0.1:{sound.port}"))
        gateway.write("policies/quick.yaml", f"backend: [forward-request: {{ timeout-ms: {QUICK * 1000:.0f} }}]\n")
        gateway.reload()
        yield Between(gateway, server, {"plain": plain, "tls": sealed})
