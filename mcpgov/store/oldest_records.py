"""The oldest records of a store, for whoever purges them. Over SQL, the same for every database. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from mcpgov.audit.purge import Old, Removed, folded
from mcpgov.store.database import connect_to_read
from mcpgov.store.evidence import HASH, PURGES, expected, told
from mcpgov.store.schema import RECORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Engine, Executable

COLUMNS: list[ColumnElement[Any]] = [*(RECORDS.c[name] for name in Old._fields[:-1]), HASH]
TYPES = (int, int, str, int, str | None, int, str, str, bytes)
AT_ONCE = 500  # calls of one question


def open_sqlite_oldest(path: Path) -> SqlOldestRecords:
    """The oldest records in this file. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""
    connect_to_read(path).close()
    return SqlOldestRecords(create_engine("sqlite://", creator=lambda: connect_to_read(path), poolclass=NullPool))


class SqlOldestRecords:
    """The OldestRecords of a store. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._engine.dispose()

    def removed(self) -> Removed:
        """What purges have removed before."""
        with told(), self._engine.connect() as connection:
            return folded(record for (record,) in connection.execute(PURGES))

    def oldest(self, after: int, limit: int) -> Sequence[Old]:
        """The first records behind a place."""
        query: Executable = select(*COLUMNS).where(RECORDS.c.id > after).order_by(RECORDS.c.id).limit(limit)
        with told(), self._engine.connect() as connection:
            return [Old._make(row) for row in expected(connection.execute(query), TYPES)]

    def ended(self, calls: Collection[str]) -> set[str]:
        """Those of some calls that have ended."""
        wanted, found = list(calls), set[str]()
        with told(), self._engine.connect() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = RECORDS.c.call_id.in_(wanted[start : start + AT_ONCE]) & (RECORDS.c.final == 1)
                found |= {call for (call,) in connection.execute(select(RECORDS.c.call_id).where(some))}
        return found
