"""The same as condition.py for a store in PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from mcpgov.doctor.facts import Condition
from mcpgov.replicas import serving
from mcpgov.store.condition import NEWEST
from mcpgov.store.postgres_database import READ_ONLY, connect, require_durable, unavailable
from mcpgov.store.sqlite_keys import optional

if TYPE_CHECKING:
    from mcpgov.models import Secret
    from mcpgov.replicas import Serving

# A writer lives while somebody holds the lock on its name (postgres_ledger.py); its start is among its first records.
LIVE: Final = """
SELECT writers.id, start.record FROM writers CROSS JOIN LATERAL (
    SELECT id, record FROM records WHERE writer = writers.id AND event = 'control' AND reason = 'start'
    ORDER BY seq LIMIT 1
) AS start
WHERE writers.seq IS NULL AND writers.id <> %s AND start.id < coalesce((
    SELECT id FROM records WHERE writer = %s AND event = 'control' AND reason = 'start' ORDER BY seq LIMIT 1
), 9223372036854775807)
AND EXISTS (
    SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended(writers.id, 0)
)
ORDER BY writers.id
"""


def postgres_gateways(url: Secret, before: str = "") -> tuple[Serving, ...]:
    """The gateways that write to a database now and started before a writer; all of them for none.

    Raises StoreUnavailable.
    """
    with unavailable(), closing(connect(url)) as connection:
        rows = connection.execute(LIVE, (before, before)).fetchall()
    return tuple(filter(None, (serving(str(writer), str(record)) for writer, record in rows)))


def postgres_condition(url: Secret) -> Condition:
    """What time it is there, and when the last record is from. Raises StoreUnavailable, also for a server that keeps
    no promise.
    """
    with unavailable(), closing(connect(url, settings=READ_ONLY)) as connection:
        require_durable(connection)
        clock = connection.execute("SELECT now()").fetchone()
        newest = connection.execute(NEWEST).fetchone()
    return Condition(newest=optional(newest[0] if newest else None), clock=clock[0] if clock else None)
