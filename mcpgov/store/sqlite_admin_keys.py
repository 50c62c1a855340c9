"""Admin keys in SQLite. Few people have one: each look opens the file, and none of it is on a call's path."""

from __future__ import annotations

import asyncio
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from mcpgov.admin.access import AdminKey, Role
from mcpgov.audit.record import microseconds
from mcpgov.store.database import connect, unavailable
from mcpgov.store.sqlite_keys import moment, optional

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from datetime import datetime
    from pathlib import Path

LIST: Final = "SELECT id, digest, name, role, created_at, expires_at, revoked_at FROM admin_keys"
FIND: Final = f"{LIST} WHERE id = ?"
ORDER: Final = f"{LIST} ORDER BY created_at, id"
CREATE: Final = """
INSERT INTO admin_keys (id, digest, name, role, created_at, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
REVOKE: Final = "UPDATE admin_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"


class SqliteAdminKeys:
    """The AdminKeyStore in one SQLite file, which the ledger makes. Every method raises StoreUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def find(self, key_id: str) -> AdminKey | None:
        """The key with this id, revoked and expired ones included."""
        rows = await asyncio.to_thread(self._rows, FIND, (key_id,))
        return admin_key(rows[0]) if rows else None

    async def create(self, key: AdminKey) -> None:
        """Keep a new key."""
        await asyncio.to_thread(self._write, CREATE, columns(key))

    async def list(self) -> list[AdminKey]:
        """Every key, oldest first."""
        return [admin_key(row) for row in await asyncio.to_thread(self._rows, ORDER, ())]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        return await asyncio.to_thread(self._write, REVOKE, (microseconds(at), key_id)) > 0

    def close(self) -> None:
        """There is nothing to let go of."""

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._connected() as database:
            return database.execute(query, values).fetchall()

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        with self._connected() as database:
            return database.execute(statement, values).rowcount

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        with unavailable(self._path), closing(connect(self._path)) as database:
            yield database


def columns(key: AdminKey) -> tuple[object, ...]:
    """A key as its columns."""
    times = (key.created_at, key.expires_at, key.revoked_at)
    return (key.id, key.digest, key.name, key.role.value, *(at and microseconds(at) for at in times))


def admin_key(row: tuple[Any, ...]) -> AdminKey:
    """A key from its columns. A role that is not known is no role at all: it is the least."""
    key_id, digest, name, role, created_at, expires_at, revoked_at = row
    known = Role(role) if role in tuple(Role) else Role.VIEWER
    return AdminKey(key_id, digest, name, known, moment(created_at), optional(expires_at), optional(revoked_at))
