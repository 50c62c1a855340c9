"""The ledger in PostgreSQL: many gateways append to one, each with its own chain, and end what a dead one left open.

A batch is one statement, sent whole and committed by itself: a gateway that dies in the middle of sending leaves
nothing half done and holds up nobody. All that is appended waits for one lock, so that records become visible in the
order of their ids: whoever reads on from an id misses nothing.

A writer is alive while its connection is: that holds an advisory lock on the writer's name. So the lock also proves,
after a lost connection, that what was sent over it has either happened or never will; only then is the chain read on
from the server, by that, all or none: what somebody else put behind it is never taken for ours, and signed. Calls of
writers that are gone are ended when a gateway starts and, because a host that vanished is noticed late, from time to
time after that.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Final

from psycopg.errors import UniqueViolation
from psycopg.pq import TransactionStatus

from mcpgov.audit.chain import Chain, Head, links
from mcpgov.audit.ledger_store import OpenCall
from mcpgov.audit.record import Durability, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.store.postgres_database import (
    UNFLUSHED,
    WRITING,
    bring_up_to_date,
    connect,
    is_cut,
    place,
    require_durable,
    unavailable,
)
from mcpgov.store.sqlite_keys import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import datetime

    from mcpgov.audit.purge import Cut
    from mcpgov.audit.record import Row
    from mcpgov.models import Secret
    from mcpgov.store.postgres_database import BoundedConnection

SWEEP: Final = 10.0  # seconds between two looks for writers that are gone
IN_ORDER: Final = "SELECT pg_advisory_xact_lock(%s)"
ORDER: Final = 0x6D63_7067_0002  # the advisory lock of whoever appends
# The condition is met once, before the first row is made and takes its id.
INSERT: Final = """
INSERT INTO records (writer, seq, call_id, final, event, at, connection, method, tool, principal, principal_name,
project, reason, status, source, correlation_id, trace_id, record, hash)
SELECT * FROM unnest(%s::VARCHAR[], %s::BIGINT[], %s::VARCHAR[], %s::SMALLINT[], %s::VARCHAR[], %s::BIGINT[],
%s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[],
%s::VARCHAR[], %s::VARCHAR[], %s::VARCHAR[], %s::TEXT[], %s::BYTEA[])
WHERE (SELECT pg_advisory_xact_lock(%s)) IS NOT NULL
"""
NUL: Final = str.maketrans({"\0": "\N{SYMBOL FOR NULL}"})  # PostgreSQL has no text with a NUL; the JSON has it escaped
ANNOUNCE: Final = "INSERT INTO writers (id) VALUES (%s) ON CONFLICT (id) DO UPDATE SET seq = NULL, hash = NULL"
HOLD: Final = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
# Ends an earlier connection of ours that the server still holds open, if it holds the lock on our name.
FENCE: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND pid = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
"""
GONE: Final = """
SELECT id FROM writers WHERE seq IS NULL AND id <> %s AND pg_try_advisory_xact_lock(hashtextextended(id, 0)) ORDER BY id
"""
LEFT_OPEN: Final = """
SELECT call_id, correlation_id, trace_id FROM records AS intent WHERE writer = %s AND seq > %s AND event = 'intent'
AND NOT EXISTS (SELECT 1 FROM records WHERE call_id = intent.call_id AND final = 1) ORDER BY seq
"""
KNOWN: Final = "SELECT hash FROM records WHERE writer = %s AND seq = %s"
PURGED: Final = "SELECT 1 FROM records WHERE event = 'control' AND reason = 'purged' AND strpos(record, %s) > 0 LIMIT 1"
SINCE: Final = "SELECT record, hash FROM records WHERE writer = %s AND seq > %s ORDER BY seq"
END: Final = """
UPDATE writers SET (seq, hash) = (SELECT seq, hash FROM records WHERE writer = %s ORDER BY seq DESC LIMIT 1)
WHERE id = %s RETURNING seq
"""
FORGET: Final = "DELETE FROM writers WHERE id = %s"
ENDS: Final = "SELECT 1 FROM writers WHERE seq IS NOT NULL LIMIT 1"
TAKE_ENDS: Final = "DELETE FROM writers WHERE seq IS NOT NULL RETURNING id, seq, hash"
KEEP: Final = "INSERT INTO checkpoints (writer, size, at, note) VALUES (%s, %s, %s, %s)"
LOST: Final = {Durability.DURABLE: "", Durability.OS_CACHE: ", or it crashed before it had flushed (os-cache)"}
REMOVE: Final = "DELETE FROM records WHERE id <= %s"
REMOVE_CHECKPOINTS: Final = """
DELETE FROM checkpoints WHERE writer = %s
AND size < (SELECT max(size) FROM checkpoints WHERE writer = %s AND size <= %s)
"""
ENDED: Final = "SELECT call_id FROM records WHERE call_id = ANY(%s) AND final = 1"


