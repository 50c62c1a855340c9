"""Reads the ledger behind the gateway's back, and keeps what its pages are made from: calls, counts, words.

Rules: nothing here is ever on a call's path, and nothing here is believed instead of a record: all of it can be thrown
away and made again. Records are read in the order of commit, a small batch at a time; what comes of a batch and the
place that was reached are kept in one transaction, so that a crash repeats nothing and skips nothing, and two processes
that do this at once do not count twice. Between batches the store is left to the gateway for as long as a batch took.

The order of ids is the order of commit in both databases: SQLite has one writer at a time, and in PostgreSQL whoever
appends holds one lock until its records can be seen (postgres_ledger.py). So the id that was reached is place enough.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import structlog
from sqlalchemy import create_engine, insert, text
from sqlalchemy.pool import NullPool

from mcpgov.audit.reader import LATEST, record_of
from mcpgov.audit.record import ControlEvent, RecordEvent
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import OutcomeStatus
from mcpgov.store.database import connect
from mcpgov.store.evidence import told
from mcpgov.store.record_words import words_of
from mcpgov.store.rollups import Counts, Kind
from mcpgov.store.schema import CALLS
from mcpgov.store.word_index import FTS5

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from mcpgov.audit.reader import Record
    from mcpgov.store.word_index import WordIndex

    Fields = dict[str, str | int | None]

NAME: Final = "review"  # of the cursor
VERIFIED: Final = "verified"  # the cursor at the last record of a verification
BATCH: Final = 250  # records; a batch is a few milliseconds of writing
IDLE: Final = 1.0  # seconds until it is looked for more
TURN: Final = 0.05  # seconds until it is asked again whose turn it is
TURNS: Final = 600  # in a row without getting on, after which one does not wait any more
BROKEN: Final = 5.0  # seconds until it is tried again after a failure
OPEN: Final = "open"
READ: Final = text("""
SELECT id, call_id, final, event, at, connection, method, tool, principal, principal_name, project, reason, status,
source, record FROM records WHERE id > :place ORDER BY id LIMIT :limit
""")
THERE: Final = text("SELECT 1 FROM records WHERE id = :id")
PLACE: Final = text("SELECT position FROM cursors WHERE name = :name")
REACHED: Final = text("""
INSERT INTO cursors (name, position) VALUES (:name, :place)
ON CONFLICT (name) DO UPDATE SET position = excluded.position
""")
BEGUN: Final = text("""
SELECT calls.id, calls.at, calls.connection, effect, calls.reason, calls.tool, calls.principal, begun.record
FROM records AS begun JOIN calls ON calls.id = begun.id WHERE begun.call_id = :call AND begun.final = 0
""")
END: Final = text(
    "UPDATE calls SET ended = :ended, reason = :reason, status = :status, total = :total WHERE id = :call"
)
NAMED: Final = text("""
INSERT INTO callers (principal, name) VALUES (:principal, :name)
ON CONFLICT (principal) DO UPDATE SET name = excluded.name WHERE callers.name <> excluded.name
""")


@frozen
class IndexPlace:
    """The database that an index is kept in. `turn` is asked before a batch is read, and answers false where somebody
    else is at it; `begin` is said before a batch is written.
    """

    engine: Engine
    words: WordIndex
    turn: str
    begin: str


def sqlite_place(path: Path) -> IndexPlace:
    """The file of a store, there or not yet. Whoever writes first in it keeps what came of a batch."""

    def connection() -> sqlite3.Connection:
        made = connect(path)
        made.execute("PRAGMA synchronous = NORMAL")  # what is lost with the power is made again
        return made

    engine = create_engine("sqlite://", creator=connection, poolclass=NullPool)
    return IndexPlace(engine, FTS5, "SELECT 1", "BEGIN IMMEDIATE")


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
    calls: list[Fields] = field(default_factory=list["Fields"])
    ends: list[Fields] = field(default_factory=list["Fields"])
    names: dict[str, str] = field(default_factory=dict[str, str])
    words: list[tuple[int, str]] = field(default_factory=list["tuple[int, str]"])
    counts: Counts = field(default_factory=Counts)
    verified: int = 0  # the last record that says that the ledger was verified

    def begin(self, row: Read) -> None:
        """A call that is under way, or that was never forwarded and is whole."""
        fields = record_of(row.record)
        kind = Kind(
            row.connection or "",
            effect_of(row),
            row.reason or "",
            row.tool or "",
            row.principal or "",
            row.status or OPEN,
        )
        total = total_of(fields) if row.final else None
        agent, blueprint = (str(fields.get(f"mcpgov.principal.{name}", "")) for name in ("agent_id", "blueprint_id"))
        place: Fields = {"id": row.id, "ended": row.id if row.final else None, "at": row.at, "method": row.method or ""}
        who: Fields = {"agent": agent, "blueprint": blueprint, "project": row.project or "", "source": row.source or ""}
        self.calls.append({**place, **who, **kind._asdict(), "total": total})
        if row.principal:  # who has no name stands there too: a name that is somebody's id must not hide them
            self.names[row.principal] = row.principal_name or ""
        if row.final:
            self.counts.add(row.at, kind, total)
            self.words.append((row.id, words_of(fields)))
        else:
            self.begun[row.call_id or ""] = Begun(row.id, row.at, kind, words_of(fields))

    def end(self, row: Read, begun: Begun) -> None:
        """How a call that was forwarded ended."""
        fields = record_of(row.record)
        total = total_of(fields)
        kind = begun.kind._replace(reason=row.reason or begun.kind.reason, status=row.status or "")
        end: Fields = {"call": begun.id, "ended": row.id, "reason": kind.reason, "status": kind.status, "total": total}
        self.ends.append(end)
        self.counts.add(begun.at, kind, total)
        self.words.append((begun.id, f"{begun.words} {words_of(fields)}"))


def is_sound(row: Read) -> bool:
    """Whether each column is of its kind. SQLite holds anything anywhere: what somebody else wrote is left out."""
    at, texts = cast("object", row.at), cast("tuple[object, ...]", (row.call_id, row.event, *row[5:]))
    return isinstance(at, int) and 0 <= at < LATEST and all(isinstance(one, str | None) for one in texts)


def effect_of(row: Read) -> str:
    """What was decided: allow or deny; empty where the caller was gone before anything was."""
    if row.event == RecordEvent.INTENT:
        return "allow"
    return "deny" if row.status == OutcomeStatus.DENIED else ""


def total_of(fields: Record) -> int | None:
    """How many microseconds a call took, from the record that ended it."""
    total = fields.get("mcpgov.latency.total_us")
    return total if isinstance(total, int) else None


class AuditIndexer:
    """Indexes the ledger in one database. One thread at a time may use it."""

    def __init__(self, place: IndexPlace) -> None:
        self._place = place

    def index(self) -> int:
        """Read on by one batch; how many records that were. Raises StoreUnavailable."""
        with told(), self._place.engine.connect() as database:
            return self._index(database)

    def reached(self) -> int:
        """The id of the last record that was read, by whomever. Raises StoreUnavailable."""
        with told(), self._place.engine.connect() as database:
            return position(database)

    def run(self, stop: threading.Event) -> None:
        """Index until `stop` is set. A store that is down is tried again, and said once."""
        failing = False
        while not stop.is_set():
            try:
                with told(), self._place.engine.connect() as database:
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

    def _index(self, database: Connection) -> int:
        """Read on by one batch, in one transaction, which is over on return."""
        if not database.exec_driver_sql(self._place.turn).scalar():
            database.rollback()
            return 0
        place = position(database)
        rows = [Read(*row) for row in database.execute(READ, {"place": place, "limit": BATCH})]
        if rows:
            batch = read_batch(database, [row for row in rows if is_sound(row)])
            if self._place.begin:
                database.exec_driver_sql(self._place.begin)
            there = database.execute(THERE, {"id": rows[0].id}).scalar()
            if there and position(database) == place:  # nobody else has read or purged these meanwhile
                keep(database, batch, self._place.words)
                database.execute(REACHED, {"name": NAME, "place": rows[-1].id})
        database.commit()
        return len(rows)


def position(database: Connection) -> int:
    """The id of the last record that was read."""
    return int(database.execute(PLACE, {"name": NAME}).scalar() or 0)


def read_batch(database: Connection, rows: list[Read]) -> Batch:
    """What comes of some records, which follow one another. What is about the gateway itself is no call."""
    batch = Batch()
    for row in rows:
        if row.event != RecordEvent.OUTCOME and row.call_id:
            batch.begin(row)
        elif row.call_id:
            begun = batch.begun.get(row.call_id) or found(database, row.call_id)
            if begun is not None:  # its beginning may have been purged
                batch.end(row, begun)
        elif row.reason == ControlEvent.VERIFIED:
            batch.verified = row.id
    return batch


def found(database: Connection, call_id: str) -> Begun | None:
    """A call that began in an earlier batch."""
    row = database.execute(BEGUN, {"call": call_id}).one_or_none()
    if row is None:
        return None
    call, at, connection, effect, reason, tool, principal, record = row
    return Begun(call, at, Kind(connection, effect, reason, tool, principal, OPEN), words_of(record_of(record)))


def keep(database: Connection, batch: Batch, words: WordIndex) -> None:
    """Write what came of a batch."""
    names = [{"principal": principal, "name": name} for principal, name in batch.names.items()]
    texts = [{"call": call, "text": words.written(said)} for call, said in batch.words]
    counts = ((text(statement), rows) for statement, rows in batch.counts.statements())
    statements = ((insert(CALLS), batch.calls), (END, batch.ends), (NAMED, names), (words.keep, texts), *counts)
    for statement, rows in statements:
        if rows:
            database.execute(statement, rows)
    if batch.verified:
        database.execute(REACHED, {"name": VERIFIED, "place": batch.verified})


def catch_up(place: IndexPlace, last: int, wait: Callable[[float], None]) -> Iterator[int]:
    """Index up to the record `last`, beside whoever else does. Gives how many are left, after each batch.

    `wait` waits for so many seconds. Raises StoreUnavailable.
    """
    indexer, reached, idle = AuditIndexer(place), -1, 0
    try:
        while idle < TURNS:
            began = time.monotonic()
            read = indexer.index()
            before, reached = reached, indexer.reached()
            yield max(last - reached, 0)
            if reached >= last:
                return
            idle = idle + 1 if reached == before else 0
            wait(time.monotonic() - began if read else TURN)
    finally:
        place.engine.dispose()
    raise StoreUnavailable("the index of the ledger does not get on: somebody else is at it, and has not ended")


@contextmanager
def indexing(place: IndexPlace) -> Generator[None]:
    """Index the ledger in a thread of its own, until the context is left."""
    stop = threading.Event()
    thread = threading.Thread(target=AuditIndexer(place).run, args=(stop,), name="audit-index", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        place.engine.dispose()
