"""The checkpoints in a second database, where they were sent. Over SQL, the same for every database.

Rows are added, never changed: the table needs no right but that to insert, and that to read for those who verify. A
file keeps no log beside itself: it may lie on a share, where another machine reads it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, create_engine, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import BUSY, place_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

SENT: Final = Table(
    "mcpgov_checkpoints",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # microseconds since 1970-01-01 UTC
)


def open_sqlite_sent(path: Path) -> SqlSentCheckpoints:
    """The checkpoints in this file, to add to them; it is made, for its owner alone, when it is first needed."""

    def connection() -> sqlite3.Connection:
        place_bytes(path, b"")
        return connected(path, "rw")

    return SqlSentCheckpoints(create_engine("sqlite://", creator=connection, poolclass=NullPool))


def open_sqlite_received(path: Path) -> SqlSentCheckpoints:
    """The checkpoints in this file, to read them alone."""
    return SqlSentCheckpoints(create_engine("sqlite://", creator=lambda: connected(path, "ro"), poolclass=NullPool))


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file, which is there. What is no UTF-8 in it is read all the same. Raises sqlite3.Error."""
    database = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, check_same_thread=False, timeout=BUSY)
    database.text_factory = readable
    database.execute("PRAGMA synchronous = EXTRA")  # without a log beside the file FULL could lose the last commit
    database.execute("PRAGMA fullfsync = 1")
    return database


def readable(text: bytes) -> str:
    """A text, whatever somebody else put there."""
    return text.decode("utf-8", "replace")


class SqlSentCheckpoints:
    """The SentCheckpoints in a database. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._made = False

    def put(self, name: str, note: str, at: int) -> None:
        """Keep a note under a name, unless there is one."""
        with told():
            if not self._made:
                SENT.create(self._engine, checkfirst=True)
                self._made = True
            with contextlib.suppress(IntegrityError), self._engine.begin() as connection:
                connection.execute(SENT.insert().values(name=name, note=note, at=at))

    def notes(self) -> Iterator[str]:
        """Every note, by name."""
        with told(), self._engine.connect() as connection:
            for (note,) in connection.execute(select(SENT.c.note).order_by(SENT.c.name)):
                yield str(note)


@contextlib.contextmanager
def told() -> Generator[None]:
    """Turn what SQLAlchemy and the system say into StoreUnavailable."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StoreUnavailable(f"the database of checkpoints: {said}") from error
