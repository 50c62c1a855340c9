"""A gateway under a soak: its files, its process and the upstream's, and what the system says of it."""

import asyncio
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.gateway import ROOT, Site
from tests.soak.caller import Caller

PATIENCE: Final = 120  # seconds after which what does not happen is given up
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
SETTINGS: Final = """\
listen: 127.0.0.1:0
identity: { allow_anonymous: true }
audit: { store: "sqlite:///mcpgov.db" }
counters: per-worker
health: { every: off }
global_policies: [rules]
"""
POLICY: Final = """\
inbound:
  - rate-limit-by-key: { calls: 1000000, renewal-period: 60, counter-key: principal.id }
  - tool-rules: { allow: [work, slow, hold, tell], deny: [delete_*] }
"""
ENTRY: Final = """\
name: dev.mcpgov/soak-NUMBER
version: 1.0.0
description: what is called while the gateway is watched
upstream: http://127.0.0.1:PORT/mcp?NUMBER
private: true
connections:
  soak-NUMBER: { authType: None, timeout: 240s }
"""
WRONG: Final = ("Exception ignored in", "Traceback", '"level": "error"', '"level": "critical"', "never retrieved")


@dataclass(frozen=True)
class Sample:
    """What the system says of a process at a moment. `rss` is in bytes."""

    rss: int
    descriptors: int
    threads: int


@dataclass
class SoakSite(Site):
    """A site whose gateway has so many workers; its connections lead to one upstream, each with a pool of its own."""

    workers: int = 1
    connections: int = 1
    lines: list[str] = field(default_factory=list[str])
    urls: list[str] = field(default_factory=list[str])
    callers: list[Caller] = field(default_factory=list[Caller])

    process: Process = field(init=False)
    served: Process = field(init=False)
    _reading: asyncio.Task[None] = field(init=False)

    def furnish(self, port: str, settings: str = "", more: str = "") -> None:
        """Write the gateway's files."""
        for name in ("catalog", "policies"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "mcpgov.yaml").write_text(SETTINGS + settings)
        (self.folder / "policies" / "rules.yaml").write_text(POLICY + more)
        for number in range(self.connections):
            text = ENTRY.replace("NUMBER", str(number)).replace("PORT", port)
            (self.folder / "catalog" / f"soak-{number}.yaml").write_text(text)

    async def launch(self) -> None:
        """Start the gateway; returns when all of it serves."""
        verb = ["serve", "-c", str(self.folder / "mcpgov.yaml"), "--log-format", "json"]
        many = ["--workers", str(self.workers)] if self.workers > 1 else []
        self.process = await start("mcpgov", *verb, *many)
        self._reading = asyncio.create_task(self._read())
        last = await self.told("workers-serving" if many else "serving")
        self.urls = (await self.told("serving"))["connections"] if many else last["connections"]

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())

    async def told(self, event: str) -> dict[str, Any]:
        """The first line of the log with this event, once it is there."""
        wanted = f'"event": "{event}"'
        async with asyncio.timeout(PATIENCE):
            while not (found := [line for line in self.lines if wanted in line]):
                assert not self._reading.done(), "".join(self.lines)
                await asyncio.sleep(0.02)
        return json.loads(found[0])

    def caller(self, number: int = 0) -> Caller:
        """One more client, of one connection or the other."""
        self.callers.append(Caller(self.urls[number % len(self.urls)]))
        return self.callers[-1]

    def pids(self) -> list[int]:
        """The processes that serve."""
        return [self.process.pid] if self.workers == 1 else children(self.process.pid)

    def tell(self, number: signal.Signals) -> None:
        """Send the gateway a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """The gateway's exit status, once it and all who log with it have ended."""
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self.process.wait()

    def wrong(self) -> list[str]:
        """Lines of the log that stand for a defect."""
        return [line for line in self.lines if any(sign in line for sign in WRONG)]

    async def settle(self) -> None:
        """End the upstream, so that its ledger is whole."""
        if self.served.returncode is None:
            self.served.terminate()
        await self.served.wait()

    async def kill(self) -> None:
        """End whatever still runs, and hang up."""
        for process in (self.process, self.served):
            if process.returncode is None:
                process.kill()
            await process.wait()
        await self._reading
        await asyncio.gather(*(caller.hang_up() for caller in self.callers), return_exceptions=True)


@asynccontextmanager
async def soaking(site: SoakSite, settings: str = "", more: str = "") -> AsyncGenerator[SoakSite]:
    """The site's upstream and its gateway, both serving while the block runs, with `more` in its inbound policy."""
    site.served = await start("tests.soak.upstream", str(site.folder / "upstream.jsonl"))
    assert site.served.stdout is not None
    site.furnish((await site.served.stdout.readline()).decode().strip(), settings, more)
    try:
        await site.launch()
        yield site
    finally:
        await site.kill()


async def start(module: str, *arguments: str) -> Process:
    """A Python program of ours, as a process."""
    command = (sys.executable, "-m", module, *arguments)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE, stdin=DEVNULL)


def sample(pids: Collection[int]) -> Sample:
    """What processes use together."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
    threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)
    return Sample(pages * PAGE, descriptors, threads)


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors(wanted: int) -> int:
    """Let this process, and those it starts, have so many descriptors; how many they may have, if that is fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((wanted, max(hard, wanted)), (hard, hard)):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits if soft < wanted else (soft, hard))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
