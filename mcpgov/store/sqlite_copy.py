"""A copy of the file while gateways write to it: as it was at one moment, by SQLite's own online backup.

A reader's transaction holds that moment, so that a commit in between neither comes in nor makes the copy begin anew
(SQLite's manual, "Using the SQLite Online Backup API"). Writers do not wait for it. What is damaged is not passed on.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from mcpgov.backup.manifest import StoreCopy
from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import connect_to_read, unavailable

if TYPE_CHECKING:
    from pathlib import Path

PAGES: Final = 4096  # between two looks whether somebody pressed Ctrl-C
NEWEST: Final = "SELECT note FROM checkpoints ORDER BY at DESC, size DESC LIMIT 1"
PROVED: Final = 3  # the first version of the schema with checkpoints


def copy_sqlite(path: Path, target: Path) -> StoreCopy:
    """Copy the store to a file that is not there yet. Raises StoreUnavailable, InvalidConfiguration (newer)."""
    with unavailable(path), closing(connect_to_read(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(copy, pages=PAGES, sleep=0)
        source.execute("COMMIT")
        # One file is easier to carry than one with a log beside it; a gateway turns it back when it opens it.
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreUnavailable(f"{path} is damaged ({found}); restore an older backup, or see SQLite's .recover")
        schema = int(copy.execute("PRAGMA user_version").fetchone()[0])
        newest = copy.execute(NEWEST).fetchone() if schema >= PROVED else None
    return StoreCopy(schema, str(newest[0]) if newest else "")
