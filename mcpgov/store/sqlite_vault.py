"""The vault of sealed tokens in SQLite. It never sees a token: what it is given is sealed.

Every statement is run by a thread, one at a time, because a lock that another process holds may be waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

from mcpgov.audit.record import microseconds
from mcpgov.credential.vault import SealedTokens
from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import connect, unavailable
from mcpgov.store.sqlite_keys import moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

T = TypeVar("T")

FIND = "SELECT principal, connection, client, sealed, updated_at FROM vault WHERE principal = ? AND connection = ?"
LIST = "SELECT principal, connection, client, sealed, updated_at FROM vault WHERE connection = ? ORDER BY principal"
HELD = "SELECT connection FROM vault WHERE principal = ? ORDER BY connection"
CLEAR = "DELETE FROM vault WHERE principal = ? AND connection = ?"  # also what was made for another client
KEEP = "INSERT INTO vault (principal, connection, client, sealed, updated_at) VALUES (?, ?, ?, ?, ?)"
REPLACE = (
    "UPDATE vault SET client = ?, sealed = ?, updated_at = ? WHERE principal = ? AND connection = ? AND sealed = ?"
)
DELETE = "DELETE FROM vault WHERE principal = ? AND connection = ? AND sealed = ?"
FORGET = "DELETE FROM spent_tickets WHERE expires_at < ?"
SPENT = "SELECT 1 FROM spent_tickets WHERE id = ?"
SPEND = "INSERT OR IGNORE INTO spent_tickets (id, expires_at) VALUES (?, ?)"


class SqliteTokenVault:
    """The TokenVault in one SQLite file, which the ledger makes. Every method raises StoreUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    async def find(self, principal: str, connection: str) -> SealedTokens | None:
        """The row of this principal at this connection."""
        row = await self._run(lambda database: database.execute(FIND, (principal, connection)).fetchone())
        return _sealed(row) if row else None

    async def keep(self, row: SealedTokens) -> None:
        """Keep a row, in place of the one that was there."""

        def keep(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")  # broken off, it ends with the connection
            database.execute(CLEAR, (row.principal, row.connection))
            values = (row.principal, row.connection, row.client, row.sealed, microseconds(row.updated_at))
            database.execute(KEEP, values)
            database.execute("COMMIT")

        await self._run(keep)

    async def replace(self, before: SealedTokens, after: SealedTokens | None) -> bool:
        """Put `after` in the place of `before`, None deletes; False where something else or nothing stands there."""
        there = (before.principal, before.connection, before.sealed)
        if after is None:
            return await self._run(lambda database: database.execute(DELETE, there).rowcount) > 0
        values = (after.client, after.sealed, microseconds(after.updated_at), *there)
        return await self._run(lambda database: database.execute(REPLACE, values).rowcount) > 0

    async def list(self, connection: str) -> list[SealedTokens]:
        """Every row of this connection, by principal."""
        return [
            _sealed(row) for row in await self._run(lambda database: database.execute(LIST, (connection,)).fetchall())
        ]

    async def connections_of(self, principal: str) -> Sequence[str]:
        """Where this principal has a row, by name."""
        return [name for (name,) in await self._run(lambda database: database.execute(HELD, (principal,)).fetchall())]

    async def spend(self, ticket: str, expires_at: datetime, now: datetime) -> bool:
        """Use up a single-use id, which is forgotten after it expires; False if it was used up before."""

        def spend(database: sqlite3.Connection) -> int:
            database.execute(FORGET, (microseconds(now),))
            return database.execute(SPEND, (ticket, microseconds(expires_at))).rowcount

        return await self._run(spend) > 0

    async def is_spent(self, ticket: str) -> bool:
        """Whether a single-use id was used up."""
        return await self._run(lambda database: database.execute(SPENT, (ticket,)).fetchone()) is not None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._work, work)

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                with unavailable(self._path):
                    if self._database is None:
                        self._database = connect(self._path)
                    return work(self._database)
            except StoreUnavailable:
                self._let_go()
                raise

    def _let_go(self) -> None:
        with contextlib.suppress(StoreUnavailable), unavailable(self._path):
            if self._database is not None:
                self._database.close()
        self._database = None


def _sealed(row: tuple[str, str, str, bytes, int]) -> SealedTokens:
    principal, connection, client, sealed, updated_at = row
    return SealedTokens(principal, connection, client, sealed, moment(updated_at))
