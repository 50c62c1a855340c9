"""Takes the oldest records out of a SQLite file, and out of everything there that was made from them.

Within the transaction of whoever calls: the record of the purge and what it removed are never apart. What the index
counts goes by whole hours: those before the hour of the newest record that is removed. Of the checkpoints of what is
gone the last of each writer stays, which signs most of it. Words are taken from the index of text by saying them again,
as they were indexed: it keeps no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.reader import record_of
from mcpgov.audit.record import RecordEvent
from mcpgov.errors import StoreUnavailable
from mcpgov.store.record_words import words_of
from mcpgov.store.rollups import HOUR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from mcpgov.audit.purge import Cut

FASTER: Final = "another purge was faster; nothing was removed by this one"
RECORDS: Final = "DELETE FROM records WHERE id <= ?"
CHECKPOINTS: Final = """
DELETE FROM checkpoints WHERE writer = ? AND size < (SELECT max(size) FROM checkpoints WHERE writer = ? AND size <= ?)
"""
INDEXED: Final = """
SELECT calls.id, records.record FROM calls JOIN records ON records.id = calls.ended WHERE calls.id <= ?
"""
UNTEXT: Final = "INSERT INTO records_text (records_text, rowid, text) VALUES ('delete', ?, ?)"
CALLS: Final = "DELETE FROM calls WHERE id <= ?"
COUNTED: Final = (
    ("DELETE FROM rollups WHERE minute < ?", 60),
    ("DELETE FROM latencies WHERE minute < ?", 60),
    ("DELETE FROM hourly_rollups WHERE hour < ?", 1),
    ("DELETE FROM hourly_latencies WHERE hour < ?", 1),
)
CALLERS: Final = """
DELETE FROM callers WHERE principal = ? AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.principal = callers.principal)
"""


def remove(database: sqlite3.Connection, cut: Cut) -> None:
    """Remove what a cut says. Raises StoreUnavailable where it is not all there."""
    forget(database, cut)
    if database.execute(RECORDS, (cut.through,)).rowcount != len(cut.rows):
        raise StoreUnavailable(FASTER)
    for writer in {row.writer for row in cut.rows}:
        database.execute(CHECKPOINTS, (writer, writer, cut.removed.chains[writer].size))


def forget(database: sqlite3.Connection, cut: Cut) -> None:
    """Remove from the index what was made of the records of a cut."""
    callers = database.execute("SELECT DISTINCT principal FROM calls WHERE id <= ?", (cut.through,)).fetchall()
    database.executemany(UNTEXT, list(words(database, cut)))
    database.execute(CALLS, (cut.through,))
    hours = cut.span[1] // HOUR
    for statement, units in COUNTED:
        database.execute(statement, (hours * units,))
    database.executemany(CALLERS, callers)


def words(database: sqlite3.Connection, cut: Cut) -> Iterator[tuple[int, str]]:
    """The words of each call that ended and was indexed, as they were indexed."""
    begun = {row.id: row for row in cut.rows}
    for place, end in database.execute(INDEXED, (cut.through,)).fetchall():
        row = begun[place]
        said = words_of(record_of(row.record))
        yield place, f"{said} {words_of(record_of(end))}" if row.event == RecordEvent.INTENT else said
