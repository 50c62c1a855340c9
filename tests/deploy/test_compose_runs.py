"""compose.yaml without containers: its nginx, its settings, two gateways, a real PostgreSQL, a Redis with its user."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.deploy.configured import copy_of
from tests.faults.tools import left_out
from tests.flows.house import Client
from tests.flows.upstream import CityUpstream, listening
from tests.peers.balancer import has_nginx, nginx
from tests.peers.process import free_port, running, wait_until_answers
from tests.store.postgres import PASSWORD, has_postgres, postgres_server
from tests.store.redis import has_redis, redis_server

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
CALLER = "127.0.0.2"
LIMIT = 6


class Streaming(CityUpstream):
    """Answers a call by a stream, whose end waits until somebody has read its beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.read = asyncio.Event()

    async def _called(self, message: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        progress = (
            b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'
        )
        await send({"type": "http.response.body", "body": progress + b"\n\n", "more_body": True})
        await self.read.wait()
        answer = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}).encode()
        await send({"type": "http.response.body", "body": b"data: " + answer + b"\n\n"})


def can_run() -> bool:
    """Whether every program is there; says so where not."""
    there = has_nginx() and has_postgres() and has_redis()
    return bool(there) or left_out("nginx, a PostgreSQL or a Redis is not there to run what compose.yaml runs")


def mcpgov(config: Path, *words: str) -> str:
    """What a verb prints."""
    command = [sys.executable, "-m", "mcpgov", *words, "--config", str(config)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Fleet:
    """Where everything is: the address of nginx, and of each gateway a folder with its settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.front = free_port()
        self.ports = {"gateway-1": free_port(), "gateway-2": free_port()}
        self.url = f"http://localhost:{self.front}"
        subprocess.run(["sh", COMPOSE / "secrets.sh", self.secrets], check=True)

    def config(self, name: str) -> Path:
        return self.folder / name / "mcpgov.yaml"

    def write(self, postgres: str, redis: int, upstream: str) -> None:
        """The files of compose/, with hosts and ports of this machine in the place of its services."""
        (self.secrets / "postgres-password").write_text(PASSWORD.replace("/", "%2F"))
        for name, port in self.ports.items():
            replaced = {
                "listen: 0.0.0.0:8080": f"listen: 127.0.0.1:{port}",
                "http://localhost:8080": self.url,
                "0.0.0.0:8081": f"127.0.0.1:{free_port()}",
                "172.30.71.2/32": "127.0.0.1/32",
                "/run/secrets": str(self.secrets),
                "mcpgov:${file:": "gateway:${file:",
                "@postgres:5432/mcpgov": f"@{postgres}",
                "redis://gateway:": "redis://mcpgov:",
                "@valkey:6379": f"@127.0.0.1:{redis}",
                "calls: 120": f"calls: {LIMIT}",
                "https://learn.microsoft.com/api/mcp": f"{upstream}\nprivate: true",
            }
            copy_of(COMPOSE / "gateway", self.folder / name, replaced)

    def conf(self) -> str:
        """The nginx.conf of compose/, in the same way."""
        conf = (COMPOSE / "nginx.conf").read_text("utf-8")
        for name, port in self.ports.items():
            conf = conf.replace(f"{name}:8080", f"127.0.0.1:{port}")
        conf = conf.replace("listen 8080", f"listen 127.0.0.1:{self.front}").replace(" /tmp", f" {self.folder}")
        return conf.replace("/dev/stdout", "off")


@asynccontextmanager
async def fleet(folder: Path, upstream: str) -> AsyncGenerator[Fleet]:
    """All of it, running."""
    made = Fleet(folder)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres_server())
        redis = stack.enter_context(redis_server(folder, "--aclfile", str(made.secrets / "valkey-users")))
        made.write(server.database().reveal().rpartition("@")[2], redis.port, upstream)
        for name, port in made.ports.items():
            log = folder / f"{name}.log"
            command = [sys.executable, "-m", "mcpgov", "serve", "--config", str(made.config(name))]
            program = stack.enter_context(running(command, log, cwd=folder / name))
            await asyncio.to_thread(wait_until_answers, f"http://127.0.0.1:{port}/readyz", program, log)
        await asyncio.to_thread(stack.enter_context, nginx(folder, made.conf(), f"{made.url}/front/livez"))
        yield made


def intents(config: Path) -> list[tuple[str, str]]:
    """Of every call of a tool that was sent on, who wrote it down, and the address of its caller."""
    lines = map(json.loads, mcpgov(config, "audit", "export").splitlines())
    entries = [line["entry"] for line in lines if "entry" in line]
    calls = [one for one in entries if one["record"].get("mcp.method.name") == "tools/call"]
    return [(one["writer"], one["record"]["client.address"]) for one in calls if one["record"]["event"] == "intent"]


async def test_two_gateways_behind_nginx_are_one(tmp_path: Path) -> None:
    if not can_run():
        return
    upstream = Streaming()
    async with listening(upstream) as url, fleet(tmp_path, f"{url}/mcp") as made:
        config = made.config("gateway-1")
        key = json.loads(await asyncio.to_thread(mcpgov, config, "keys", "create", "tester", "--json"))["key"]
        from_elsewhere = aiohttp.TCPConnector(local_addr=(CALLER, 0))
        async with aiohttp.ClientSession(connector=from_elsewhere) as http:
            client = Client(http, f"{made.url}/mcp/learn", key)
            await the_beginning_of_an_answer_comes_before_its_end(client, upstream)
            replies = [await client.call("get_city", x_forwarded_for="203.0.113.9") for _ in range(2 * LIMIT)]
        assert Counter(reply.status for reply in replies) == {200: LIMIT - 1, 429: LIMIT + 1}
        ledger = await asyncio.to_thread(intents, config)
    assert {address for _, address in ledger} == {CALLER}
    assert len({writer for writer, _ in ledger}) == 2


async def the_beginning_of_an_answer_comes_before_its_end(client: Client, upstream: Streaming) -> None:
    """Nothing on the way holds an event back: the upstream goes on only once we have read the first."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_city"}})
    headers = {**client.headers, "MCP-Protocol-Version": "2025-11-25"}
    async with asyncio.timeout(20), client.http.post(client.url, data=body, headers=headers) as response:
        assert b"notifications/progress" in await response.content.readline()
        upstream.read.set()
        assert b'"result"' in await response.content.read()
