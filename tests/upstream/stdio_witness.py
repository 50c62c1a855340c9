"""What local servers got, told by themselves: each reports its lines over a socket, and its end by closing it."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcpgov.models import Connection, LocalUpstream, Secret
from mcpgov.upstream.stdio_process import StdioProcess

SCRIPT = Path(__file__).with_name("stdio_server.py")
PATIENCE = 20.0  # seconds


class BreakingProcess(StdioProcess):
    """A server that can be read up to its first line, and then fails its reader in a way that nobody foresaw."""

    async def lines(self) -> AsyncGenerator[bytes, None]:
        async for _ in super().lines():
            yield b""
            raise RuntimeError("broken")


class Seen:
    """One process."""

    def __init__(self) -> None:
        self.pid = 0
        self.lines: list[dict[str, Any]] = []
        self.over = False
        self._changed = asyncio.Condition()

    async def watch(self, reader: asyncio.StreamReader) -> None:
        self.pid = int(await reader.readline())
        while line := await reader.readline():
            async with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()
        async with self._changed:
            self.over = True
            self._changed.notify_all()

    async def got(self, method: str) -> dict[str, Any]:
        """The first message with this method, when it has come."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: any(line.get("method") == method for line in self.lines))
        return next(line for line in self.lines if line.get("method") == method)

    async def got_lines(self, number: int) -> list[dict[str, Any]]:
        """All messages, when there are so many."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.lines) >= number)
        return self.lines

    async def ended(self) -> None:
        """Return when the process is gone."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.over)


class Witness:
    """All processes, in the order of their start."""

    def __init__(self) -> None:
        self.processes: list[Seen] = []
        self.port = 0
        self._met = asyncio.Condition()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Seen()
        async with self._met:
            self.processes.append(seen)
            self._met.notify_all()
        try:
            await seen.watch(reader)
        finally:
            writer.close()

    async def process(self, number: int = 0) -> Seen:
        """The process that was started as this one, when it runs."""
        async with asyncio.timeout(PATIENCE), self._met:
            await self._met.wait_for(lambda: len(self.processes) > number)
        return self.processes[number]

    def connection(self, *flags: str, timeout: float = PATIENCE, name: str = "test", key: str = "s3cret") -> Connection:
        """A connection to the test server."""
        environment = (("LEDGER_PORT", Secret(str(self.port))), ("KEY", Secret(key)))
        upstream = LocalUpstream((sys.executable, "-I", "-S", str(SCRIPT), *flags), environment)
        return Connection(name, "dev.mcpgov/test", upstream, timeout=timeout)


@asynccontextmanager
async def witnessing() -> AsyncGenerator[Witness, None]:
    """A witness, until the context is left."""
    witness = Witness()
    server = await asyncio.start_server(witness.meet, "127.0.0.1", 0)
    witness.port = server.sockets[0].getsockname()[1]
    async with server:
        yield witness
