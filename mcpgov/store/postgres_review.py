"""Review in PostgreSQL: the index that is made there, and the questions that the console asks.

Of the gateways that share a database one indexes at a time: whoever takes the lock for a batch. What the index loses
with the power it makes again, so nobody waits for its commits to reach the disk. A page asks a dozen questions: its few
connections are kept, and one that the server has hung up on is seen before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

from mcpgov.store.audit_index import IndexPlace
from mcpgov.store.audit_query import SqlReviewReader
from mcpgov.store.postgres_database import READ_ONLY, WRITING
from mcpgov.store.postgres_reader import connecting, open_engine, require_ledger
from mcpgov.store.word_index import TSVECTOR

if TYPE_CHECKING:
    from mcpgov.models import Secret

INDEXING: Final = 0x6D63_7067_0003  # the advisory lock of whoever indexes
INDEX: Final = (*WRITING, "synchronous_commit=off")
CONNECTIONS: Final = 4
WAITING: Final = 5.0  # seconds for one of them


def open_postgres_review(url: Secret) -> SqlReviewReader:
    """A reader of the ledger in this database. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""
    require_ledger(url)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=connecting(url, READ_ONLY),
        poolclass=QueuePool,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=WAITING,
        pool_pre_ping=True,
    )
    return SqlReviewReader(engine, TSVECTOR)


def postgres_place(url: Secret) -> IndexPlace:
    """Where the index of this database is kept."""
    return IndexPlace(open_engine(url, INDEX), TSVECTOR, f"SELECT pg_try_advisory_xact_lock({INDEXING})", "")
