"""The vault in SQLite keeps the contract, across processes, and says so when it cannot."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_vault import SqliteTokenVault
from tests.contract.vault_contract import ALICE, LATER, NOW, VaultContract


class TestSqliteVault(VaultContract):
    @pytest.fixture
    def rows(self, tmp_path: Path) -> Generator[SqliteTokenVault]:
        create_database(tmp_path / "mcpgov.db")
        vault = SqliteTokenVault(tmp_path / "mcpgov.db")
        yield vault
        vault.close()


async def test_of_two_processes_that_replace_a_row_one_wins(tmp_path: Path) -> None:
    create_database(tmp_path / "mcpgov.db")
    one, other = SqliteTokenVault(tmp_path / "mcpgov.db"), SqliteTokenVault(tmp_path / "mcpgov.db")
    await one.keep(ALICE)
    assert sorted(await asyncio.gather(one.replace(ALICE, LATER), other.replace(ALICE, None))) == [False, True]
    assert sorted(await asyncio.gather(*(vault.spend("t", NOW, NOW) for vault in (one, other)))) == [False, True]
    one.close()
    other.close()


async def test_a_file_that_is_no_store_is_told_without_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.db").write_text("this is not a database, whatever its name says")
    vault = SqliteTokenVault(tmp_path / "mcpgov.db")
    with pytest.raises(StoreUnavailable, match=r"mcpgov\.db"):
        await vault.keep(ALICE)
    (tmp_path / "mcpgov.db").unlink()
    with pytest.raises(StoreUnavailable, match=r"mcpgov\.db"):
        await vault.keep(ALICE)  # and does not make it
    create_database(tmp_path / "mcpgov.db")
    await vault.keep(ALICE)
    assert await vault.find("key:alice", "github") == ALICE
    vault.close()
