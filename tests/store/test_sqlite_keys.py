"""Keys are found as they were kept, and revoked for everybody at once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord, KeyStore
from mcpgov.store.sqlite_keys import SqliteKeyStore

NOW = datetime(2026, 11, 20, 12, 0, 0, 654321, tzinfo=UTC)
KEY = KeyRecord("3fGh81Kx", "ab" * 32, "ci-agent", "payments", NOW, NOW + timedelta(days=90))


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[SqliteKeyStore]:
    store = SqliteKeyStore(tmp_path / "mcpgov.db")
    yield store
    store.close()


async def test_a_key_is_found_as_it_was_kept(keys: KeyStore) -> None:
    bare = KeyRecord("other", "cd" * 32, "", "", NOW + timedelta(seconds=1))
    await keys.create(KEY)
    await keys.create(bare)
    assert (await keys.find(KEY.id), await keys.find("other"), await keys.find("none")) == (KEY, bare, None)
    assert await keys.list() == [KEY, bare]


async def test_an_id_is_not_given_twice(keys: KeyStore) -> None:
    await keys.create(KEY)
    with pytest.raises(StoreUnavailable):
        await keys.create(replace(KEY, name="another"))
    assert await keys.list() == [KEY]


async def test_a_key_is_revoked_once_and_stays_known(keys: KeyStore) -> None:
    await keys.create(KEY)
    later = NOW + timedelta(hours=1)
    assert await keys.revoke(KEY.id, later)
    assert not await keys.revoke(KEY.id, later + timedelta(hours=1))
    assert not await keys.revoke("none", later)
    assert await keys.find(KEY.id) == replace(KEY, revoked_at=later)


async def test_what_another_process_revokes_is_revoked_at_once(keys: SqliteKeyStore, tmp_path: Path) -> None:
    await keys.create(KEY)
    assert (await keys.find(KEY.id)) == KEY
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as other, other:
        other.execute("UPDATE keys SET revoked_at = 1")
    found = await keys.find(KEY.id)
    assert found is not None
    assert found.revoked_at == datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


async def test_a_key_can_be_looked_up_while_another_process_writes(keys: SqliteKeyStore, tmp_path: Path) -> None:
    await keys.create(KEY)
    with closing(sqlite3.connect(tmp_path / "mcpgov.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE keys SET revoked_at = 1")
        assert await keys.find(KEY.id) == KEY


async def test_a_store_that_fails_is_unavailable_and_comes_back_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    keys = SqliteKeyStore(folder / "mcpgov.db")
    with pytest.raises(StoreUnavailable):
        await keys.find(KEY.id)
    folder.mkdir()
    assert await keys.find(KEY.id) is None
    keys.close()
    keys.close()