class PostgresLedgerStore:
    """The LedgerStore of one process in one database."""

    def __init__(self, url: Secret, durability: Durability = Durability.DURABLE, *, sweep: float = SWEEP) -> None:
        self.writer = f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(4)}"
        self.name = place(url)
        self.durability = durability
        self._url = url
        self._sweep = sweep
        self._chain = self._tried = Chain(self.writer)  # what it is, and what the last commit was to make it
        self._signed = 0  # of its entries, by the last checkpoint
        self._connection: BoundedConnection | None = None
        self._backend = 0  # the server's process for the connection before
        self._opened = False
        self._ended: Callable[[OpenCall], Row] | None = None
        self._swept = 0.0

    def open(self) -> None:
        """Make the database ready and announce this writer."""
        self._opened = True
        with self._connected():
            pass

    def recover(self, ended: Callable[[OpenCall], Row]) -> int:
        """End the calls of every writer that is gone, in one transaction."""
        self._ended, self._swept = ended, time.monotonic()
        with self._connected() as connection:
            with transaction(connection):
                gone = [str(row[0]) for row in connection.execute(GONE, (self.writer,)).fetchall()]
                rows = [row for writer in gone for row in left_open(connection, writer, 0, ended)]
                for writer in gone:
                    note_end(connection, writer)
                chain = self._insert(connection, rows)
            self._chain = chain
            return len(rows)

    def claim(self) -> None:
        """Nothing: the statement that keeps the rows takes the lock; a round trip for it alone would cost more."""

    def append(self, rows: Sequence[Row]) -> None:
        """Keep rows, all or none, durable on return."""
        with self._connected() as connection:
            try:
                self._write(connection, rows)
            except UniqueViolation:
                self._write(connection, without_second_ends(connection, rows))

    def checkpoint(self, sign: Callable[[Chain], str], at: datetime) -> int:
        """Keep a signed note of what this writer has written, the writers that ended named in it.

        From time to time it is looked before whether any is gone: this is the one thing that is done also while nobody
        calls, and that nobody waits for.
        """
        if self._ended is not None and time.monotonic() - self._swept >= self._sweep:
            self.recover(self._ended)
        with self._connected() as connection:
            if self._chain.size == self._signed and not connection.execute(ENDS).fetchone():
                return self._signed
            with transaction(connection):
                chain = self._insert(connection, links(taken_ends(connection), at, self.durability))
                connection.execute(KEEP, (self.writer, chain.size, microseconds(at), sign(chain)))
            self._chain, self._signed = chain, chain.size
            return chain.size

    def purge(self, cut: Cut, records: Sequence[Row], sign: Callable[[Chain], str], at: datetime) -> None:
        """Remove the oldest records and keep the records of that, signed: all or none.

        Raises StoreUnavailable also where they are not there any more, as when another was faster.
        """
        with self._connected() as connection:
            with transaction(connection):
                chain = self._insert(connection, records)
                if connection.execute(REMOVE, (cut.through,)).rowcount != len(cut.rows):
                    raise StoreUnavailable("another purge was faster; nothing was removed by this one")
                for writer in {row.writer for row in cut.rows}:
                    connection.execute(REMOVE_CHECKPOINTS, (writer, writer, cut.removed.chains[writer].size))
                connection.execute(KEEP, (self.writer, chain.size, microseconds(at), sign(chain)))
            self._chain, self._signed = chain, chain.size

    def close(self, *, finished: bool) -> None:
        """Let go of the lock and the connection."""
        try:
            if finished and self._opened:
                with self._connected() as connection, transaction(connection):
                    note_end(connection, self.writer)
        finally:
            self._opened = False
            self._drop()

    def _write(self, connection: BoundedConnection, rows: Sequence[Row]) -> None:
        if self._chain.size:
            self._chain = self._insert(connection, rows)  # one statement is a transaction of its own
        else:
            with transaction(connection):
                chain = self._insert(connection, rows)
            self._chain = chain

    def _insert(self, connection: BoundedConnection, rows: Sequence[Row]) -> Chain:
        """The chain after these rows, which the first of a writer's rows names other writers before."""
        if rows and not self._chain.size:
            rows = [*links(taken_ends(connection), moment(rows[0].at), self.durability), *rows]
        if not rows:
            return self._chain
        self._tried, hashes = self._chain.extended(row.record for row in rows)
        numbers = range(self._chain.size + 1, self._tried.size + 1)
        columns = [storable(column) for column in zip(*rows, strict=True)]
        connection.execute(INSERT, [[self.writer] * len(rows), list(numbers), *columns, hashes, ORDER])
        return self._tried

    @contextlib.contextmanager
    def _connected(self) -> Generator[BoundedConnection]:
        """The connection, opened if need be, and dropped after any failure that leaves it in doubt."""
        try:
            with unavailable():
                if self._connection is not None and is_cut(self._connection):
                    self._drop()
                yield self._connection or self._connect()
        finally:
            if self._connection and self._connection.info.transaction_status is not TransactionStatus.IDLE:
                self._drop()

    def _connect(self) -> BoundedConnection:
        """A connection that holds the lock on this writer, and knows what the server has of it."""
        durable = self.durability is Durability.DURABLE
        connection = connect(self._url, settings=WRITING if durable else UNFLUSHED)
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            self._make_ready(connection)
            connection.execute(FENCE, (self._backend, self.writer))
            connection.execute(HOLD, (self.writer,))
            self._backend = connection.info.backend_pid
            connection.execute(ANNOUNCE, (self.writer,))
            self._read_on(connection)
            undo.pop_all()
        self._connection = connection
        return connection

    def _make_ready(self, connection: BoundedConnection) -> None:
        """Bring the tables up to date, once: a newer release may have done so since, and we go on writing to them."""
        if self._backend:
            require_durable(connection)
        else:
            bring_up_to_date(connection)

    def _read_on(self, connection: BoundedConnection) -> None:
        """Take up the chain as the server has it: a commit whose answer was lost may be there all the same.

        Then nobody was let through on it, and nobody will report how its calls ended, so they get their end here.
        """
        before = self._chain
        known = connection.execute(KNOWN, (self.writer, before.size)).fetchone()
        since = connection.execute(SINCE, (self.writer, before.size)).fetchall()
        chain, hashes = before.extended(str(record) for record, _ in since)
        if known is None and connection.execute(PURGED, (f'"{before.end}:',)).fetchone():
            known = (before.head,)  # nothing was written for so long that even this was purged
        ours = chain in (before, self._tried) and hashes == [kept for _, kept in since]
        if not ours or (before.size and known != (before.head,)):
            raise StoreUnavailable(
                "PostgreSQL does not hold what was written to it: somebody changed it while it was in use, or put an"
                f" older copy in its place{LOST[self.durability]}. Nothing more is written; see mcpgov audit verify,"
                " then restart"
            )
        self._chain = chain
        if since and self._ended is not None:
            self._write(connection, left_open(connection, self.writer, before.size, self._ended))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextlib.contextmanager
