"""The vault of sealed tokens in PostgreSQL. It never sees a token: what it is given is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcpgov.audit.record import microseconds
from mcpgov.credential.vault import SealedTokens
from mcpgov.store.sqlite_keys import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mcpgov.store.postgres_database import BoundedAsyncConnection
    from mcpgov.store.postgres_pool import PostgresPool

COLUMNS: Final = "SELECT principal, connection, client, sealed, updated_at FROM vault"
FIND: Final = f"{COLUMNS} WHERE principal = %s AND connection = %s".encode()
LIST: Final = f"{COLUMNS} WHERE connection = %s ORDER BY principal".encode()
ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, hashtextextended(%s, 0)))"
CLEAR: Final = "DELETE FROM vault WHERE principal = %s AND connection = %s"  # also what was made for another client
KEEP: Final = "INSERT INTO vault (principal, connection, client, sealed, updated_at) VALUES (%s, %s, %s, %s, %s)"
REPLACE: Final = """
UPDATE vault SET client = %s, sealed = %s, updated_at = %s WHERE principal = %s AND connection = %s AND sealed = %s
"""
DELETE: Final = "DELETE FROM vault WHERE principal = %s AND connection = %s AND sealed = %s"
FORGET: Final = "DELETE FROM spent_tickets WHERE expires_at < %s"
HELD: Final = b"SELECT connection FROM vault WHERE principal = %s ORDER BY connection"
SPENT: Final = b"SELECT 1 FROM spent_tickets WHERE id = %s"
SPEND: Final = "INSERT INTO spent_tickets (id, expires_at) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING"


class PostgresTokenVault:
    """The TokenVault in one database. Every method raises StoreUnavailable."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def find(self, principal: str, connection: str) -> SealedTokens | None:
        """The row of this principal at this connection."""

        async def find(database: BoundedAsyncConnection) -> SealedTokens | None:
            row = await (await database.execute(FIND, (principal, connection))).fetchone()
            return _sealed(row) if row else None

        return await self._pool.run(find)

    async def keep(self, row: SealedTokens) -> None:
        """Keep a row, in place of the one that was there."""

        async def keep(database: BoundedAsyncConnection) -> None:
            async with database.transaction():
                await database.execute(ALONE, (row.principal, row.connection))
                await database.execute(CLEAR, (row.principal, row.connection))
                values = (row.principal, row.connection, row.client, row.sealed, microseconds(row.updated_at))
                await database.execute(KEEP, values)

        await self._pool.run(keep)

    async def replace(self, before: SealedTokens, after: SealedTokens | None) -> bool:
        """Put `after` in the place of `before`, None deletes; False where something else or nothing stands there."""
        there = (before.principal, before.connection, before.sealed)
        if after is None:
            return (await self._pool.run(lambda database: database.execute(DELETE, there))).rowcount > 0
        values = (after.client, after.sealed, microseconds(after.updated_at), *there)
        return (await self._pool.run(lambda database: database.execute(REPLACE, values))).rowcount > 0

    async def list(self, connection: str) -> list[SealedTokens]:
        """Every row of this connection, by principal."""

        async def listed(database: BoundedAsyncConnection) -> list[SealedTokens]:
            return [_sealed(row) for row in await (await database.execute(LIST, (connection,))).fetchall()]

        return await self._pool.run(listed)

    async def connections_of(self, principal: str) -> Sequence[str]:
        """Where this principal has a row, by name."""

        async def held(database: BoundedAsyncConnection) -> Sequence[str]:
            return [str(row[0]) for row in await (await database.execute(HELD, (principal,))).fetchall()]

        return await self._pool.run(held)

    async def is_spent(self, ticket: str) -> bool:
        """Whether a single-use id was used up."""

        async def spent(database: BoundedAsyncConnection) -> bool:
            return await (await database.execute(SPENT, (ticket,))).fetchone() is not None

        return await self._pool.run(spent)

    async def spend(self, ticket: str, expires_at: datetime, now: datetime) -> bool:
        """Use up a single-use id, which is forgotten after it expires; False if it was used up before."""

        async def spend(database: BoundedAsyncConnection) -> bool:
            await database.execute(FORGET, (microseconds(now),))
            return (await database.execute(SPEND, (ticket, microseconds(expires_at)))).rowcount > 0

        return await self._pool.run(spend)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()


def _sealed(row: tuple[Any, ...]) -> SealedTokens:
    principal, connection, client, sealed, updated_at = row
    return SealedTokens(principal, connection, client, bytes(sealed), moment(updated_at))
