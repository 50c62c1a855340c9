"""The gateway as a process of its own, before an upstream that keeps a ledger, and a client that keeps one too."""

import asyncio
import itertools
import json
import os
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from mcpgov.audit.verify import verify
from mcpgov.models import Json
from mcpgov.store.evidence import open_sqlite_evidence
from tests.faults.checker import ClientEntry, Finding, Kept, UpstreamEntry, check

ROOT = Path(__file__).parents[2]
VERSION = "2026-07-28"
META: dict[str, Json] = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": VERSION,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "work",
}
SETTINGS = """\
listen: 127.0.0.1:0
identity: { allow_anonymous: true }
audit: { store: "sqlite:///mcpgov.db" }
health: { every: off }
"""
ENTRY = """\
name: dev.mcpgov/ledger
version: 1.0.0
description: writes every call down before it answers
upstream: http://127.0.0.1:PORT/mcp
private: true
connections:
  ledger: { authType: None }
"""


@dataclass
class Site:
    """A folder with the gateway's files, and what the client saw."""

    folder: Path
    client: list[ClientEntry] = field(default_factory=list[ClientEntry])
    milestone: tuple[int, asyncio.Event] = field(default_factory=lambda: (0, asyncio.Event()))
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def store(self) -> Path:
        """The gateway's store."""
        return self.folder / "mcpgov.db"

    def kept(self) -> list[Kept]:
        """The rows of the ledger, in the order of commit."""
        with closing(sqlite3.connect(self.store)) as database:
            rows = database.execute("SELECT writer, seq, call_id, record FROM records ORDER BY id").fetchall()
        return [Kept(*row) for row in rows]

    def executed(self) -> list[UpstreamEntry]:
        """The upstream's ledger."""
        lines = (self.folder / "upstream.jsonl").read_text().splitlines()
        return [UpstreamEntry(**json.loads(line)) for line in lines]

    def locks(self) -> list[str]:
        """The files whose locks say which gateways live."""
        return [path.name for path in self.folder.glob("*-writer-*")]

    def findings(self) -> list[Finding]:
        """What does not add up, and what the ledger cannot prove."""
        with open_sqlite_evidence(self.store) as evidence:
            verdict = verify(evidence, None, {})
        unproved = [Finding(f"not-proved-{finding.kind.name}", str(finding)) for finding in verdict.findings]
        return check(self.client, self.executed(), self.kept()) + unproved

    @asynccontextmanager
    async def upstream(self) -> AsyncGenerator[None]:
        """The upstream, running, and the gateway's files that lead to it."""
        process = await start("tests.faults.ledger_upstream", str(self.folder / "upstream.jsonl"))
        try:
            assert process.stdout is not None
            port = (await process.stdout.readline()).decode().strip()
            (self.folder / "catalog").mkdir()
            (self.folder / "catalog" / "ledger.yaml").write_text(ENTRY.replace("PORT", port))
            (self.folder / "mcpgov.yaml").write_text(SETTINGS)
            yield
        finally:
            process.kill()
            await process.wait()

    async def gateway(self, environment: Mapping[str, str] | None = None) -> tuple[Process, str]:
        """The gateway, serving, and the URL of its connection. `environment` is added to ours."""
        settings = str(self.folder / "mcpgov.yaml")
        process = await start("mcpgov", "serve", "-c", settings, "--log-format", "json", environment=environment)
        assert process.stderr is not None
        told: list[str] = []
        async for line in process.stderr:
            told.append(line.decode())
            if '"serving"' in told[-1]:
                return process, json.loads(told[-1])["connections"][0]
        raise AssertionError("".join(told))

    async def calls(self, url: str, *, at_once: int, then: asyncio.Event, after: int) -> None:
        """Call as fast as answers come, until the gateway is gone. `then` is set `after` so many calls."""
        self.milestone = len(self.client) + after, then
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
            await asyncio.gather(*(self._caller(http, url) for _ in range(at_once)))

    async def _caller(self, http: aiohttp.ClientSession, url: str) -> None:
        entry = ClientEntry("", "")
        while entry.got != "nothing":
            entry = await self.call(http, url)

    async def call(self, http: aiohttp.ClientSession, url: str) -> ClientEntry:
        """One call, and what the client knows of it."""
        request_id = f"call-{next(self.numbers)}"
        params: dict[str, Json] = {"name": "work", "arguments": {"for": request_id}, "_meta": META}
        message: dict[str, Json] = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
        try:
            async with http.post(url, json=message, headers=HEADERS) as response:
                answer, ours = await response.json(), response.headers.get("x-correlation-id", "")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            entry = ClientEntry(request_id, "nothing")
        else:
            told = answer.get("error", {}).get("data", {}).get("reason", "")
            entry = ClientEntry(request_id, "refused" if "error" in answer else "result", told, ours)
        self.client.append(entry)
        if len(self.client) == self.milestone[0]:
            self.milestone[1].set()
        return entry


async def start(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
    """A Python program of ours, as a process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
