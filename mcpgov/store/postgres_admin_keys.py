"""Admin keys in PostgreSQL, shared by every gateway: one that is revoked anywhere is revoked here at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcpgov.audit.record import microseconds
from mcpgov.store.sqlite_admin_keys import LIST, admin_key, columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mcpgov.admin.access import AdminKey
    from mcpgov.store.postgres_database import BoundedAsyncConnection
    from mcpgov.store.postgres_pool import PostgresPool

FIND: Final = f"{LIST} WHERE id = %s"
ORDER: Final = f"{LIST} ORDER BY created_at, id"
CREATE: Final = """
INSERT INTO admin_keys (id, digest, name, role, created_at, expires_at, revoked_at) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
REVOKE: Final = "UPDATE admin_keys SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL"


class PostgresAdminKeys:
    """The AdminKeyStore in one database. Every method raises StoreUnavailable."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def find(self, key_id: str) -> AdminKey | None:
        """The key with this id, revoked and expired ones included."""
        rows = await self._rows(FIND, (key_id,))
        return admin_key(rows[0]) if rows else None

    async def create(self, key: AdminKey) -> None:
        """Keep a new key."""
        await self._pool.run(lambda database: database.execute(CREATE.encode(), columns(key)))

    async def list(self) -> list[AdminKey]:
        """Every key, oldest first."""
        return [admin_key(row) for row in await self._rows(ORDER, ())]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        values = (microseconds(at), key_id)
        return (await self._pool.run(lambda database: database.execute(REVOKE.encode(), values))).rowcount > 0

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    async def _rows(self, query: str, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        async def asked(database: BoundedAsyncConnection) -> Sequence[tuple[Any, ...]]:
            return await (await database.execute(query.encode(), values)).fetchall()

        return await self._pool.run(asked)
