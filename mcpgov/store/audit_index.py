"""Reads the ledger behind the gateway's back, and keeps what its pages are made from: calls, counts, words.

Rules: nothing here is ever on a call's path, and nothing here is believed instead of a record: all of it can be thrown
away and made again. Records are read in the order of commit, a small batch at a time; what comes of a batch and the
place that was reached are kept in one transaction, so that a crash repeats nothing and skips nothing, and two processes
that do this at once do not count twice. Between batches the file is left to the gateway for as long as a batch took.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import structlog

from mcpgov.audit.record import RecordEvent
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.store.database import connect, unavailable
from mcpgov.store.rollups import Counts, Kind

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from mcpgov.audit.reader import Record

NAME: Final = "review"  # of the cursor
BATCH: Final = 250  # records; a batch is a few milliseconds of writing
IDLE: Final = 1.0  # seconds until it is looked for more
BROKEN: Final = 5.0  # seconds until it is tried again after a failure
OPEN: Final = "open"
# Fields of a record that nobody searches by their words.
WORDLESS: Final = frozenset(
    {"v", "event", "ts", "mcpgov.snapshot", "mcpgov.session.digest", "mcpgov.decision.answers"}
    | {"mcpgov.decision.policy_hash"}
)
# What stands in front of every digest: as words, they would be those of every call.
LABEL: Final = re.compile("hmac-sha256:[0-9a-f]{8}:")
READ: Final = """
SELECT id, call_id, final, event, at, connection, method, tool, principal, principal_name, project, reason, status,
source, record FROM records WHERE id > ? ORDER BY id LIMIT ?
"""
PLACE: Final = "SELECT position FROM cursors WHERE name = ?"
REACHED: Final = """
INSERT INTO cursors (name, position) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position
"""
BEGUN: Final = """
SELECT calls.id, calls.at, calls.connection, effect, calls.reason, calls.tool, calls.principal, begun.record
FROM records AS begun JOIN calls ON calls.id = begun.id WHERE begun.call_id = ? AND begun.final = 0
"""
BEGIN: Final = """
INSERT INTO calls (id, ended, at, connection, method, tool, principal, agent, blueprint, project, source, effect,
reason, status, total) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
END: Final = "UPDATE calls SET ended = ?, reason = ?, status = ?, total = ? WHERE id = ?"
NAMED: Final = """
INSERT INTO callers (principal, name) VALUES (?, ?)
ON CONFLICT (principal) DO UPDATE SET name = excluded.name WHERE name <> excluded.name
"""
WORDS: Final = "INSERT INTO records_text (rowid, text) VALUES (?, ?)"


class Read(NamedTuple):
    """A record as it is read, in the order of READ."""

    id: int
    call_id: str | None
    final: int
    event: str
    at: int
    connection: str | None
    method: str | None
    tool: str | None
    principal: str | None
    principal_name: str | None
    project: str | None
    reason: str | None
    status: str | None
    source: str | None
    record: str


class Begun(NamedTuple):
    """A call that has begun, as far as its end needs to know."""

    id: int
    at: int
    kind: Kind
    words: str


@dataclass(slots=True)
class Batch:
    """What comes of some records. `begun` are the calls that begin in it."""

    begun: dict[str, Begun] = field(default_factory=dict[str, Begun])
    calls: list[tuple[object, ...]] = field(default_factory=list["tuple[object, ...]"])
    ends: list[tuple[object, ...]] = field(default_factory=list["tuple[object, ...]"])
    names: dict[str, str] = field(default_factory=dict[str, str])
    words: list[tuple[int, str]] = field(default_factory=list["tuple[int, str]"])
    counts: Counts = field(default_factory=Counts)

    def begin(self, row: Read) -> None:
        """A call that is under way, or that was never forwarded and is whole."""
        fields = parsed(row.record)
        kind = Kind(
            row.connection or "",
            effect_of(row),
            row.reason or "",
            row.tool or "",
            row.principal or "",
            row.status or OPEN,
        )
        total = total_of(fields) if row.final else None
        agent, blueprint = (fields.get(f"mcpgov.principal.{name}", "") for name in ("agent_id", "blueprint_id"))
        where = (row.at, kind.connection, row.method or "", kind.tool)
        who = (kind.principal, agent, blueprint, row.project or "", row.source or "")
        how = (kind.effect, kind.reason, kind.status, total)
        self.calls.append((row.id, row.id if row.final else None, *where, *who, *how))
        if row.principal:  # who has no name stands there too: a name that is somebody's id must not hide them
            self.names[row.principal] = row.principal_name or ""
        if row.final:
            self.counts.add(row.at, kind, total)
            self.words.append((row.id, words_of(fields)))
        else:
            self.begun[row.call_id or ""] = Begun(row.id, row.at, kind, words_of(fields))

    def end(self, row: Read, begun: Begun) -> None:
        """How a call that was forwarded ended."""
        fields = parsed(row.record)
        total = total_of(fields)
        kind = begun.kind._replace(reason=row.reason or begun.kind.reason, status=row.status or "")
        self.ends.append((row.id, kind.reason, kind.status, total, begun.id))
        self.counts.add(begun.at, kind, total)
        self.words.append((begun.id, f"{begun.words} {words_of(fields)}"))