def transaction(connection: BoundedConnection) -> Generator[None]:
    """All or nothing of what is done within; alone among the writers. Broken off, it ends with the connection."""
    connection.execute("BEGIN")
    connection.execute(IN_ORDER, (ORDER,))
    try:
        yield
    except UniqueViolation:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def left_open(connection: BoundedConnection, writer: str, after: int, ended: Callable[[OpenCall], Row]) -> list[Row]:
    """The ends of those calls that a writer began after its record number `after`, and that have none."""
    calls = connection.execute(LEFT_OPEN, (writer, after)).fetchall()
    return [ended(OpenCall(*(text or "" for text in call))) for call in calls]


def note_end(connection: BoundedConnection, writer: str) -> None:
    """Note the last record of a writer that ended, for the next one to name. Of one that wrote none nothing is left."""
    if connection.execute(END, (writer, writer)).fetchone() == (None,):
        connection.execute(FORGET, (writer,))


def taken_ends(connection: BoundedConnection) -> list[Head]:
    """The ends that nobody has named; with the transaction that names them, they are forgotten."""
    return sorted((Head(*row) for row in connection.execute(TAKE_ENDS).fetchall()), key=str)


def without_second_ends(connection: BoundedConnection, rows: Sequence[Row]) -> list[Row]:
    """The rows without those that would end a call again: the first end of a call stands."""
    ends = [row.call_id for row in rows if row.final]
    ended = {row[0] for row in connection.execute(ENDED, (ends,)).fetchall()}
    kept: list[Row] = []
    for row in rows:
        if row.final and row.call_id in ended:
            continue
        if row.final:
            ended.add(row.call_id)
        kept.append(row)
    return kept


def storable(column: Sequence[str | int | None]) -> list[str | int | None]:
    """One column of many rows as PostgreSQL can hold it."""
    return [value.translate(NUL) if isinstance(value, str) and "\0" in value else value for value in column]
