"""The ledger in PostgreSQL through SQLAlchemy: the same questions as to a file, over connections that cannot write.

Only how far a place has been sent its checkpoints, or an export its records, is written here, by those that send them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from mcpgov.errors import StoreUnavailable
from mcpgov.store.audit_reader import SqlAuditReader
from mcpgov.store.checkpoint_log import SqlCheckpoints
from mcpgov.store.database import SCHEMA_VERSION
from mcpgov.store.evidence import SqlEvidence
from mcpgov.store.export_log import SqlExports
from mcpgov.store.postgres_database import READ_ONLY, WRITING, connect, schema_version, unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from mcpgov.models import Secret
    from mcpgov.store.postgres_database import BoundedConnection


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


def open_postgres_exports(url: Secret, log: str) -> SqlExports:
    """The records in this database, whose tables are there. `log` is the name of the log."""
    return SqlExports(open_engine(url, WRITING), log)


def open_engine(url: Secret, settings: tuple[str, ...]) -> Engine:
    """What asks this database through SQLAlchemy, which makes each connection when it is needed."""

    def connection() -> BoundedConnection:
        made = connect(url, settings=settings)
        made.autocommit = False  # SQLAlchemy says where a transaction ends
        return made

    return create_engine("postgresql+psycopg://", creator=connection, poolclass=NullPool)


def require_ledger(url: Secret) -> None:
    """Raise StoreUnavailable where nothing can be read, InvalidConfiguration where a newer version wrote."""
    with unavailable():
        connection = connect(url, settings=READ_ONLY)
        try:
            version = schema_version(connection, SCHEMA_VERSION)
        finally:
            connection.close()
    if version < SCHEMA_VERSION:
        raise StoreUnavailable("the database holds no ledger of this version; it does once mcpgov serve has started")
