"""The records of a store for those that export them, and how far each export has come. Over SQL, the same for every
database.

Records become visible in the order of their ids: SQLite has one writer at a time, and in PostgreSQL all that is
appended waits for one lock. So reading on from an id misses nothing, whoever else is in the middle of a commit.
A cursor is a row of `cursors`, and so are an export's lease (the end of it) and since when it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, create_engine, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from mcpgov.audit.exported import Exported
from mcpgov.audit.reader import LATEST, record_of
from mcpgov.audit.record import ControlEvent, RecordEvent
from mcpgov.frozen import frozen
from mcpgov.store.database import connect
from mcpgov.store.evidence import told
from mcpgov.store.schema import CURSORS, RECORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Engine


PREFIX: Final = "export "
HELD: Final = " held until"
FAILING: Final = " failing since"
SOON: Final = 60_000_000  # microseconds after an export failed in which that was written down
READ: Final = select(RECORDS.c.id, RECORDS.c.writer, RECORDS.c.seq, RECORDS.c.at, RECORDS.c.record)
AT_ONCE: Final = 500  # records


@frozen
class Progress:
    """How far an export is. `behind` is in records, `oldest` and `failing` in microseconds since 1970-01-01 UTC:
    when the oldest record that waits was made, and since when it fails; 0 where there is none, and where it does not.
    """

    position: int
    behind: int
    oldest: int
    failing: int
    error: str


def open_sqlite_exports(path: Path, log: str) -> SqlExports:
    """The records in this file, which is there. `log` is the name of the log."""
    return SqlExports(create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool), log)


class SqlExports:
    """The KeptRecords of a store. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine, log: str) -> None:
        self._engine = engine
        self._log = log

    def after(self, position: int, limit: int) -> Sequence[Exported]:
        """The first records behind a position, in the order of commit."""
        query = READ.where(RECORDS.c.id > position).order_by(RECORDS.c.id).limit(limit)
        with told(), self._engine.connect() as connection:
            return [
                Exported(place, self._log, str(writer), number(seq), number(at), record_of(record))
                for place, writer, seq, at, record in connection.execute(query)
            ]

    def between(self, since: int | None, until: int | None) -> Iterator[Sequence[Exported]]:
        """Every record made from `since` on and before `until`, in microseconds, in batches."""
        position = 0
        while found := self.after(position, AT_ONCE):
            position = found[-1].id
            yield [one for one in found if (since is None or one.at >= since) and (until is None or one.at < until)]

    def newest(self) -> Exported | None:
        """The last record that was committed, if there is one."""
        with told(), self._engine.connect() as connection:
            last = connection.execute(select(func.max(RECORDS.c.id))).scalar() or 0
        return next(iter(self.after(last - 1, 1)), None)

    def position(self, name: str) -> int:
        """The `id` up to which an export has everything; 0 for a new one."""
        return self._value(PREFIX + name)

    def move(self, name: str, position: int) -> None:
        """Note that an export has everything up to this `id`. It never goes back."""
        self._put(PREFIX + name, position, CURSORS.c.position < position)

    def hold(self, name: str, mine: int, until: int, now: int) -> bool:
        """Take the lease of an export, or keep it. False while another has it."""
        free = (CURSORS.c.position == mine) | (CURSORS.c.position <= now)
        return self._put(PREFIX + name + HELD, until, free)

    def release(self, name: str, mine: int) -> None:
        """Let go of a lease that ends at `mine`, if it is still that one."""
        self._put(PREFIX + name + HELD, 0, CURSORS.c.position == mine)

    def failing(self, name: str) -> int:
        """Since when an export fails; 0 for one that does not."""
        return self._value(PREFIX + name + FAILING)

    def fail(self, name: str, since: int) -> None:
        """Note since when it fails, or with 0 that it no longer does."""
        self._put(PREFIX + name + FAILING, since, CURSORS.c.position != since)

    def lowest_exported(self, names: Sequence[str]) -> int | None:
        """The `id` up to which every one of these exports has everything; None where there are no exports.

        What retention asks before it removes records: those behind this one have not left yet.
        """
        return min((self.position(name) for name in names), default=None)

    def progress(self, name: str) -> Progress:
        """How far an export is, and what is wrong with it."""
        position, failing = self.position(name), self.failing(name)
        # Each on its own: one end of an index is looked up, both together are a walk over all of it.
        first_one, last_one = select(func.min(RECORDS.c.id)), select(func.max(RECORDS.c.id))
        next_one = select(RECORDS.c.at).where(RECORDS.c.id > position).order_by(RECORDS.c.id).limit(1)
        with told(), self._engine.connect() as connection:
            first, newest = (connection.execute(query).scalar() or 0 for query in (first_one, last_one))
            oldest = connection.execute(next_one).scalar()
        behind = newest - max(position, first - 1) if oldest is not None else 0
        return Progress(position, behind, number(oldest), failing, self._said(name, failing) if failing else "")

    def _said(self, name: str, failing: int) -> str:
        """What was written down when an export failed."""
        soon = RECORDS.c.at.between(failing, failing + SOON)
        about = (RECORDS.c.event == RecordEvent.CONTROL.value) & (RECORDS.c.reason == ControlEvent.EXPORT_FAILING.value)
        query = select(RECORDS.c.record).where(soon & about).order_by(RECORDS.c.at)
        with told(), self._engine.connect() as connection:
            found = [record_of(record) for (record,) in connection.execute(query)]
        ours = (one for one in found if one.get("mcpgov.control.export") == name)
        return next((str(one.get("mcpgov.control.error")) for one in ours), "")

    def _value(self, name: str) -> int:
        query = select(CURSORS.c.position).where(CURSORS.c.name == name)
        with told(), self._engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def _put(self, name: str, value: int, allowed: ColumnElement[bool]) -> bool:
        """Set a value where there is none, or where the one that is there allows it; whether it was set."""
        change = update(CURSORS).where(CURSORS.c.name == name, allowed).values(position=value)
        with told():
            with self._engine.begin() as connection:
                if connection.execute(change).rowcount:
                    return True
            there = select(CURSORS.c.name).where(CURSORS.c.name == name)
            values = select(literal(name), literal(value, BigInteger)).where(~there.exists())
            new = insert(CURSORS).from_select(["name", "position"], values).execution_options(preserve_rowcount=True)
            try:
                with self._engine.begin() as connection:
                    return connection.execute(new).rowcount > 0
            except IntegrityError:  # another was faster
                return False


def number(value: object) -> int:
    """What a column of numbers holds; 0 where somebody else wrote what is none that a record has."""
    return value if isinstance(value, int) and 0 <= value < LATEST else 0
