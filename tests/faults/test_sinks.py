"""Stores of a running gateway whose disk cannot flush: nothing is trusted that failed once, and the others carry on."""

import asyncio
import json
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest

from mcpgov.models import Json
from tests.faults.failing_disk import LEFT_OUT, FailingDisk, has_compiler
from tests.faults.gateway import SETTINGS, Site

PATIENCE = 30  # seconds after which a test that hangs is given up
STORE = 'store: "sqlite:///mcpgov.db"'
TWO_STORES = SETTINGS.replace(STORE, f'{STORE}, sinks: ["sqlite:///second.db"], WORDS')


class Served(Site):
    """A site whose gateway runs on a disk that may fail, with a client."""

    http: aiohttp.ClientSession
    url: str
    process: Process
    said: str = ""

    async def got(self, count: int = 1) -> set[str]:
        """What so many calls at once got: `result`, or the reason of a refusal."""
        entries = await asyncio.gather(*(self.call(self.http, self.url) for _ in range(count)))
        return {entry.reason or entry.got for entry in entries}

    async def ready(self) -> int:
        """The status of /readyz."""
        async with self.http.get(self.url.replace("/mcp/ledger", "/readyz")) as response:
            return response.status

    @property
    def second(self) -> Site:
        """The same history, as the second store tells it."""
        return Second(self.folder, self.client)

    @asynccontextmanager
    async def running(self, disk: FailingDisk | None = None) -> AsyncGenerator[None]:
        """The gateway, until it is told to stop."""
        self.process, self.url = await self.gateway(disk.environment if disk else None)
        try:
            yield
        finally:
            self.process.terminate()
            _, said = await self.process.communicate()
            self.said = said.decode()
        assert self.process.returncode == 0, self.said


class Second(Site):
    """What the second store of a gateway holds."""

    @property
    def store(self) -> Path:
        return self.folder / "second.db"


@asynccontextmanager
async def served(folder: Path, settings: str) -> AsyncGenerator[Served]:
    """A site with an upstream and a client; its gateway is started by the test."""
    site = Served(folder)
    async with site.upstream(), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as site.http:
        (folder / "mcpgov.yaml").write_text(settings)
        yield site


def control(site: Site) -> list[dict[str, Json]]:
    """What a store holds beside calls."""
    records = [json.loads(row.record) for row in site.kept()]
    return [record for record in records if record["event"] == "control"]


def events(site: Site) -> list[Json]:
    """What happened, by a store."""
    return [record["mcpgov.control.event"] for record in control(site)]


async def until_said(site: Site, event: str) -> None:
    """Return once a control event stands in a store."""
    async with asyncio.timeout(PATIENCE):
        while event not in events(site):
            await asyncio.sleep(0)


async def test_a_file_that_failed_to_reach_the_disk_is_written_to_no_more_though_the_disk_is_well_again(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if not has_compiler():
        pytestconfig.get_terminal_writer().line(LEFT_OUT)
        return
    disk = FailingDisk(tmp_path, "mcpgov.db-wal")
    disk.make()
    async with served(tmp_path, SETTINGS) as site:
        async with site.running(disk):
            assert await site.got(3) == {"result"}
            before = len(site.executed())
            with disk.fails():
                assert await site.got(5) == {"audit-unavailable"}
            written = (tmp_path / "mcpgov.db-wal").read_bytes(), (tmp_path / "mcpgov.db").read_bytes()
            assert await site.got(5) == {"audit-unavailable"}
            assert await site.ready() == 503
            assert ((tmp_path / "mcpgov.db-wal").read_bytes(), (tmp_path / "mcpgov.db").read_bytes()) == written
            assert len(site.executed()) == before
        assert "failed to reach the disk" in site.said
        assert "check the disk, then restart" in site.said
        async with site.running():
            assert await site.got(3) == {"result"}
        assert site.findings() == []


async def test_a_gateway_with_a_second_store_goes_on_and_says_there_which_one_failed(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if not has_compiler():
        pytestconfig.get_terminal_writer().line(LEFT_OUT)
        return
    disk = FailingDisk(tmp_path, "mcpgov.db-wal")
    disk.make()
    async with served(tmp_path, TWO_STORES.replace("WORDS", "outcome: before-reply")) as site:
        async with site.running(disk):
            with disk.fails():
                assert await site.got(10) == {"result"}
            assert await site.got(10) == {"result"}
            assert await site.ready() == 200
        assert events(site.second) == ["start", "sink-failed", "stop"]
        [failed] = [record for record in control(site.second) if record["mcpgov.control.event"] == "sink-failed"]
        assert failed["mcpgov.control.sink"] == str(site.store)
        assert "failed to reach the disk" in str(failed["mcpgov.control.why"])
        async with site.running():
            assert await site.got(3) == {"result"}
        assert events(site)[-1] == events(site.second)[-1] == "stop"
        assert site.second.findings() == []
        outcomes = [json.loads(row.record) for row in site.second.kept() if '"event":"outcome"' in row.record]
        assert [record["mcpgov.outcome"] for record in outcomes] == ["before-reply"] * 23


async def test_a_store_that_is_locked_fails_alone_or_every_call_as_is_asked(tmp_path: Path) -> None:
    for number, (words, got) in enumerate((("require: one", "result"), ("require: all", "audit-unavailable"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with served(folder, TWO_STORES.replace("WORDS", words)) as site, site.running():
            assert await site.got(3) == {"result"}
            with closing(sqlite3.connect(folder / "second.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                before = len(site.executed())
                assert await site.got(5) == {got}
                assert len(site.executed()) - before == (5 if got == "result" else 0)
                await until_said(site, "sink-failed")
                assert await site.ready() == (200 if got == "result" else 503)
                other.execute("ROLLBACK")
            await until_said(site, "sink-recovered")
            assert await site.got(3) == {"result"}
            assert await site.ready() == 200
        assert events(site) == ["start", "sink-failed", "sink-recovered", "stop"]
        assert site.findings() == []
