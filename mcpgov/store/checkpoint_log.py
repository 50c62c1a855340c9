"""The checkpoints in a store, for those that send them away. Over SQL, the same for every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from mcpgov.audit.checkpoints import KeptCheckpoint
from mcpgov.store.database import connect
from mcpgov.store.evidence import told
from mcpgov.store.schema import CHECKPOINTS, CURSORS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

PREFIX = "checkpoints to "
KEPT = select(CHECKPOINTS.c.writer, CHECKPOINTS.c.size, CHECKPOINTS.c.at, CHECKPOINTS.c.note)


def open_sqlite_checkpoints(path: Path) -> SqlCheckpoints:
    """The checkpoints in this file, which is there."""
    return SqlCheckpoints(create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool))


class SqlCheckpoints:
    """The KeptCheckpoints of a store. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def after(self, at: int, limit: int) -> Sequence[KeptCheckpoint]:
        """The first that were made later than `at`."""
        query = KEPT.where(CHECKPOINTS.c.at > at).order_by(CHECKPOINTS.c.at).limit(limit)
        with told(), self._engine.connect() as connection:
            return [KeptCheckpoint(*row) for row in connection.execute(query)]

    def position(self, target: str) -> int:
        """The time up to which a place has everything."""
        query = select(CURSORS.c.position).where(CURSORS.c.name == PREFIX + target)
        with told(), self._engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def move(self, target: str, at: int) -> None:
        """Note that a place has everything up to this time."""
        values = {"name": PREFIX + target, "position": at}
        with told(), self._engine.begin() as connection:
            connection.execute(CURSORS.delete().where(CURSORS.c.name == values["name"]))
            connection.execute(CURSORS.insert().values(values))
