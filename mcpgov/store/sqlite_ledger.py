"""The ledger in SQLite: rows appended in one transaction, and recovery of the calls that a dead writer left open.

The driver is used directly. A batch is one statement of many rows, because each return from SQLite to Python is a wait
for the interpreter while the event loop is busy. After any failure the connection is dropped and opened anew, and what
comes back is what the disk has. A file that failed to reach the disk is written to no more: the system may have given
up what it could not write and say yes the next time, so that only a new start may trust it (see decision 0019).

A writer is alive while it holds the lock on a small file of its own beside the store. The system lets go of the lock
when the process ends, however it ends; so recovery touches only the calls of those that are gone.

Each record is kept with its hash in the writer's chain. What the chain is now is known here, and moves on only with a
commit that worked. After a failure it is read on from the disk, which must hold what is known here, and besides, all or
none, what was to be written last: what somebody else put behind it is never taken for ours, and signed.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import time
from typing import TYPE_CHECKING

from mcpgov.audit.chain import Chain, Head, links
from mcpgov.audit.ledger_store import OpenCall
from mcpgov.audit.record import Durability, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import BUSY, connect, create_database, placed, unavailable
from mcpgov.store.sqlite_keys import moment
from mcpgov.store.sqlite_purge import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import datetime
    from pathlib import Path

    from mcpgov.audit.purge import Cut
    from mcpgov.audit.record import Row

UNSYNCED = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)
ROWS = 50  # in one statement; older builds of SQLite take 999 values
INSERT = (
    "INSERT INTO records (writer, seq, call_id, final, event, at, connection, method, tool, principal, principal_name,"
    " project, reason, status, source, correlation_id, trace_id, record, hash) VALUES "
)
VALUES = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
STATEMENTS = tuple(INSERT + ", ".join([VALUES] * count) for count in range(ROWS + 1))
KNOWN = "SELECT hash FROM records WHERE writer = ? AND seq = ?"
PURGED = "SELECT 1 FROM records WHERE event = 'control' AND reason = 'purged' AND instr(record, ?) LIMIT 1"
SINCE = "SELECT record, hash FROM records WHERE writer = ? AND seq > ? ORDER BY seq"
LAST = "SELECT seq, hash FROM records WHERE writer = ? ORDER BY seq DESC LIMIT 1"
END = "UPDATE writers SET seq = ?, hash = ? WHERE id = ?"
ENDS = "SELECT id, seq, hash FROM writers WHERE seq IS NOT NULL ORDER BY id"
NAMED = "DELETE FROM writers WHERE seq IS NOT NULL"
KEEP = "INSERT INTO checkpoints (writer, size, at, note) VALUES (?, ?, ?, ?)"
ENDED = "SELECT 1 FROM records WHERE call_id = ? AND final = 1"
LEFT_OPEN = """
SELECT call_id, correlation_id, trace_id FROM records AS intent WHERE writer = ? AND event = 'intent'
AND NOT EXISTS (SELECT 1 FROM records WHERE call_id = intent.call_id AND final = 1) ORDER BY seq
"""


class SqliteLedgerStore:
    """The LedgerStore of one process in one SQLite file. `busy` is how long to wait for another's lock, in seconds;
    `company`: whether others are expected to write as much.
    """

    def __init__(
        self, path: Path, durability: Durability = Durability.DURABLE, *, busy: float = BUSY, company: bool = False
    ) -> None:
        self.writer = f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(4)}"
        self.name = str(path)
        self.durability = durability
        self._path = path
        self._busy = busy
        self._company = company
        self._chain = self._tried = Chain(self.writer)  # what it is, and what the last commit was to make it
        self._signed = 0  # of its entries, by the last checkpoint
        self._lock: sqlite3.Connection | None = None
        self._kept: sqlite3.Connection | None = None
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._unsynced = False

    def open(self) -> None:
        """Make the file ready and announce this writer. May be called again when it failed."""
        with self._trusted():
            create_database(self._path)
        with self._connected() as database:
            self._file = self._found()
            self._kept = self._kept or keep_open(self._path)
            self._lock = self._lock or take_lock(lock_file(self._path, self.writer))
            database.execute("INSERT OR IGNORE INTO writers (id) VALUES (?)", (self.writer,))

    def recover(self, ended: Callable[[OpenCall], Row]) -> int:
        """End the calls of every writer that is gone, in one transaction."""
        with self._connected() as database:
            self._write_log_anew(database)
            writers = [str(row[0]) for row in database.execute("SELECT id FROM writers WHERE seq IS NULL")]
            gone = [writer for writer in writers if writer != self.writer and is_gone(self._path, writer)]
            with transaction(database):
                rows: list[Row] = []
                for writer in gone:
                    rows += [
                        ended(OpenCall(*(text or "" for text in call)))
                        for call in database.execute(LEFT_OPEN, (writer,))
                    ]
                    note_end(database, writer)
                chain = self._insert(database, rows)
            self._chain = chain
            for writer in gone:
                lock_file(self._path, writer).unlink(missing_ok=True)
            return len(rows)

    def claim(self) -> None:
        """Take the lock for the next append, where other workers write. Alone, one statement takes it and lets go."""
        if self._company:
            with self._connected() as database:
                begin(database)

    def append(self, rows: Sequence[Row]) -> None:
        """Keep rows, all or none, durable on return."""
        with self._connected() as database:
            self._assert_in_place()
            try:
                self._write(database, rows)
            except sqlite3.IntegrityError:
                self._write(database, without_second_ends(database, rows))

    def checkpoint(self, sign: Callable[[Chain], str], at: datetime) -> int:
        """Keep a signed note of what this writer has written, the writers that ended named in it."""
        with self._connected() as database:
            self._assert_in_place()
            if self._chain.size == self._signed and not database.execute(ENDS).fetchone():
                return self._signed
            with transaction(database):
                chain = self._insert(database, links(taken_ends(database), at, self.durability))
                database.execute(KEEP, (self.writer, chain.size, microseconds(at), sign(chain)))
            self._chain, self._signed = chain, chain.size
            return chain.size

    def purge(self, cut: Cut, records: Sequence[Row], sign: Callable[[Chain], str], at: datetime) -> None:
        """Remove the oldest records, also from the index, and keep the records of that, signed: all or none.

        Raises StoreUnavailable also where they are not there any more, as when another was faster.
        """
        with self._connected() as database:
            self._assert_in_place()
            database.execute("PRAGMA secure_delete = ON")  # what is gone is overwritten, and not only let go of
            with transaction(database):
                chain = self._insert(database, records)
                remove(database, cut)
                database.execute(KEEP, (self.writer, chain.size, microseconds(at), sign(chain)))
            self._chain, self._signed = chain, chain.size

    def close(self, *, finished: bool) -> None:
        """Let go of the lock and the file."""
        try:
            if finished and self._lock is not None:
                with self._connected() as database, transaction(database):
                    note_end(database, self.writer)
                lock_file(self._path, self.writer).unlink(missing_ok=True)
        finally:
            self._drop()
            for held in filter(None, (self._kept, self._lock)):
                held.close()
            self._kept = self._lock = None

    def _write(self, database: sqlite3.Connection, rows: Sequence[Row]) -> None:
        if self._chain.size and len(rows) <= ROWS and not database.in_transaction:
            self._chain = self._insert(database, rows)  # one statement is a transaction of its own
        else:
            with transaction(database):
                chain = self._insert(database, rows)
            self._chain = chain

    def _insert(self, database: sqlite3.Connection, rows: Sequence[Row]) -> Chain:
        """The chain after these rows, which the first of a writer's rows names other writers before."""
        if rows and not self._chain.size:
            rows = [*links(taken_ends(database), moment(rows[0].at), self.durability), *rows]
        self._tried, hashes = self._chain.extended(row.record for row in rows)
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            values: list[str | int | bytes | None] = []
            for place, row in enumerate(part, start):
                values += (self.writer, self._chain.size + place + 1, *row, hashes[place])
            database.execute(STATEMENTS[len(part)], values)
        return self._tried

    def _assert_in_place(self) -> None:
        if self._found() != self._file:
            raise StoreUnavailable(f"{self._path} was moved or replaced while in use; put it back, or restart")

    def _found(self) -> tuple[int, int]:
        """Which file the path leads to now. One that was unlinked would take records and keep them from everybody."""
        found = self._path.stat()
        return found.st_dev, found.st_ino

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        """The connection, opened if need be, and dropped after any failure."""
        whole = False
        try:
            with self._trusted(), unavailable(self._path):
                if self._database is None:
                    flushed = self.durability is Durability.DURABLE
                    self._database = connect(self._path, busy=self._busy, flushed=flushed)
                    self._chain = self._on_disk(self._database)
                yield self._database
                whole = True
        finally:
            if not whole:
                self._drop()

    @contextlib.contextmanager
    def _trusted(self) -> Generator[None]:
        """Refuses once the file failed to reach the disk, whoever says now that it did."""
        no_more = StoreUnavailable(
            f"{self._path} failed to reach the disk, so that what it says can no longer be trusted, and nothing more is"
            " written to it; check the disk, then restart, and run mcpgov audit verify"
        )
        if self._unsynced:
            raise no_more
        try:
            yield
        except StoreUnavailable as error:
            self._unsynced = getattr(error.__cause__, "sqlite_errorcode", None) in UNSYNCED
            raise no_more if self._unsynced else error from error.__cause__

    def _write_log_anew(self, database: sqlite3.Connection) -> None:
        """Move what the write-ahead log holds into the file, and flush that, unless another process is using it.

        What an earlier process could not flush may be in the memory of the system alone; written again, it either
        reaches the disk or fails.
        """
        database.execute("PRAGMA busy_timeout = 0")  # waiting for a reader here would hold up every writer
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute(f"PRAGMA busy_timeout = {self._busy * 1000:.0f}")

    def _on_disk(self, database: sqlite3.Connection) -> Chain:
        """The chain as the disk has it: a commit whose answer was lost may be there all the same."""
        known = database.execute(KNOWN, (self.writer, self._chain.size)).fetchone()
        since = database.execute(SINCE, (self.writer, self._chain.size)).fetchall()
        chain, hashes = self._chain.extended(str(record) for record, _ in since)
        if known is None and database.execute(PURGED, (f'"{self._chain.end}:',)).fetchone():
            known = (self._chain.head,)  # nothing was written for so long that even this was purged
        ours = chain in (self._chain, self._tried) and hashes == [kept for _, kept in since]
        if not ours or (self._chain.size and known != (self._chain.head,)):
            raise StoreUnavailable(
                f"{self._path} does not hold what was written to it: somebody changed it while it was in use, or put"
                " an older copy in its place. Nothing more is written; see mcpgov audit verify, then restart"
            )
        return chain

    def _drop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Generator[None]:
    """All or nothing of what is done within; alone among the writers."""
    begin(database)
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def begin(database: sqlite3.Connection) -> None:
    """Take the lock of those who write, unless it was claimed."""
    if not database.in_transaction:
        database.execute("BEGIN IMMEDIATE")


