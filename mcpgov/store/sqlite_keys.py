"""Gateway keys in SQLite.

A key is looked up on the event loop, by the driver and an index, in a few microseconds; another process that revokes
one is believed from its commit on, because nothing is cached.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from mcpgov.audit.record import EPOCH, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord
from mcpgov.store.database import connect, create_database, unavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from datetime import datetime
    from pathlib import Path

BUSY = 0.05  # seconds; this wait holds up the event loop, and in WAL mode a reader has next to nothing to wait for
FIND = "SELECT id, digest, name, project, created_at, expires_at, revoked_at FROM keys WHERE id = ?"
LIST = "SELECT id, digest, name, project, created_at, expires_at, revoked_at FROM keys ORDER BY created_at, id"
CREATE = "INSERT INTO keys (id, digest, name, project, created_at, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
REVOKE = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"


class SqliteKeyStore:
    """The KeyStore in one SQLite file, made if it is not there. Every method raises StoreUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, revoked and expired ones included."""
        with self._connected() as database:
            row = database.execute(FIND, (key_id,)).fetchone()
        return key_record(row) if row else None

    async def create(self, record: KeyRecord) -> None:
        """Keep a new key."""
        times = (record.created_at, record.expires_at, record.revoked_at)
        with self._connected() as database:
            values = (record.id, record.digest, record.name, record.project, *(at and microseconds(at) for at in times))
            database.execute(CREATE, values)

    async def list(self) -> list[KeyRecord]:
        """Every key, oldest first."""
        with self._connected() as database:
            return [key_record(row) for row in database.execute(LIST)]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        with self._connected() as database:
            return database.execute(REVOKE, (microseconds(at), key_id)).rowcount > 0

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        """The connection, opened if need be, and dropped after any failure."""
        try:
            with unavailable(self._path):
                if self._database is None:
                    create_database(self._path)
                    self._database = connect(self._path, busy=BUSY)
                yield self._database
        except StoreUnavailable:
            self.close()
            raise


def key_record(row: tuple[str, str, str, str, int, int | None, int | None]) -> KeyRecord:
    """A key from its columns."""
    key_id, digest, name, project, created_at, expires_at, revoked_at = row
    return KeyRecord(key_id, digest, name, project, moment(created_at), optional(expires_at), optional(revoked_at))


def moment(at: int) -> datetime:
    """A time from microseconds since 1970-01-01 UTC."""
    return EPOCH + timedelta(microseconds=at)


def optional(at: int | None) -> datetime | None:
    """A time that may be missing."""
    return None if at is None else moment(at)