def effect_of(row: Read) -> str:
    """What was decided: allow or deny; empty where the caller was gone before anything was."""
    if row.event == RecordEvent.INTENT:
        return "allow"
    return "deny" if row.status == OutcomeStatus.DENIED else ""


def parsed(record: str) -> Record:
    """A record from its canonical JSON."""
    return cast("Record", json.loads(record))


def total_of(fields: Record) -> int | None:
    """How many microseconds a call took, from the record that ended it."""
    total = fields.get("mcpgov.latency.total_us")
    return total if isinstance(total, int) else None


def words_of(fields: Record) -> str:
    """What a record can be found by: every text in it that somebody would type."""
    found: list[str] = []
    for name, value in fields.items():
        if name not in WORDLESS:
            found += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    return searchable(" ".join(found))


def searchable(text: str) -> str:
    """Text as its words are kept and looked for: of a digest only what tells it from others."""
    return LABEL.sub("", text)


class AuditIndexer:
    """Indexes the ledger in one SQLite file. One thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def index(self) -> int:
        """Read on by one batch; how many records that were. Raises StoreUnavailable."""
        with unavailable(self._path), closing(connect(self._path)) as database:
            return self._index(database)

    def run(self, stop: threading.Event) -> None:
        """Index until `stop` is set. A store that is down is tried again, and said once."""
        failing = False
        while not stop.is_set():
            began = time.monotonic()
            try:
                with unavailable(self._path), closing(connect(self._path)) as database:
                    database.execute("PRAGMA synchronous = NORMAL")  # what is lost with the power is made again
                    failing = False
                    while not stop.is_set():
                        began = time.monotonic()
                        read = self._index(database)
                        stop.wait(time.monotonic() - began if read == BATCH else IDLE)
            except StoreUnavailable as error:
                if not failing:
                    structlog.get_logger().warning("audit-index-stopped", error=str(error))
                failing = True
                stop.wait(BROKEN)

    def _index(self, database: sqlite3.Connection) -> int:
        place = position(database)
        rows = [Read(*row) for row in database.execute(READ, (place, BATCH))]
        if not rows:
            return 0
        batch = read_batch(database, rows)
        database.execute("BEGIN IMMEDIATE")
        if position(database) == place:  # nobody else has read these meanwhile
            keep(database, batch)
            database.execute(REACHED, (NAME, rows[-1].id))
        database.execute("COMMIT")
        return len(rows)


def position(database: sqlite3.Connection) -> int:
    """The id of the last record that was read."""
    row = database.execute(PLACE, (NAME,)).fetchone()
    return int(row[0]) if row else 0


def read_batch(database: sqlite3.Connection, rows: list[Read]) -> Batch:
    """What comes of some records, which follow one another. What is about the gateway itself is no call."""
    batch = Batch()
    for row in rows:
        if row.event != RecordEvent.OUTCOME and row.call_id:
            batch.begin(row)
        elif row.call_id:
            begun = batch.begun.get(row.call_id) or found(database, row.call_id)
            if begun is not None:  # its beginning may have been purged
                batch.end(row, begun)
    return batch


def found(database: sqlite3.Connection, call_id: str) -> Begun | None:
    """A call that began in an earlier batch."""
    row = database.execute(BEGUN, (call_id,)).fetchone()
    if row is None:
        return None
    call, at, connection, effect, reason, tool, principal, record = row
    return Begun(call, at, Kind(connection, effect, reason, tool, principal, OPEN), words_of(parsed(record)))


def keep(database: sqlite3.Connection, batch: Batch) -> None:
    """Write what came of a batch."""
    database.executemany(BEGIN, batch.calls)
    database.executemany(END, batch.ends)
    database.executemany(NAMED, batch.names.items())
    database.executemany(WORDS, batch.words)
    for statement, rows in batch.counts.statements():
        database.executemany(statement, rows)


@contextmanager
def indexing(path: Path) -> Generator[None]:
    """Index the ledger in a thread of its own, until the context is left."""
    stop = threading.Event()
    thread = threading.Thread(target=AuditIndexer(path).run, args=(stop,), name="audit-index", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
