"""Admin keys in SQLite keep the contract."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.admin.access import AdminKeyStore
from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from tests.contract.admin_keys_contract import AdminKeysContract


class TestSqliteAdminKeys(AdminKeysContract):
    @pytest.fixture
    def keys(self, tmp_path: Path) -> AdminKeyStore:
        self.path = tmp_path / "mcpgov.db"
        create_database(self.path)
        return SqliteAdminKeys(self.path)

    def change(self, column: str, value: object) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            database.execute(f"UPDATE admin_keys SET {column} = ?", (value,))
            database.commit()


def test_a_store_that_is_not_there_is_unavailable_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        asyncio.run(SqliteAdminKeys(tmp_path / "mcpgov.db").list())
    assert list(tmp_path.iterdir()) == []
