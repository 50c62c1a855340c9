"""A store as evidence: its records, checkpoints and writers at one moment, and the proof of one record.

Over SQL, the same for every database that schema.py can be made in. Reads only, in one snapshot, while others write.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import create_engine, select, type_coerce
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import NULLTYPE

from mcpgov.audit.chain import Chain, Head, entry
from mcpgov.audit.merkle import grown, inclusion_ranges, peaks_within, root
from mcpgov.audit.proof import Proof
from mcpgov.audit.purge import Removed, folded
from mcpgov.audit.record import ControlEvent, RecordEvent, Row
from mcpgov.audit.verify import Finding, Kept, Kind
from mcpgov.errors import StoreUnavailable
from mcpgov.store.audit_reader import found_by
from mcpgov.store.database import connect_to_read, schema_version, text_or_bytes
from mcpgov.store.schema import CHECKPOINTS, RECORDS, WRITERS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import UnionType

    from sqlalchemy import Connection, Engine, Executable

AT_ONCE = 1000  # rows
PROVED = 3  # the first version of the schema with hashes
STRANGE = "is kept as no gateway keeps one"
COLUMNS = [RECORDS.c[name] for name in Row._fields]
SIGNED = (CHECKPOINTS.c.writer == RECORDS.c.writer) & (CHECKPOINTS.c.size == RECORDS.c.seq)
HASH = type_coerce(RECORDS.c.hash, NULLTYPE)  # as it lies there: bytes() of a number would be as many as it says
LEDGER = select(RECORDS.c.id, RECORDS.c.writer, RECORDS.c.seq, RECORDS.c.record, HASH, CHECKPOINTS.c.note, *COLUMNS)
TYPES = (int, str, int, str, bytes)  # of the first of these; in SQLite any column may hold anything
IS_PURGE = (RECORDS.c.event == RecordEvent.CONTROL.value) & (RECORDS.c.reason == ControlEvent.PURGED.value)
PURGES = select(RECORDS.c.record).where(IS_PURGE).order_by(RECORDS.c.id)
OWN = 6  # columns of the ledger beside those of a row
LOOSE = select(CHECKPOINTS.c.note).select_from(CHECKPOINTS.outerjoin(RECORDS, SIGNED)).where(RECORDS.c.id.is_(None))


def open_sqlite_evidence(path: Path) -> SqlEvidence:
    """The evidence in this file. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""

    def connection() -> sqlite3.Connection:
        database = connect_to_read(path)
        database.text_factory = text_or_bytes
        if schema_version(database, path) < PROVED:
            database.close()
            raise StoreUnavailable(f"{path} is from a version without proof; it has some once the gateway has started")
        return database

    return SqlEvidence(create_engine("sqlite://", creator=connection, poolclass=NullPool), "BEGIN")


