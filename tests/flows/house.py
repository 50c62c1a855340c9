"""A gateway in the test's own process, from real files, on a real socket, with a client that speaks plain HTTP."""

import asyncio
import io
import json
import secrets
import socket
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from mcpgov import app
from mcpgov.audit.reader import OPEN, Call, CallFilter
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import Json
from mcpgov.stage_settings import connection_limits
from tests.flows.upstream import listening
from tests.peers.web_peer import PeerServer

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Reply:
    """What the client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message, whether it came as JSON or as the last event of a stream."""
        if self.headers["content-type"].startswith("text/event-stream"):
            data = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
            return json.loads(data[-1])
        return json.loads(self.body)


class Client:
    """Posts messages to one connection with one key, and nothing that it was not told to."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str) -> None:
        self.http = http
        self.url = url
        self.headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if key:
            self.headers["X-API-Key"] = key

    async def post(self, body: bytes, headers: Mapping[str, str | None]) -> Reply:
        """POST exactly these bytes; a header given as None is left out."""
        merged = {**self.headers, **headers}
        sent = {name: value for name, value in merged.items() if value is not None}
        async with self.http.post(self.url, data=io.BytesIO(body), headers=sent) as response:
            return Reply(response.status, response.headers, await response.read())

    async def request(self, method: str, params: Mapping[str, Any] | None = None, **headers: str) -> Reply:
        """A request of the 2026-07-28 era."""
        params = {**(params or {}), "_meta": META}
        mirrors = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
        if "name" in params:
            mirrors["Mcp-Name"] = params["name"]
        return await self.post(rpc(method, params), {**mirrors, **named(headers)})

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **headers: str) -> Reply:
        """A tools/call of the 2026-07-28 era."""
        return await self.request("tools/call", {"name": tool, "arguments": arguments or {}}, **headers)

    async def handshake_request(self, method: str, params: Mapping[str, Any] | None = None, **headers: str) -> Reply:
        """A request of the 2025-11-25 era."""
        return await self.post(rpc(method, params or {}), {"MCP-Protocol-Version": HANDSHAKE, **named(headers)})


def rpc(method: str, params: Mapping[str, Any], request_id: int | str = 5) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Keyword arguments as header names: last_event_id -> last-event-id."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


class House:
    """The folder of files, the gateway that runs from it, and the ledger it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.upstream = ""
        self.running: app.Running | None = None
        self.http: aiohttp.ClientSession | None = None

    def write(self, name: str, text: str) -> None:
        """Write one file of the configuration."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def catalog(self, upstream: str, *, policies: str = "[]") -> None:
        """One server with two connections, `city` and `town`, each with a key of its own."""
        self.write(
            "catalog/city.yaml",
            f"""\
name: dev.mcpgov/city
version: 1.0.0
description: cities
upstream: {upstream}
private: true
connections:
  city:
    authType: CustomKeys
    keys: {{ X-City-Key: city-secret, Authorization: "Bearer upstream-secret" }}
    policies: {policies}
  town: {{ authType: CustomKeys, keys: {{ X-City-Key: town-secret }} }}
""",
        )

    async def furnish(self, upstream: str, **policies: str) -> None:
        """Put a catalog with these policies on `city` in force."""
        for name, text in policies.items():
            self.write(f"policies/{name}.yaml", text)
        self.catalog(upstream, policies=f"[{', '.join(policies)}]")
        self.upstream = upstream
        self.reload()

    async def govern_by(self, policy: str) -> None:
        """Put one policy on `city` in force."""
        await self.furnish(self.upstream, rules=policy)

    def reload(self) -> None:
        """Put the files in force; they are good."""
        assert self.running is not None
        result = self.running.generations.try_reload()
        assert result.problems == ()

    async def key(self, name: str = "agent", project: str = "payments") -> str:
        """A gateway key that holds."""
        key_id, key = mint_key(secrets.choice)
        async with app.openers().keys(self.folder / "mcpgov.yaml") as keys:
            await keys.create(KeyRecord(key_id, digest(key.reveal()), name, project, datetime.now(UTC)))
        return key.reveal()

    async def client(self, connection: str = "city", key: str | None = None) -> Client:
        """A client of one connection; with a fresh key unless one is given ("" for none)."""
        assert self.http is not None
        return Client(self.http, f"{self.url}/mcp/{connection}", await self.key() if key is None else key)

    async def records(self, **fields: Json) -> list[Mapping[str, Json]]:
        """Every record of a call that has these values, oldest first, once every call has its end."""
        async with asyncio.timeout(10):
            calls = self._calls()
            while any(call.status == OPEN for call in calls):
                await asyncio.sleep(0)
                calls = self._calls()
        records = [record for call in calls for record in (call.begun, call.ended) if record is not None]
        return [record for record in records if all(record.get(name) == value for name, value in fields.items())]

    async def event(self, name: str) -> Mapping[str, Json]:
        """The control record of this event, once there is one."""
        reader = app.openers().reader(self.folder / "mcpgov.yaml")
        async with asyncio.timeout(10):
            while not (found := [call.begun for call in reader.latest(1000) if call.reason == name]):
                await asyncio.sleep(0)
        return found[-1]

    def _calls(self) -> Sequence[Call]:
        reader = app.openers().reader(self.folder / "mcpgov.yaml")
        return reader.calls(CallFilter(limit=10_000, oldest_first=True))


@asynccontextmanager
async def house_that_knows_its_url(
    folder: Path, settings: str, furnish: Callable[[House], None]
) -> AsyncGenerator[House]:
    """A gateway with a public_url, which `{url}` stands for in `settings`; `furnish` writes its other files."""
    built = House(folder)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        built.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        basic = f'audit: {{ store: "sqlite:///audit.db" }}\npublic_url: {built.url}\n'
        quiet = "" if "health:" in settings else "\nhealth: { every: off }\n"
        built.write("mcpgov.yaml", basic + settings.replace("{url}", built.url) + quiet)
        for name in ("catalog", "policies"):
            (folder / name).mkdir(exist_ok=True)
        furnish(built)
        async with app.running(folder / "mcpgov.yaml") as running, aiohttp.ClientSession() as http:
            built.running, built.http = running, http
            server = PeerServer(running.gateway)
            serving = asyncio.create_task(server.serve_on(sock))
            try:
                yield built
            finally:
                server.should_exit = server.force_exit = True
                server.told_to_end.set()
                await serving


@asynccontextmanager
async def house(
    folder: Path, settings: str = "", audit: str = "", store: str = "sqlite:///audit.db"
) -> AsyncGenerator[House]:
    """A gateway running from `folder`, whose catalog is still empty. `audit` goes on from `, `. It asks no server by
    itself, unless `settings` say how often, so that every call is one that the test has made.
    """
    built = House(folder)
    settings += "" if "health:" in settings else "\nhealth: { every: off }\n"
    built.write("mcpgov.yaml", f'audit: {{ store: "{store}"{audit} }}\n{settings}')
    (folder / "catalog").mkdir(exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    async with app.running(folder / "mcpgov.yaml") as running, aiohttp.ClientSession() as http:
        built.running, built.http = running, http
        async with listening(running.gateway, connection_limits(running.storage.settings)) as url:
            built.url = url
            yield built
