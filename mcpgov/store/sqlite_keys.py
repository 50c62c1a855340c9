"""Gateway keys in SQLite.

A key is looked up on the event loop, by the driver and an index, in a few microseconds; another process that revokes
one is believed from its commit on, because nothing is cached. When keys were used is written from a thread, on a
connection of its own, so that a lock there holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mcpgov.audit.record import EPOCH, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord
from mcpgov.models import CallerScope
from mcpgov.store.database import connect, unavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Mapping
    from datetime import datetime
    from pathlib import Path

BUSY = 0.05  # seconds; this wait holds up the event loop, and in WAL mode a reader has next to nothing to wait for
LIST: Final = """
SELECT id, digest, name, project, created_at, expires_at, revoked_at, connections, tools, last_used_at, replaced_by
FROM keys
"""
FIND: Final = LIST + "WHERE id = ?"
ORDER: Final = "ORDER BY created_at, id"
CREATE: Final = """
INSERT INTO keys (id, digest, name, project, created_at, expires_at, revoked_at, connections, tools, last_used_at,
replaced_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
REVOKE: Final = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
REPLACE: Final = """
UPDATE keys SET replaced_by = :new, expires_at = min(coalesce(expires_at, :until), :until)
WHERE id = :old AND revoked_at IS NULL AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > :now)
"""
TOUCH: Final = "UPDATE keys SET last_used_at = ? WHERE id = ? AND coalesce(last_used_at, 0) < ?"


class SqliteKeyStore:
    """The KeyStore in one SQLite file, which the ledger makes. Every method raises StoreUnavailable."""

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
        with self._connected() as database:
            database.execute(CREATE, columns(record))

    async def list(self) -> list[KeyRecord]:
        """Every key, oldest first."""
        with self._connected() as database:
            return [key_record(row) for row in database.execute(LIST + ORDER)]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        with self._connected() as database:
            return database.execute(REVOKE, (microseconds(at), key_id)).rowcount > 0

    async def rotate(self, key_id: str, new: KeyRecord, until: datetime) -> bool:
        """Keep `new`, made now, in place of a key, which ends `until` unless it ends earlier; False, and nothing is
        kept, when there is no key with this id in force, or it was rotated before.
        """
        now, end = microseconds(new.created_at), microseconds(until)
        with self._connected() as database:
            database.execute("BEGIN IMMEDIATE")
            found = database.execute(REPLACE, {"new": new.id, "until": end, "old": key_id, "now": now}).rowcount > 0
            if found:
                database.execute(CREATE, columns(new))
            database.execute("COMMIT")
        return found

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used. A lock in the store does not hold up the event loop."""
        stamps = ((microseconds(at), key_id) for key_id, at in uses.items())
        await asyncio.to_thread(self._touch, [(at, key_id, at) for at, key_id in stamps])

    def _touch(self, rows: list[tuple[int, str, int]]) -> None:
        with unavailable(self._path), contextlib.closing(connect(self._path)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(TOUCH, rows)
            database.execute("COMMIT")

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
                    self._database = connect(self._path, busy=BUSY)
                yield self._database
        except StoreUnavailable:
            self.close()
            raise


def columns(record: KeyRecord) -> tuple[object, ...]:
    """A key as its columns, in the order of CREATE."""
    times = (record.created_at, record.expires_at, record.revoked_at)
    scope = (record.scope.connections, record.scope.tools)
    return (
        *(record.id, record.digest, record.name, record.project),
        *(at and microseconds(at) for at in times),
        *(None if patterns is None else json.dumps(patterns) for patterns in scope),
        record.last_used_at and microseconds(record.last_used_at),
        record.replaced_by or None,
    )


def key_record(row: tuple[Any, ...]) -> KeyRecord:
    """A key from its columns."""
    key_id, digest, name, project, created_at, expires_at, revoked_at, connections, tools, last_used_at, new = row
    scope = CallerScope(patterns(connections), patterns(tools))
    times = (moment(created_at), optional(expires_at), optional(revoked_at))
    return KeyRecord(key_id, digest, name, project, *times, scope, optional(last_used_at), new or "")


def patterns(text: str | None) -> tuple[str, ...] | None:
    """One half of a scope; None is everything. Raises StoreUnavailable for what is no list: nobody may guess at it."""
    if text is None:
        return None
    try:
        return tuple(str(pattern) for pattern in json.loads(text))
    except (TypeError, ValueError):
        raise StoreUnavailable("the scope of a key cannot be read; revoke the key and make another") from None


def moment(at: int) -> datetime:
    """A time from microseconds since 1970-01-01 UTC."""
    return EPOCH + timedelta(microseconds=at)


def optional(at: int | None) -> datetime | None:
    """A time that may be missing."""
    return None if at is None else moment(at)
