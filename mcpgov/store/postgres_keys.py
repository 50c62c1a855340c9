"""Gateway keys in PostgreSQL: looked up on every call, so that one that is revoked anywhere is revoked here at once.

Nothing is cached, and a server that does not answer in time lets nobody in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.record import microseconds
from mcpgov.store.sqlite_keys import columns, key_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mcpgov.identity.api_key import KeyRecord
    from mcpgov.store.postgres_database import BoundedAsyncConnection
    from mcpgov.store.postgres_pool import PostgresPool

LIST: Final = """
SELECT id, digest, name, project, created_at, expires_at, revoked_at, connections, tools, last_used_at, replaced_by
FROM keys
"""
FIND: Final = LIST + "WHERE id = %s"
ORDER: Final = "ORDER BY created_at, id"
CREATE: Final = """
INSERT INTO keys (id, digest, name, project, created_at, expires_at, revoked_at, connections, tools, last_used_at,
replaced_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
REVOKE: Final = "UPDATE keys SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL"
REPLACE: Final = """
UPDATE keys SET replaced_by = %s, expires_at = least(expires_at, %s)
WHERE id = %s AND revoked_at IS NULL AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > %s)
"""
# In the order of their ids, so that two gateways never wait for each other.
TOUCH: Final = """
UPDATE keys SET last_used_at = used.at FROM (
    SELECT keys.id, named.at FROM unnest(%s::VARCHAR[], %s::BIGINT[]) AS named (id, at) JOIN keys ON keys.id = named.id
    WHERE coalesce(keys.last_used_at, 0) < named.at ORDER BY keys.id FOR UPDATE OF keys
) AS used WHERE keys.id = used.id
"""


class PostgresKeyStore:
    """The KeyStore in one database. Every method raises StoreUnavailable."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, revoked and expired ones included."""

        async def find(database: BoundedAsyncConnection) -> KeyRecord | None:
            row = await (await database.execute(FIND, (key_id,), prepare=True)).fetchone()
            return key_record(row) if row else None

        return await self._pool.run(find)

    async def create(self, record: KeyRecord) -> None:
        """Keep a new key."""
        await self._pool.run(lambda database: database.execute(CREATE, columns(record)))

    async def list(self) -> list[KeyRecord]:
        """Every key, oldest first."""

        async def listed(database: BoundedAsyncConnection) -> list[KeyRecord]:
            return [key_record(row) for row in await (await database.execute(LIST + ORDER)).fetchall()]

        return await self._pool.run(listed)

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        revoked = await self._pool.run(lambda database: database.execute(REVOKE, (microseconds(at), key_id)))
        return revoked.rowcount > 0

    async def rotate(self, key_id: str, new: KeyRecord, until: datetime) -> bool:
        """Keep `new`, made now, in place of a key, which ends `until` unless it ends earlier; False, and nothing is
        kept, when there is no key with this id in force, or it was rotated before.
        """

        async def rotate(database: BoundedAsyncConnection) -> bool:
            async with database.transaction():
                values = (new.id, microseconds(until), key_id, microseconds(new.created_at))
                found = (await database.execute(REPLACE, values)).rowcount > 0
                if found:
                    await database.execute(CREATE, columns(new))
            return found

        return await self._pool.run(rotate)

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        stamps = (list(uses), [microseconds(at) for at in uses.values()])
        await self._pool.run(lambda database: database.execute(TOUCH, stamps))

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()
