"""A store from inside, as the doctor asks it: reads only, beside whoever writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from mcpgov.doctor.facts import Condition
from mcpgov.frozen import frozen
from mcpgov.replicas import serving
from mcpgov.store.database import connect_to_read, unavailable
from mcpgov.store.sqlite_keys import optional
from mcpgov.store.sqlite_ledger import is_gone

if TYPE_CHECKING:
    from pathlib import Path

    from mcpgov.replicas import Serving

CHECK = "PRAGMA quick_check(1)"
NEWEST = "SELECT at FROM records ORDER BY id DESC LIMIT 1"
SIGNED = "SELECT 1 FROM checkpoints LIMIT 1"
LIVE = "SELECT id FROM writers WHERE seq IS NULL AND id <> ? ORDER BY id"
# The start of a writer is among its first records, so that this ends soon, however many it has.
STARTED = (
    "SELECT id, record FROM records WHERE writer = ? AND event = 'control' AND reason = 'start' ORDER BY seq LIMIT 1"
)


@frozen
class SqliteHere:
    """The SQLite of this Python: its version, and whether it can search words."""

    version: str
    fts5: bool


def sqlite_here() -> SqliteHere:
    """What SQLite this is."""
    with closing(sqlite3.connect(":memory:")) as database:
        options = {row[0] for row in database.execute("PRAGMA compile_options")}
    return SqliteHere(sqlite3.sqlite_version, "ENABLE_FTS5" in options)


def sqlite_gateways(path: Path, before: str = "") -> tuple[Serving, ...]:
    """The gateways that write to a file now and started before a writer; all of them for none.

    Raises StoreUnavailable, InvalidConfiguration (newer).
    """
    with unavailable(path), closing(connect_to_read(path)) as database:
        until = database.execute(STARTED, (before,)).fetchone()
        found: list[Serving | None] = []
        for (writer,) in database.execute(LIVE, (before,)).fetchall():
            start = database.execute(STARTED, (writer,)).fetchone()
            if start and (until is None or start[0] < until[0]) and not is_gone(path, writer):
                found.append(serving(writer, start[1]))
    return tuple(filter(None, found))


def sqlite_condition(path: Path) -> Condition:
    """What SQLite's own check says of a file, and when its last record is from.

    Raises StoreUnavailable, InvalidConfiguration (newer).
    """
    with unavailable(path), closing(connect_to_read(path)) as database:
        said = str(database.execute(CHECK).fetchone()[0])
        newest = database.execute(NEWEST).fetchone()
        signed = database.execute(SIGNED).fetchone()
    damage = "" if said == "ok" else said.replace("\n", " ")
    return Condition(damage, proved=signed is not None, newest=optional(newest[0] if newest else None))
