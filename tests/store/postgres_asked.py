"""What a test asks a PostgreSQL beside those that it tests, over connections of its own."""

from typing import Any, Final, LiteralString, cast

import psycopg

from mcpgov.models import Secret

HOLDER: Final = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
"""


def ask(url: Secret, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a database answers to one statement, over a connection of its own."""
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        cursor = connection.execute(cast("LiteralString", statement), values or None)
        return cursor.fetchall() if cursor.description else []


def backend(url: Secret, writer: str) -> int:
    """The server's process that holds the lock on a writer's name."""
    ((pid,),) = ask(url, HOLDER, writer)
    return int(pid)


def until_released(url: Secret, pid: int) -> None:
    """Return once one of the server's processes is gone, and its locks with it."""
    while ask(url, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid):
        pass
