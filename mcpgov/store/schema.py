"""The tables, for every database: the ledger's records and their proof, what is counted of them for review, the gateway
keys, users' consents, the pins of tools.

Times are microseconds since 1970-01-01 UTC, minutes are whole ones since then. A record is kept whole, as canonical
JSON, beside the columns that it is found by; rows of `records` are never changed. There is one table more, for the
search of words, which database.py makes: it is of another kind in each database (word_index.py).
"""

from __future__ import annotations

from typing import Final

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
    TextClause,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles

VERSION = 6

METADATA = MetaData()


class NoBytes(TextClause):
    """The default of a column that holds bytes: none of them, as SQL writes that."""

    inherit_cache = True


@compiles(NoBytes, "postgresql")
def no_bytes_in_postgresql(*_: object, **__: object) -> str:
    """PostgreSQL reads x'' as bits."""
    return r"'\x'"


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
    # The RFC 6962 leaf hash of the record's entry (audit/chain.py); empty in what versions 1 and 2 wrote.
    Column("hash", LargeBinary, nullable=False, server_default=NoBytes("x''")),
    UniqueConstraint("writer", "seq"),
    UniqueConstraint("call_id", "final"),  # a call begins once and ends once
    Index("records_at", "at"),
    Index("records_correlation_id", "correlation_id"),
    Index("records_trace_id", "trace_id"),
)

# A writer stands here from its start until a later one has named its end. It has none (`seq`, `hash` of its last
# record) until all its calls have theirs: after a clean stop, or after recovery.
WRITERS = Table(
    "writers",
    METADATA,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger),
    Column("hash", LargeBinary),
)

# What each writer had written, signed from time to time.
CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("writer", String, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),  # a C2SP signed note
    Index("checkpoints_at", "at"),
)

# How many calls there were, and how long they took: by the minute, for the pages that people read.
ROLLUPS = Table(
    "rollups",
    METADATA,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("connection", String, primary_key=True),
    Column("effect", String, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("tool", String, primary_key=True),
    Column("principal", String, primary_key=True),
    Column("status", String, primary_key=True),
    Column("calls", BigInteger, nullable=False),
)
LATENCIES = Table(
    "latencies",
    METADATA,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("connection", String, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("calls", BigInteger, nullable=False),
)

# How far those that read the ledger by the way have come: the records.id up to which they have read. Of
# checkpoints that leave it is, for each place and writer, the size of the last.
CURSORS = Table(
    "cursors",
    METADATA,
    Column("name", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

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

# One row for each call, made from its records after the fact and never instead of them: what the console lists. `id`
# is that of the record that began it, `ended` of the one that ended it; what is not known is the empty string.
FOUND_BY: Final = (
    *("connection", "method", "tool", "principal", "agent", "blueprint", "project", "source", "effect", "reason"),
    "status",
)
CALLS = Table(
    "calls",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("ended", BigInteger),
    Column("at", BigInteger, nullable=False),
    *(Column(name, String, nullable=False) for name in FOUND_BY),
    Column("total", BigInteger),  # microseconds
    Index("calls_at", "at"),
    *(Index(f"calls_{name}", name, "at") for name in FOUND_BY),
)

# The name that each caller last went by.
CALLERS = Table(
    "callers",
    METADATA,
    Column("principal", String, primary_key=True),
    Column("name", String, nullable=False),
    Index("callers_name", "name"),
)

# The same as by the minute, for spans of days.
HOURLY_ROLLUPS = Table(
    "hourly_rollups",
    METADATA,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    *(
        Column(name, String, primary_key=True)
        for name in ("connection", "effect", "reason", "tool", "principal", "status")
    ),
    Column("calls", BigInteger, nullable=False),
)
HOURLY_LATENCIES = Table(
    "hourly_latencies",
    METADATA,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("connection", String, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("calls", BigInteger, nullable=False),
)

# Keys of the admin listener, which no caller of tools can use.
ADMIN_KEYS = Table(
    "admin_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

# What is known of each tool of a server; a digest that there is none of is the empty string.
PINS = Table(
    "pins",
    METADATA,
    Column("server", String, primary_key=True),
    Column("tool", String, primary_key=True),
    Column("digest", String, nullable=False),  # as listed last
    Column("approved", String, nullable=False),
    Column("rejected", String, nullable=False),
    Column("fault", String, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", String, nullable=False),
)

# The definitions that pins name, as canonical JSON.
DEFINITIONS = Table(
    "definitions",
    METADATA,
    Column("server", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("definition", Text, nullable=False),
)

# The servers that have pins. `seen_at`: when the first of their lists was seen; `listed_at`: when their tools were
# first seen to the end of the list; `kept`: characters of their definitions. `revision` is a new and the highest number
# with each change, so that every gateway can ask what it has not seen yet.
PINNED_SERVERS = Table(
    "pinned_servers",
    METADATA,
    Column("server", String, primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
    Column("listed_at", BigInteger),
    Column("kept", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("pinned_servers_revision", "revision"),
)
