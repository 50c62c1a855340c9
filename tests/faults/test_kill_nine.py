"""kill -9 under load: every call that the upstream saw has an intent, and after a restart every intent one outcome.

MCPGOV_KILLS says how many rounds there are with two workers; one process alone is killed in a quarter as many.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from typer.testing import CliRunner

from mcpgov import app
from tests.faults.gateway import SETTINGS, Site
from tests.flows.pack import Pack, pack

ROUNDS = int(os.environ.get("MCPGOV_KILLS", "6"))
AT_ONCE = 16
LATER = 30  # calls that are answered after a worker was killed, before all is
BACK = 5  # every so many rounds a worker that was killed is waited for
SHARED = f"{SETTINGS}counters: per-worker\n"


@dataclass
class Load:
    """Callers that do not end with a worker, but when they are told to."""

    site: Site
    url: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def after(self, calls: int) -> None:
        """Return after so many calls more."""
        reached = asyncio.Event()
        self.site.milestone = len(self.site.client) + calls, reached
        async with asyncio.timeout(60):
            await reached.wait()

    async def caller(self, http: aiohttp.ClientSession) -> None:
        """Call as fast as answers come."""
        while not self.stop.is_set():
            await self.site.call(http, self.url)


@asynccontextmanager
async def load(site: Site, url: str) -> AsyncGenerator[Load]:
    """Callers, at work while the block runs; at its end each has what became of its last call."""
    callers = Load(site, url)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
        calling = [asyncio.create_task(callers.caller(http)) for _ in range(AT_ONCE)]
        try:
            yield callers
        finally:
            callers.stop.set()
            await asyncio.gather(*calling)


def wrong(site: Site) -> list[str]:
    """Where the three ledgers do not agree, and what `mcpgov audit verify` says where that is not 0."""
    verified = CliRunner().invoke(app.build_cli(), ["audit", "verify", str(site.store)])
    return [*map(str, site.findings()), *([verified.output] if verified.exit_code else [])]


async def kill(running: Pack, load: Load, chance: random.Random, number: int) -> None:
    """Kill after some calls: a worker and later all that is left, the supervisor and later nobody, or all at once.

    The workers of a supervisor that was killed end by themselves.
    """
    pids, supervisor = await running.pids(), running.process.pid
    await load.after(chance.randint(1, 400))
    victims = ([pids[0]], [pids[1]], [supervisor], [supervisor, *pids])[number % 4]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    if supervisor not in victims:
        left = [pid for pid in (supervisor, *pids) if pid not in victims]
        await load.after(LATER)
        if number % BACK == 0:
            left += [line["pid"] for line in await running.told("worker-restarted")]
            await load.after(LATER)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    load.stop.set()


async def test_no_call_is_unaudited_whichever_of_two_workers_is_killed(tmp_path: Path) -> None:
    site, chance = Site(tmp_path), random.Random(20261121)
    async with site.upstream():
        (tmp_path / "mcpgov.yaml").write_text(SHARED)
        for number in range(ROUNDS):
            async with pack(tmp_path) as running:
                url = await running.url()
                assert wrong(site) == []
                async with load(site, url) as callers:
                    await kill(running, callers, chance, number)
                await running.ended()
        async with pack(tmp_path) as running:
            await running.url()
            assert await running.end() == 0
    assert wrong(site) == []
    statuses = [row.record for row in site.kept() if '"event":"outcome"' in row.record]
    assert len(site.executed()) > ROUNDS
    assert any('"mcpgov.status":"unknown"' in record for record in statuses)  # the crashes did hit calls under way
    assert site.locks() == []


async def test_no_call_is_unaudited_and_no_intent_is_left_open_after_kill_nine(tmp_path: Path) -> None:
    site, chance = Site(tmp_path), random.Random(20261120)
    async with site.upstream():
        for _ in range(max(ROUNDS // 4, 1)):
            gateway, url = await site.gateway()
            assert site.findings() == []
            moment = asyncio.Event()
            calling = asyncio.create_task(site.calls(url, at_once=AT_ONCE, then=moment, after=chance.randint(1, 400)))
            await moment.wait()
            gateway.kill()
            await gateway.wait()
            await calling
        gateway, _ = await site.gateway()
        assert site.findings() == []
        gateway.terminate()
        await gateway.communicate()
    assert gateway.returncode == 0
    assert site.findings() == []
    statuses = [row.record for row in site.kept() if '"event":"outcome"' in row.record]
    assert len(site.executed()) > ROUNDS
    assert any('"mcpgov.status":"unknown"' in record for record in statuses)  # the crashes did hit calls under way
    assert site.locks() == []
