"""Keys in SQLite keep the contract, and a lock of another process holds up nobody who only looks."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyStore
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_keys import SqliteKeyStore
from tests.contract.keys_contract import KEY, KeysContract


class TestSqliteKeyStore(KeysContract):
    @pytest.fixture
    def keys(self, tmp_path: Path) -> Iterator[KeyStore]:
        self.path = tmp_path / "mcpgov.db"
        create_database(self.path)
        store = SqliteKeyStore(self.path)
        yield store
        store.close()

    def change(self, column: str, value: object) -> None:
        with closing(sqlite3.connect(self.path)) as other, other:
            other.execute(f"UPDATE keys SET {column} = ?", (value,))

    async def test_a_key_can_be_looked_up_while_another_process_writes(self, keys: KeyStore) -> None:
        await keys.create(KEY)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE keys SET revoked_at = 1")
            assert await keys.find(KEY.id) == KEY


def test_a_store_that_is_not_there_is_unavailable_and_not_made_and_comes_back_by_itself(tmp_path: Path) -> None:
    keys = SqliteKeyStore(tmp_path / "mcpgov.db")
    with pytest.raises(StoreUnavailable):
        asyncio.run(keys.find(KEY.id))
    assert list(tmp_path.iterdir()) == []
    create_database(tmp_path / "mcpgov.db")
    assert asyncio.run(keys.find(KEY.id)) is None
    keys.close()
    keys.close()
