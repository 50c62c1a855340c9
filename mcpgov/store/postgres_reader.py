"""The ledger in PostgreSQL through SQLAlchemy: the same questions as to a file, over connections that cannot write.

Only how far a place has been sent its checkpoints, or an export its records, is written here, by those that send them;
and the checkpoints themselves, where the database is such a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.string import StrDumper
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from mcpgov.errors import StoreUnavailable
from mcpgov.store.audit_reader import SqlAuditReader
from mcpgov.store.checkpoint_log import SqlCheckpoints
from mcpgov.store.database import SCHEMA_VERSION
from mcpgov.store.evidence import SqlEvidence
from mcpgov.store.export_log import SqlExports
from mcpgov.store.oldest_records import SqlOldestRecords
from mcpgov.store.postgres_database import READ_ONLY, WRITING, connect, schema_version, unavailable
from mcpgov.store.postgres_ledger import NUL
from mcpgov.store.sent_checkpoints import SqlSentCheckpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.abc import Buffer
    from sqlalchemy import Engine

    from mcpgov.models import Secret
    from mcpgov.store.postgres_database import BoundedConnection


class StorableText(StrDumper):
    """Text with a NUL is asked for as the ledger has kept it: with the symbol in its place."""

    def dump(self, obj: str) -> Buffer | None:
        """A text as it is sent."""
        return super().dump(obj.translate(NUL))


def open_postgres_reader(url: Secret) -> SqlAuditReader:
    """A reader of the ledger in this database. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""
    require_ledger(url)
    return SqlAuditReader(open_engine(url, READ_ONLY))


def open_postgres_evidence(url: Secret) -> SqlEvidence:
    """The evidence in this database, as it is at one moment. Raises StoreUnavailable, InvalidConfiguration (newer)."""
    require_ledger(url)
    return SqlEvidence(open_engine(url, READ_ONLY), "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def open_postgres_checkpoints(url: Secret) -> SqlCheckpoints:
    """The checkpoints in this database, whose tables are there."""
    return SqlCheckpoints(open_engine(url, WRITING))


def open_postgres_oldest(url: Secret) -> SqlOldestRecords:
    """The oldest records in this database. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""
    require_ledger(url)
    return SqlOldestRecords(open_engine(url, READ_ONLY))


def open_postgres_exports(url: Secret, log: str) -> SqlExports:
    """The records in this database, whose tables are there. `log` is the name of the log."""
    return SqlExports(open_engine(url, WRITING), log)


def open_postgres_sent(url: Secret) -> SqlSentCheckpoints:
    """The checkpoints in this database, which is not that of a ledger, to add to them."""
    return SqlSentCheckpoints(open_engine(url, WRITING))


def open_postgres_received(url: Secret) -> SqlSentCheckpoints:
    """The checkpoints in this database, to read them alone."""
    return SqlSentCheckpoints(open_engine(url, READ_ONLY))


def open_engine(url: Secret, settings: tuple[str, ...]) -> Engine:
    """What asks this database through SQLAlchemy, which makes each connection when it is needed."""
    return create_engine("postgresql+psycopg://", creator=connecting(url, settings), poolclass=NullPool)


def connecting(url: Secret, settings: tuple[str, ...]) -> Callable[[], BoundedConnection]:
    """What makes a connection for SQLAlchemy, which says where a transaction ends."""

    def connection() -> BoundedConnection:
        made = connect(url, settings=settings)
        made.autocommit = False
        made.adapters.register_dumper(str, StorableText)
        return made

    return connection


def require_ledger(url: Secret) -> None:
    """Raise StoreUnavailable where nothing can be read, InvalidConfiguration where a newer version wrote."""
    with unavailable():
        connection = connect(url, settings=READ_ONLY)
        try:
            version = schema_version(connection, SCHEMA_VERSION)
        finally:
            connection.close()
    if version < SCHEMA_VERSION:
        raise StoreUnavailable(
            f"the store has schema {version}, and this mcpgov reads {SCHEMA_VERSION}: run mcpgov store migrate"
            if version
            else "the database holds no ledger of this version; it does once mcpgov serve has started"
        )
