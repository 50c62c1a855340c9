"""A store from inside, as the doctor asks it: reads only, beside whoever writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpgov.doctor.facts import Condition
from mcpgov.store.database import connect_to_read, unavailable
from mcpgov.store.sqlite_keys import optional

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "PRAGMA quick_check(1)"
NEWEST = "SELECT at FROM records ORDER BY id DESC LIMIT 1"
SIGNED = "SELECT 1 FROM checkpoints LIMIT 1"


@dataclass(frozen=True, slots=True)
class SqliteHere:
    """The SQLite of this Python: its version, and whether it can search words."""

    version: str
    fts5: bool


def sqlite_here() -> SqliteHere:
    """What SQLite this is."""
    with closing(sqlite3.connect(":memory:")) as database:
        options = {row[0] for row in database.execute("PRAGMA compile_options")}
    return SqliteHere(sqlite3.sqlite_version, "ENABLE_FTS5" in options)


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
