"""A store that fails under a running gateway: nothing is called while it does, and service returns by itself."""

import asyncio
import json
import os
import resource
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.faults.gateway import Site

NOBODY = 65534
ROOM = 2000  # bytes, less than one page of the store
TRIES = 2000  # calls after which a service that does not return is given up


class Served(Site):
    """A site whose gateway runs, with a client."""

    http: aiohttp.ClientSession
    url: str
    pid: int

    async def got(self) -> str:
        """What one call got: `result`, or the reason of its refusal."""
        entry = await self.call(self.http, self.url)
        return entry.reason or entry.got

    async def ready(self) -> int:
        """The status of /readyz."""
        async with self.http.get(self.url.replace("/mcp/ledger", "/readyz")) as response:
            return response.status

    async def returns(self) -> None:
        """Call until a call goes through."""
        for _ in range(TRIES):
            if await self.got() == "result":
                return
        pytest.fail("service did not return")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Served]:
    site = Served(tmp_path)
    async with site.upstream(), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as site.http:
        gateway, site.url = await site.gateway()
        site.pid = gateway.pid
        yield site
        gateway.terminate()
        await gateway.communicate()
    assert gateway.returncode == 0
    assert site.findings() == []


@asynccontextmanager
async def failing(site: Served, fault: Callable[[], object]) -> AsyncGenerator[None]:
    """Calls that go through, then a fault that lasts while the block runs, then calls again, and the whole history."""
    assert [await site.got() for _ in range(3)] == ["result"] * 3
    assert await site.ready() == 200
    fault()
    before = len(site.executed())
    assert set(await asyncio.gather(*(site.got() for _ in range(20)))) == {"audit-unavailable"}
    assert len(site.executed()) == before
    assert await site.ready() == 503
    yield
    await site.returns()
    assert await site.ready() == 200
    recovered = [json.loads(row.record) for row in site.kept() if "store-recovered" in row.record]
    assert recovered[-1]["mcpgov.control.refused"] >= 20


async def test_a_store_that_another_process_has_locked(site: Served) -> None:
    with closing(sqlite3.connect(site.store, isolation_level=None)) as other:
        async with failing(site, lambda: other.execute("BEGIN IMMEDIATE")):
            other.execute("ROLLBACK")


async def test_a_disk_that_is_full_in_the_middle_of_a_record(site: Served) -> None:
    before = resource.prlimit(site.pid, resource.RLIMIT_FSIZE)

    def fill() -> None:
        """No file may grow past its first bytes: what is longer is cut short, and what comes after is refused."""
        resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (ROOM, before[1]))

    async with failing(site, fill):
        resource.prlimit(site.pid, resource.RLIMIT_FSIZE, before)


async def test_a_store_that_is_moved_away_and_back(site: Served) -> None:
    elsewhere = site.store.with_name("elsewhere.db")
    async with failing(site, lambda: site.store.rename(elsewhere)):
        elsewhere.rename(site.store)


@contextmanager
def unprivileged() -> Generator[None]:
    """Without the rights of root, to whom no file is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_store_that_may_only_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "mcpgov.db"
        create_database(path)
        path.chmod(0o444)
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(StoreUnavailable, match=r"mcpgov\.db: .*(readonly|unable to open)"):
            SqliteLedgerStore(path).open()
        folder.chmod(0o755)
