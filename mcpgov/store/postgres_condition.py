"""The same as condition.py for a store in PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from mcpgov.doctor.facts import Condition
from mcpgov.store.condition import NEWEST
from mcpgov.store.postgres_database import READ_ONLY, connect, require_durable, unavailable
from mcpgov.store.sqlite_keys import optional

if TYPE_CHECKING:
    from mcpgov.models import Secret


def postgres_condition(url: Secret) -> Condition:
    """What time it is there, and when the last record is from. Raises StoreUnavailable, also for a server that keeps
    no promise.
    """
    with unavailable(), closing(connect(url, settings=READ_ONLY)) as connection:
        require_durable(connection)
        clock = connection.execute("SELECT now()").fetchone()
        newest = connection.execute(NEWEST).fetchone()
    return Condition(newest=optional(newest[0] if newest else None), clock=clock[0] if clock else None)
