"""The checkpoints in a store, for those that send them away. Over SQL, the same for every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import NullPool

from mcpgov.audit.checkpoints import KeptCheckpoint
from mcpgov.store.database import connect, text_or_bytes
from mcpgov.store.evidence import told
from mcpgov.store.schema import CHECKPOINTS, CURSORS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

PREFIX = "checkpoints to "
KEPT = select(CHECKPOINTS.c.writer, CHECKPOINTS.c.size, CHECKPOINTS.c.at, CHECKPOINTS.c.note)
MOST = 1 << 62  # no size: what SQLite sorts behind it is no number
# The writers, along the index from one to the next, for of each there may be very many checkpoints.
FIRST = select(func.min(CHECKPOINTS.c.writer).label("id")).cte("chains", recursive=True)
NEXT = select(func.min(CHECKPOINTS.c.writer)).where(CHECKPOINTS.c.writer > FIRST.c.id).scalar_subquery()
CHAINS = FIRST.union_all(select(NEXT).select_from(FIRST).where(FIRST.c.id.is_not(None)))
LAST = (CHECKPOINTS.c.writer == CHAINS.c.id) & (CHECKPOINTS.c.size < MOST)
SIZES = select(CHAINS.c.id, select(func.max(CHECKPOINTS.c.size)).where(LAST).scalar_subquery())


def open_sqlite_checkpoints(path: Path) -> SqlCheckpoints:
    """The checkpoints in this file, which is there."""

    def connection() -> sqlite3.Connection:
        database = connect(path)
        database.text_factory = text_or_bytes
        return database

    return SqlCheckpoints(create_engine("sqlite://", creator=connection, poolclass=NullPool))


class SqlCheckpoints:
    """The KeptCheckpoints of a store. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def lacking(self, target: str, limit: int) -> Sequence[KeptCheckpoint]:
        """The next that a place lacks, those of a writer in their order."""
        found: list[KeptCheckpoint] = []
        with told(), self._engine.connect() as connection:
            these = CURSORS.c.name.between(f"{PREFIX}{target} ", f"{PREFIX}{target} \U0010ffff")
            query = select(CURSORS.c.name, CURSORS.c.position).where(these)
            positions: dict[str, int] = dict(list(connection.execute(query)))
            for writer, size in list(connection.execute(SIZES)):
                after = positions.get(f"{PREFIX}{target} {writer}", 0)
                if isinstance(writer, str) and size is not None and size > after and len(found) < limit:
                    these = (CHECKPOINTS.c.writer == writer) & (CHECKPOINTS.c.size.between(after + 1, MOST - 1))
                    query = KEPT.where(these).order_by(CHECKPOINTS.c.size).limit(limit - len(found))
                    found += [kept(*row) for row in connection.execute(query)]
        return found

    def move(self, target: str, through: Sequence[KeptCheckpoint]) -> None:
        """Note that a place has these, and of their writers all before them."""
        ends = {one.writer: one.size for one in through}
        with told(), self._engine.begin() as connection:
            for writer, size in ends.items():
                values = {"name": f"{PREFIX}{target} {writer}", "position": size}
                connection.execute(CURSORS.delete().where(CURSORS.c.name == values["name"]))
                connection.execute(CURSORS.insert().values(values))


def kept(writer: str, size: int, at: Any, note: Any) -> KeptCheckpoint:
    """A checkpoint from its columns, which in SQLite may hold anything."""
    return KeptCheckpoint(writer, size, at if isinstance(at, int) else 0, str(note))
