"""The tables, for every database: the ledger's records, the writers that are alive, the gateway keys, users' consents.

Times are microseconds since 1970-01-01 UTC. A record is kept whole, as canonical JSON, beside the columns that it is
found by; rows of `records` are never changed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 2

METADATA = MetaData()

RECORDS = Table(
    "records",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # the order of commit
    Column("writer", String, nullable=False),
    Column("seq", BigInteger, nullable=False),  # 1, 2, 3, … for each writer
    Column("call_id", String),  # none in a control record
    Column("final", SmallInteger, nullable=False),  # 1: nothing follows for this call
    Column("event", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("connection", String),
    Column("method", String),
    Column("tool", String),
    Column("principal", String),
    Column("principal_name", String),
    Column("project", String),
    Column("reason", String),
    Column("status", String),
    Column("source", String),
    Column("correlation_id", String),
    Column("trace_id", String),
    Column("record", Text, nullable=False),
    UniqueConstraint("writer", "seq"),
    UniqueConstraint("call_id", "final"),  # a call begins once and ends once
    Index("records_at", "at"),
    Index("records_correlation_id", "correlation_id"),
    Index("records_trace_id", "trace_id"),
)

# A writer stands here from its start until all its calls have their end: after a clean stop, or after recovery.
WRITERS = Table("writers", METADATA, Column("id", String, primary_key=True))

KEYS = Table(
    "keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("name", String, nullable=False),
    Column("project", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("connections", String),  # the scope: a JSON list of patterns; none is everything
    Column("tools", String),
    Column("last_used_at", BigInteger),
    Column("replaced_by", String),  # the key that it was rotated to
)

# The tokens that users' consents gave, sealed; for each user, connection, and client that mcpgov is there.
VAULT = Table(
    "vault",
    METADATA,
    Column("principal", String, primary_key=True),
    Column("connection", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Tickets that are good once, and were used.
SPENT_TICKETS = Table(
    "spent_tickets",
    METADATA,
    Column("id", String, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)
