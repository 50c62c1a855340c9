"""A store that fails under a running gateway: nothing is called while it does, and service returns by itself."""

import os
import resource
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.faults.served import Served, failing, serving

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
