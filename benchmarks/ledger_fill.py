"""Fills the ledger of a gateway that has stopped with records like those of a call that it made.

The rows have the shape, the size and the indexes of real ones, with numbers of their own; their hashes are made up, so
that such a ledger is good for measuring and would not verify.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

EACH: Final = 2048  # bytes on the disk that a record and its places in indexes take, at most
CHUNK: Final = 100_000  # calls of one transaction
STEP: Final = 1_000  # microseconds between calls
WRITER: Final = "filled"
# What stands in a column of a filled row; every other column is as in the call that it is made from.
MADE: Final = {
    "id": "NULL",
    "writer": f"'{WRITER}'",
    "seq": "2 * calls.number + final",
    "call_id": "calls.call",
    "at": f"at - calls.number * {STEP}",
    "correlation_id": "calls.trace",
    "trace_id": "calls.trace",
    "record": "replace(replace(record, coalesce(correlation_id, ''), calls.trace), call_id, calls.call)",
    "hash": "randomblob(32)",
}
NUMBERED: Final = f"""
INSERT INTO temp.calls WITH RECURSIVE numbers (number) AS (
  SELECT :first UNION ALL SELECT number + 1 FROM numbers WHERE number < :last
) SELECT number, printf('{WRITER}-%d', number),
  printf('%08x', strftime('%s', 'now') - number * {STEP} / 1000000) || lower(hex(randomblob(12))) FROM numbers
"""


class NoRoomError(Exception):
    """The disk does not have the room, or there is no call to make others from."""


def fill(ledger: Path, records: int) -> None:
    """Write so many records, two for each call. Raises `NoRoomError`."""
    if shutil.disk_usage(ledger.parent).free < records * EACH:
        raise NoRoomError(f"{records:,} records may need {records * EACH / 2**30:.0f} GiB, which is not free here")
    with closing(sqlite3.connect(ledger, isolation_level=None)) as database:
        for pragma in ("synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        call = database.execute("SELECT call_id FROM records WHERE event = 'intent' AND tool IS NOT NULL").fetchone()
        if call is None:
            raise NoRoomError("the ledger holds no call yet")
        columns = [str(row[1]) for row in database.execute("PRAGMA table_info (records)")]
        copied = ", ".join(MADE.get(column, column) for column in columns)
        database.execute("CREATE TEMP TABLE model AS SELECT * FROM records WHERE call_id = ? ORDER BY final", call)
        database.execute("CREATE TEMP TABLE calls (number INTEGER PRIMARY KEY, call TEXT, trace TEXT)")
        for first in range(1, records // 2 + 1, CHUNK):
            last = min(first + CHUNK - 1, records // 2)
            database.execute("BEGIN")
            database.execute(NUMBERED, {"first": first, "last": last})
            database.execute(
                f"INSERT INTO records ({', '.join(columns)}) SELECT {copied} FROM temp.calls CROSS JOIN model"
            )
            database.execute("DELETE FROM temp.calls")
            database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint (TRUNCATE)")