def note_end(database: sqlite3.Connection, writer: str) -> None:
    """Note the last record of a writer that ended, for the next one to name; of one that wrote none, nothing is left.

    Neither is there anything to name of a writer whose records are from before there were hashes.
    """
    last = database.execute(LAST, (writer,)).fetchone()
    if last is None or not last[1]:
        database.execute("DELETE FROM writers WHERE id = ?", (writer,))
    else:
        database.execute(END, (*last, writer))


def taken_ends(database: sqlite3.Connection) -> list[Head]:
    """The ends that nobody has named; with the transaction that names them, they are forgotten."""
    ends = [Head(*row) for row in database.execute(ENDS)]
    if ends:
        database.execute(NAMED)
    return ends


def without_second_ends(database: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
    """The rows without those that would end a call again: the first end of a call stands."""
    kept: list[Row] = []
    ended: set[str | None] = set()
    for row in rows:
        if row.final and (row.call_id in ended or database.execute(ENDED, (row.call_id,)).fetchone()):
            continue
        if row.final:
            ended.add(row.call_id)
        kept.append(row)
    return kept


def lock_file(path: Path, writer: str) -> Path:
    """The file whose lock says that a writer is alive."""
    return path.with_name(f"{path.name}-writer-{writer}")


def is_gone(store: Path, writer: str) -> bool:
    """Whether nobody holds a writer's lock. Raises sqlite3.Error."""
    path = lock_file(store, writer)
    if not path.exists():
        return True
    try:
        take_lock(path).close()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def keep_open(path: Path) -> sqlite3.Connection:
    """A connection that only stays open, so that SQLite keeps the files beside the store while the writer's own is
    dropped and opened anew. On a full disk they could not be made again: where a file system gives less than a page at
    a time, writing to the index of the log in memory would end the process (SIGBUS).
    """
    kept = connect(path)
    try:
        kept.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        kept.close()
        raise
    return kept


def take_lock(path: Path) -> sqlite3.Connection:
    """Hold the lock on a file until the connection is closed. Raises sqlite3.OperationalError (SQLITE_BUSY).

    SQLite's own lock, because it is the same on every system and is not inherited by a server that we start.
    """
    if not path.exists():
        with placed(path):
            pass  # an empty file is enough
    lock = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        lock.execute("PRAGMA journal_mode = MEMORY")  # no second file
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        lock.close()
        raise
    return lock