class SqlEvidence:
    """The Evidence in a store, and the proofs that it can give. Every method raises StoreUnavailable.

    `snapshot` is the statement after which all that a connection reads is of one moment.
    """

    def __init__(self, engine: Engine, snapshot: str) -> None:
        self._engine = engine
        self._snapshot = snapshot
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        with told():
            self._connection = self._engine.connect()
            self._connection.exec_driver_sql(self._snapshot)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def removed(self) -> Removed:
        """What purges have removed."""
        return folded(record for (record,) in self._rows(PURGES))

    def records(self) -> Iterator[Kept | Finding | Removed]:
        """What was removed, where something was; then every record in the order of commit, and what is none."""
        removed = self.removed()
        if removed.chains:
            yield removed
        for found in self._rows(LEDGER.select_from(RECORDS.outerjoin(CHECKPOINTS, SIGNED)).order_by(RECORDS.c.id)):
            place, writer, seq, record, digest, note = found[:OWN]
            if all(map(isinstance, found, TYPES)):
                yield Kept(place, writer, seq, record, digest, note and str(note), None, Row._make(found[OWN:]))
            else:
                number = seq if isinstance(seq, int) else 0
                yield Finding(Kind.TAMPERED, str(writer), number, place, STRANGE)

    def loose_notes(self) -> Iterator[str]:
        """The checkpoints of entries that are not there."""
        return (str(note) for (note,) in self._rows(LOOSE))

    def writers(self) -> Mapping[str, Head | None]:
        """The writers that nobody has named yet. What is no end is one that no writer has."""
        rows = self._rows(select(WRITERS.c.id, WRITERS.c.seq, type_coerce(WRITERS.c.hash, NULLTYPE)))
        return {str(writer): end_of(str(writer), seq, digest) for writer, seq, digest in rows}

    def proofs(self, identifier: str) -> list[Proof | str]:
        """The proof of each record that is found by this id; of one that no checkpoint covers, which."""
        columns = (RECORDS.c.id, RECORDS.c.writer, RECORDS.c.seq, RECORDS.c.record)
        query = select(*columns).where(found_by(identifier)).order_by(RECORDS.c.id)
        rows = list(expected(self._rows(query), TYPES))
        gone = self.removed().chains
        return [self._proof(gone.get(writer, Chain(writer)), seq, record) for _, writer, seq, record in rows]

    def _proof(self, gone: Chain, seq: int, record: str) -> Proof | str:
        """The proof of a record of a writer of which this much is gone."""
        writer = gone.writer
        covering = (CHECKPOINTS.c.writer == writer) & (CHECKPOINTS.c.size >= seq)
        query = select(CHECKPOINTS.c.size, CHECKPOINTS.c.note).where(covering).order_by(CHECKPOINTS.c.size).limit(1)
        found = list(self._rows(query))
        if not found:
            return f"{writer}:{seq}"
        size, note = found[0]
        (before,) = [*self._hashes(writer, seq - 2, seq - 1)] or [gone.head]
        path = tuple(self._root(gone, *leaves) for leaves in inclusion_ranges(seq - 1, size))
        return Proof(entry(json.dumps(writer), seq, before, record).decode(), seq - 1, size, path, str(note))

    def _root(self, gone: Chain, first: int, end: int) -> bytes:
        """The root of the tree over some of a writer's entries, the first of which may be gone.

        What is gone of it is whole subtrees: those of the frontier, because what is proved remains.
        """
        frontier = peaks_within(gone.frontier, gone.size, first, end)
        return root(grown(frontier, max(gone.size - first, 0), self._hashes(gone.writer, max(first, gone.size), end)))

    def _hashes(self, writer: str, first: int, end: int) -> Iterator[bytes]:
        """The hashes of a writer's entries, counted from 0, from `first` up to and without `end`."""
        wanted = (RECORDS.c.writer == writer) & (RECORDS.c.seq > first) & (RECORDS.c.seq <= end)
        rows = self._rows(select(RECORDS.c.id, HASH).where(wanted).order_by(RECORDS.c.seq))
        return (digest for _, digest in expected(rows, (int, bytes)))

    def _rows(self, query: Executable) -> Iterator[Any]:
        if self._connection is None:
            raise ValueError("evidence is read within its context")
        with told():
            yield from self._connection.execution_options(stream_results=True, yield_per=AT_ONCE).execute(query)


def expected(rows: Iterable[Any], types: Sequence[type | UnionType]) -> Iterator[Any]:
    """Rows whose columns, the id first, are of these types. Raises StoreUnavailable."""
    for row in rows:
        if not all(map(isinstance, row, types)):
            raise StoreUnavailable(f"row {row[0]} {STRANGE}; see mcpgov audit verify")
        yield row


def end_of(writer: str, seq: Any, digest: Any) -> Head | None:
    """The end of a writer from the columns of it; None while it lives."""
    if seq is None or digest is None:
        return None
    typed = isinstance(seq, int) and isinstance(digest, bytes)
    return Head(writer, seq, digest) if typed else Head(writer, 0, b"")


@contextlib.contextmanager
def told() -> Generator[None]:
    """Turn what SQLAlchemy says into StoreUnavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"the ledger cannot be read: {getattr(error, 'orig', None) or error}") from error
