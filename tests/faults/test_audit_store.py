"""A store that fails under a running gateway: nothing is called while it does, and service returns by itself."""

import json
import os
import resource
import secrets
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import Secret
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW
from tests.faults.gateway import SETTINGS
from tests.faults.served import Served, failing, serving, standing
from tests.peers.process import free_port

NOBODY = 65534
ROOM = 2000  # bytes, less than one page of the store


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Served]:
    async with serving(tmp_path) as site:
        yield site


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


@dataclass(frozen=True)
class Holders:
    """Those who have keys of a site, and ask with them."""

    site: Served
    operator: Secret
    caller: Secret

    @classmethod
    async def made(cls, site: Served) -> "Holders":
        """With a key each, in the store."""
        create_database(site.store)
        (operator_id, operator), (caller_id, caller) = mint_admin_key(secrets.choice), mint_key(secrets.choice)
        await SqliteAdminKeys(site.store).create(
            AdminKey(operator_id, digest(operator.reveal()), "dana", Role.VIEWER, NOW)
        )
        keys = SqliteKeyStore(site.store)
        await keys.create(KeyRecord(caller_id, digest(caller.reveal()), "ci", "", NOW))
        keys.close()
        return cls(site, operator, caller)

    async def scrape(self) -> int:
        """The status of /metrics."""
        authorization = {"Authorization": f"Bearer {self.operator.reveal()}"}
        async with self.site.http.get(urljoin(self.site.console, "/metrics"), headers=authorization) as response:
            return response.status

    async def call(self) -> str:
        """What a call with a key got."""
        async with aiohttp.ClientSession(headers={"x-api-key": self.caller.reveal()}) as http:
            entry = await self.site.call(http, self.site.url)
        return entry.reason or entry.got


async def test_nothing_that_is_asked_while_a_store_is_away_makes_another_in_its_place(tmp_path: Path) -> None:
    async with standing(tmp_path) as site:
        site.settings(f"admin: {{ listen: 127.0.0.1:{free_port()} }}")
        holders, elsewhere = await Holders.made(site), site.store.with_name("elsewhere.db")
        await site.launch()
        async with failing(site, lambda: site.store.rename(elsewhere)):
            assert (await holders.scrape(), await holders.call()) == (503, "audit-unavailable")
            assert not site.store.exists()
            elsewhere.rename(site.store)
        assert (await holders.scrape(), await holders.call()) == (200, "result")
        assert await site.end() == 0
        assert site.findings() == []


async def test_nor_while_another_store_takes_the_records(tmp_path: Path) -> None:
    async with standing(tmp_path) as site:
        settings = SETTINGS.replace('.db"', '.db", sinks: ["sqlite:///second.db"]')
        (tmp_path / "mcpgov.yaml").write_text(f"{settings}admin: {{ listen: 127.0.0.1:{free_port()} }}\n")
        holders, elsewhere = await Holders.made(site), site.store.with_name("elsewhere.db")
        await site.launch()
        assert await site.many(3) == ["result"] * 3
        before = site.kept()
        site.store.rename(elsewhere)
        assert await site.many(3) == ["result"] * 3
        assert (await holders.scrape(), await holders.call()) == (503, "keys-unavailable")
        assert not site.store.exists()
        elsewhere.rename(site.store)
        assert (await holders.scrape(), await holders.call()) == (200, "result")
        assert await site.end() == 0
        assert site.kept()[: len(before)] == before
        assert "store-recovered" in json.dumps([row.record for row in site.kept()])


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
