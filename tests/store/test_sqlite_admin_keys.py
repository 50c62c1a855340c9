"""Admin keys in SQLite."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mcpgov.admin.access import AdminKey, Role
from mcpgov.errors import StoreUnavailable
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from tests.audit.calls import NOW

KEY = AdminKey("k1", "d" * 64, "dana", Role.OPERATOR, NOW, NOW + timedelta(days=1))


async def test_a_key_is_kept_listed_and_revoked_once(tmp_path: Path) -> None:
    keys = SqliteAdminKeys(tmp_path / "mcpgov.db")
    await keys.create(KEY)
    await keys.create(replace(KEY, id="k0", created_at=NOW + timedelta(1), expires_at=None))
    assert await keys.find("k1") == KEY
    assert await keys.find("none") is None
    assert [key.id for key in await keys.list()] == ["k1", "k0"]
    assert await keys.revoke("k1", NOW)
    assert not await keys.revoke("k1", NOW)
    assert not await keys.revoke("none", NOW)
    found = await keys.find("k1")
    assert found is not None
    assert found.revoked_at == NOW


async def test_a_role_that_is_not_known_is_the_least(tmp_path: Path) -> None:
    keys = SqliteAdminKeys(tmp_path / "mcpgov.db")
    await keys.create(KEY)
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database:
        database.execute("UPDATE admin_keys SET role = 'root'")
        database.commit()
    found = await keys.find("k1")
    assert found is not None
    assert found.role is Role.VIEWER


async def test_a_store_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await SqliteAdminKeys(tmp_path / "none" / "mcpgov.db").list()
