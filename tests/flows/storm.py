"""Many clients at once on one connection, each with a secret of its own, leaving and cancelling as they like.

    python -m tests.flows.storm --clients 200 --calls 50000

All use the request id 1, in both eras, and the server's answers come at once, late, whole and in events. What a client
gets may hold its own canary and nobody else's: one that does not is printed, and ends the run with 1.
"""

import argparse
import asyncio
import json
import random
import re
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcpgov import app
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from tests.aggregate.houses import entry
from tests.flows.house import META, Client, House, house
from tests.flows.upstream import listening

CANARY = re.compile(r"canary-[0-9a-f]{16}")
LEAVES = 5  # one call in so many is left before it is answered
TURNS = 60  # of the loop, at most, until it is left
LATE = 40  # turns of the loop that an answer may take


class Echo:
    """A server that answers with the canary of the call, and with that of the session it came in."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sessions: dict[str, str] = {}
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        message = json.loads(body or b"{}")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        session = headers.get("mcp-session-id", "")
        if message.get("method") == "initialize":
            session = str(len(self._sessions) + 1)
            self._sessions[session] = message["params"]["clientInfo"]["name"]
        if "id" not in message:
            await self._answer(send, b"", session, streaming=False)
            return
        self.calls += 1
        for _ in range(self._chance.randrange(LATE)):
            await asyncio.sleep(0)
        said = [str(message["params"].get("arguments")), self._sessions.get(session, "")]
        content = [{"type": "text", "text": text} for text in said]
        result: dict[str, Any] = {"content": content, "resultType": "complete", "protocolVersion": "2025-11-25"}
        data = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        await self._answer(send, data, session, streaming=self._chance.random() < 0.5)

    async def _answer(self, send: Any, data: bytes, session: str, *, streaming: bool) -> None:
        media = b"text/event-stream" if streaming else b"application/json"
        headers = [(b"content-type", media)]
        headers += [(b"mcp-session-id", session.encode())] if session else []
        await send({"type": "http.response.start", "status": 200 if data else 202, "headers": headers})
        parts = [b": wait\n\n", b"id: 1\ndata: " + data + b"\n\n"] if streaming else [data]
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Seen:
    """What came of it."""

    ended: Counter[str] = field(default_factory=Counter[str])
    foreign: list[str] = field(default_factory=list[str])

    def reply(self, own: str, status: int, text: str) -> None:
        """Note one answer."""
        found = set(CANARY.findall(text))
        self.foreign += [f"{own} got {other}" for other in found - {own}]
        self.ended["answered" if status == 200 and own in found else f"status {status} without its canary"] += 1


@dataclass
class Caller:
    """One client, its canary and its session."""

    client: Client
    canary: str
    session: str = ""

    async def open(self) -> None:
        """Greet, and keep the session."""
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": self.canary}}
        self.session = (await self.client.handshake_request("initialize", hello)).headers["mcp-session-id"]

    async def call(self, seen: Seen, *, stateless: bool) -> None:
        """One call in one era, id 1."""
        params: dict[str, Any] = {"name": "echo", "arguments": {"text": self.canary}}
        if stateless:
            params["_meta"] = META
            headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
        else:
            headers = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": self.session}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        reply = await self.client.post(body, dict(headers))
        seen.reply(self.canary, reply.status, reply.body.decode())


async def calls_of(caller: Caller, count: int, chance: random.Random, seen: Seen) -> None:
    """So many calls one after another; some are left, and some of those are said to be cancelled."""
    for _ in range(count):
        task = asyncio.create_task(caller.call(seen, stateless=chance.random() < 0.5))
        if chance.randrange(LEAVES):
            await task
            continue
        for _ in range(chance.randrange(TURNS)):
            await asyncio.sleep(0)
        if task.cancel():
            seen.ended["left"] += 1
        await asyncio.wait({task})
        if chance.random() < 0.5:
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
            headers = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": caller.session}
            await caller.client.post(json.dumps(note).encode(), dict(headers))


async def storm(folder: Path, clients: int, calls: int, seed: int = 1) -> Seen:
    """Let so many clients make so many calls together."""
    chance, seen = random.Random(seed), Seen()
    async with listening(Echo(chance)) as url, house(folder) as gateway:
        gateway.write("catalog/city.yaml", entry("city", f"{url}/mcp"))
        gateway.reload()
        callers = [one async for one in callers_of(gateway, clients)]
        shares = list(shared(calls, clients))
        await asyncio.gather(*(calls_of(one, share, chance, seen) for one, share in zip(callers, shares, strict=True)))
    return seen


async def callers_of(gateway: House, count: int) -> AsyncGenerator[Caller]:
    """Clients with a key and a session each."""
    async with app.openers().keys(gateway.folder / "mcpgov.yaml") as keys:
        for number in range(count):
            key_id, key = mint_key(secrets.choice)
            await keys.create(KeyRecord(key_id, digest(key.reveal()), f"client-{number}", "", datetime.now(UTC)))
            caller = Caller(await gateway.client("city", key.reveal()), f"canary-{secrets.token_hex(8)}")
            await caller.open()
            yield caller


def shared(calls: int, clients: int) -> Iterator[int]:
    """How many calls each client makes."""
    for number in range(clients):
        yield calls // clients + (number < calls % clients)


def main() -> int:
    """Run it long."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clients", type=int, default=200)
    arguments.add_argument("--calls", type=int, default=50_000)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(storm(Path(folder), given.clients, given.calls, given.seed))
    sys.stdout.write(f"{given.clients} clients: {dict(seen.ended)}, foreign canaries: {len(seen.foreign)}\n")
    sys.stdout.writelines(f"{line}\n" for line in seen.foreign)
    return 1 if seen.foreign or seen.ended["answered"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
