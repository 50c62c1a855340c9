"""`mcpgov serve --workers N` as a user starts it: its files, its process, and what all of its workers log."""

import asyncio
import json
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.flows.house import Client, Reply

PATIENCE = 60  # seconds after which something that does not happen is given up
TRIES = 400  # connections after which a worker that got none would be starved
SETTINGS = """\
listen: 127.0.0.1:0
identity: { allow_anonymous: true }
counters: per-worker
health: { every: off }
"""
ENTRY = """\
name: dev.mcpgov/city
version: 1.0.0
description: cities
upstream: URL/mcp
private: true
connections:
  city: { authType: None }
"""


@dataclass
class Pack:
    """A supervisor and its workers. `lines` are what they logged; a line that is no JSON stands as `text`."""

    folder: Path
    process: Process
    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    news: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False

    async def read(self) -> None:
        """Read what is logged until every process that could log has ended."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode()
            self.lines.append(json.loads(text) if text.startswith("{") else {"event": "", "text": text})
            self.news.set()
        self.silent = True
        self.news.set()

    async def told(self, event: str, count: int = 1, **fields: object) -> list[dict[str, Any]]:
        """The lines of this event, with these fields, once there are so many."""
        async with asyncio.timeout(PATIENCE):
            while len(found := self.found(event, **fields)) < count:
                assert not self.silent, f"no {event}: {self.lines}"
                self.news.clear()
                await self.news.wait()
        return found

    def found(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The lines of this event, with these fields, so far."""
        wanted = {"event": event, **fields}.items()
        return [line for line in self.lines if wanted <= line.items()]

    async def ended(self) -> int:
        """The exit status, once the supervisor and all workers have ended."""
        async with asyncio.timeout(PATIENCE):
            while not self.silent:
                self.news.clear()
                await self.news.wait()
            return await self.process.wait()

    async def end(self) -> int:
        """End it as an operator would. The exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def url(self) -> str:
        """Where the connection is, once all workers serve."""
        await self.told("workers-serving")
        return (await self.told("serving"))[0]["connections"][0]

    async def pids(self) -> list[int]:
        """The processes of the workers that serve first, in their order."""
        return (await self.told("workers-serving"))[0]["pids"]

    def records(self, event: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Writer, call and content of the records of one kind, in the order of commit."""
        with closing(sqlite3.connect(self.folder / "mcpgov.db")) as store:
            query = "SELECT writer, call_id, record FROM records WHERE event = ? ORDER BY id"
            rows = store.execute(query, (event,)).fetchall()
        return [(writer, call, json.loads(record)) for writer, call, record in rows]

    def writers(self, event: str) -> set[str]:
        """Who wrote records of one kind."""
        return {writer for writer, _, _ in self.records(event)}


def furnish(folder: Path, upstream: str, settings: str = SETTINGS) -> None:
    """Write the files of a gateway with one connection, `city`."""
    for name, text in (("mcpgov", settings), ("catalog/city", ENTRY.replace("URL", upstream))):
        place = folder / f"{name}.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


@asynccontextmanager
async def pack(folder: Path, workers: int = 2) -> AsyncGenerator[Pack]:
    """A gateway of so many workers, started; whatever still runs at the end is killed."""
    command = (sys.executable, "-m", "mcpgov", "serve", "--workers", str(workers), "--log-format", "json")
    process = await asyncio.create_subprocess_exec(
        *command, "--config", str(folder / "mcpgov.yaml"), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    started = Pack(folder, process)
    reading = asyncio.create_task(started.read())
    try:
        yield started
    finally:
        if process.returncode is None:
            process.kill()  # on which the workers end by themselves
        await process.wait()
        async with asyncio.timeout(PATIENCE):
            await reading


@asynccontextmanager
async def fresh(url: str) -> AsyncGenerator[Client]:
    """A client every request of which is a connection of its own, for any worker to accept."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as http:
        yield Client(http, url, "")


async def until_two_wrote(running: Pack, client: Client) -> list[Reply]:
    """Call, eight at once, until two workers have written calls down; every reply."""
    replies: list[Reply] = []
    while len(running.writers("intent")) < 2:
        assert len(replies) < TRIES, "one worker gets no connection"
        replies += await asyncio.gather(*(client.call("get_city") for _ in range(8)))
    return replies
