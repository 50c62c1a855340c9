"""A site whose gateway runs, and what is done to it: a fault that lasts a while, and then the whole history again."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.faults.gateway import ROOT, SETTINGS, Site

TRIES = 2000  # calls after which a service that does not return is given up


@dataclass(frozen=True)
class Launch:
    """How the gateway is started: as which module, after which words, and with what besides in its environment."""

    before: tuple[str, ...] = ()
    module: tuple[str, ...] = ("mcpgov",)
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


PLAIN = Launch()


class NotServing(AssertionError):
    """The gateway ended before it served; what it said."""


class Served(Site):
    """A site whose gateway runs, with a client. Its store may lie elsewhere than its other files."""

    http: aiohttp.ClientSession
    process: Process
    url: str
    console: str = ""  # the link that lets an operator in once, where there is a console
    elsewhere: Path | None = None

    @property
    def store(self) -> Path:
        """The gateway's store."""
        return self.elsewhere or super().store

    def settings(self, *lines: str) -> None:
        """Write the gateway's settings, with these lines besides."""
        text = SETTINGS.replace("sqlite:///mcpgov.db", f"sqlite:///{self.store}")
        (self.folder / "mcpgov.yaml").write_text(text + "".join(f"{line}\n" for line in lines))

    @property
    def pid(self) -> int:
        """The gateway's process."""
        return self.process.pid

    async def launch(self, launch: Launch = PLAIN) -> None:
        """Start the gateway; returns when it serves. Raises NotServing."""
        words = [*launch.before, sys.executable, "-m", *launch.module]
        verb = ["serve", "-c", str(self.folder / "mcpgov.yaml"), "--log-format", "json"]
        environment = {**os.environ, **launch.environment}
        self.process = await asyncio.create_subprocess_exec(
            *words, *verb, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, stdin=DEVNULL
        )
        assert self.process.stderr is not None
        told: list[str] = []
        async for line in self.process.stderr:
            told.append(line.decode())
            if '"console"' in told[-1]:
                self.console = json.loads(told[-1])["url"]
            if '"serving"' in told[-1]:
                self.url = json.loads(told[-1])["connections"][0]
                return
        await self.process.wait()
        raise NotServing("".join(told))

    async def end(self) -> int:
        """Ask the gateway to end; gives back how it did."""
        self.process.terminate()
        await self.process.communicate()
        return self.process.returncode or 0

    async def kill(self) -> None:
        """End the gateway as a crash does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def got(self) -> str:
        """What one call got: `result`, or the reason of its refusal."""
        entry = await self.call(self.http, self.url)
        return entry.reason or entry.got

    async def many(self, count: int) -> list[str]:
        """What so many calls at once got."""
        return list(await asyncio.gather(*(self.got() for _ in range(count))))

    async def ready(self) -> int:
        """The status of /readyz."""
        async with self.http.get(self.url.replace("/mcp/ledger", "/readyz")) as response:
            return response.status

    async def returns(self) -> None:
        """Call until a call goes through, and the gateway says that it is ready."""
        for _ in range(TRIES):
            if await self.got() == "result" and await self.ready() == 200:
                return
        pytest.fail("service did not return")


@asynccontextmanager
async def serving(folder: Path, launch: Launch = PLAIN, store: Path | None = None) -> AsyncGenerator[Served]:
    """A gateway that serves while the block runs, ends well, and leaves a history in which everything adds up."""
    async with standing(folder, store) as site:
        await site.launch(launch)
        try:
            yield site
        except BaseException:
            await site.kill()
            raise
        assert await site.end() == 0
        assert site.findings() == []


@asynccontextmanager
async def standing(folder: Path, store: Path | None = None) -> AsyncGenerator[Served]:
    """A site with its upstream and a client, whose gateway the block starts."""
    site = Served(folder)
    site.elsewhere = store
    async with site.upstream(), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as site.http:
        site.settings()
        yield site


@asynccontextmanager
async def failing(site: Served, fault: Callable[[], object]) -> AsyncGenerator[None]:
    """Calls that go through, then a fault that lasts while the block runs, then calls again, and the whole history."""
    assert [await site.got() for _ in range(3)] == ["result"] * 3
    assert await site.ready() == 200
    fault()
    before = len(site.executed())
    assert set(await site.many(20)) == {"audit-unavailable"}
    assert len(site.executed()) == before
    assert await site.ready() == 503
    yield
    await site.returns()
    assert await site.ready() == 200
    recovered = [json.loads(row.record) for row in site.kept() if "store-recovered" in row.record]
    assert recovered[-1]["mcpgov.control.refused"] >= 20
