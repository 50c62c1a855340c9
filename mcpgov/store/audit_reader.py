"""The AuditReader over SQL, the same for every database that schema.py can be made in.

A call is one row: the record that began it, joined with the one that ended it. What is asked becomes bound values and
never text of a statement.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import create_engine, func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mcpgov.audit.reader import OPEN, Call, Following, record_of
from mcpgov.audit.record import RecordEvent, microseconds
from mcpgov.audit.review import ALLOW
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.store.database import connect_to_read
from mcpgov.store.schema import RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Engine, Executable, Select

    from mcpgov.audit.reader import CallFilter, Record

BEGUN = RECORDS.alias("begun")
ENDED = RECORDS.alias("ended")
JOINED = BEGUN.outerjoin(
    ENDED,
    (ENDED.c.call_id == BEGUN.c.call_id) & (ENDED.c.final == 1) & (BEGUN.c.final == 0),
)
PREFIX = 8  # characters of a correlation id that are enough to find it
MOST = 100_000  # rows of one answer
AT_ONCE = 1000  # records that are looked at when one follows


def open_sqlite_reader(path: Path) -> SqlAuditReader:
    """A reader of the ledger in this file. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""
    connect_to_read(path).close()
    return SqlAuditReader(create_engine("sqlite://", creator=lambda: connect_to_read(path), poolclass=NullPool))


class SqlAuditReader:
    """Reads a ledger through an engine. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._engine.dispose()

    def calls(self, wanted: CallFilter) -> list[Call]:
        """The calls that match, those still under way included, and the control events that are wanted."""
        order = (BEGUN.c.at, BEGUN.c.id) if wanted.oldest_first else (BEGUN.c.at.desc(), BEGUN.c.id.desc())
        query = select(BEGUN.c.id, BEGUN.c.record, ENDED.c.record).select_from(JOINED)
        query = query.where(BEGUN.c.event.in_([event.value for event in wanted.events]), *conditions(wanted))
        return [call(*row) for row in self._rows(query.order_by(*order).limit(min(wanted.limit, MOST)))]

    def records(self, identifier: str) -> list[Record]:
        """Every record with this call, correlation or trace id and its place in the chain, in the order written."""
        query = select(RECORDS.c.record, RECORDS.c.writer, RECORDS.c.seq).where(found_by(identifier))
        rows = self._rows(query.order_by(RECORDS.c.id).limit(MOST))
        return [{**record_of(record), "writer": writer, "seq": seq} for record, writer, seq in rows]

    def latest(self, count: int) -> list[Call]:
        """The last `count` calls that ended and control events, oldest first."""
        rows = self._rows(ends().order_by(ENDED.c.id.desc()).limit(min(count, MOST)))
        return [end(*row) for row in reversed(rows)]

    def after(self, position: int, limit: int) -> list[Call]:
        """At most `limit` calls that ended, and control events, after `position`, oldest first."""
        query = ends().where(ENDED.c.id > position).order_by(ENDED.c.id)
        return [end(*row) for row in self._rows(query.limit(min(limit, MOST)))]

    def following(self, wanted: CallFilter, position: int, limit: int) -> Following:
        """Of the next `limit` records, the calls that ended and match, and the control events that are wanted."""
        query = select(RECORDS.c.id, RECORDS.c.call_id, RECORDS.c.final).where(RECORDS.c.id > position)
        came = self._rows(query.order_by(RECORDS.c.id).limit(min(limit, AT_ONCE)))
        if not came:
            return Following((), position)
        ended = {row.call_id: row.id for row in came if row.call_id and row.final}
        events = [row.id for row in came if row.call_id is None]
        these = or_(BEGUN.c.call_id.in_(ended), BEGUN.c.id.in_(events))
        among = select(BEGUN.c.id, BEGUN.c.record, ENDED.c.record).select_from(JOINED).where(these, *conditions(wanted))
        rows = self._rows(among.where(BEGUN.c.event.in_([event.value for event in wanted.events])))
        found = [call(*row) for row in rows]
        placed = [replace(one, position=ended.get(str(one.begun.get("call_id")), one.position)) for one in found]
        return Following(tuple(sorted(placed, key=lambda one: one.position)), came[-1].id)

    def _rows(self, query: Executable) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"the ledger cannot be read: {getattr(error, 'orig', None) or error}") from error


def found_by(identifier: str) -> ColumnElement[bool]:
    """The records with this call, correlation or trace id; the beginning of a correlation id is enough."""
    found = [RECORDS.c[name] == identifier for name in ("call_id", "correlation_id", "trace_id")]
    if len(identifier) >= PREFIX:
        found.append(RECORDS.c.correlation_id.between(identifier, f"{identifier}\U0010ffff"))
    return or_(*found)


def conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """What a filter asks, as conditions on the joined call."""
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(BEGUN.c.at >= microseconds(wanted.since))
    if wanted.until is not None:
        found.append(BEGUN.c.at < microseconds(wanted.until))
    for column, value in (
        (BEGUN.c.connection, wanted.connection),
        (BEGUN.c.method, wanted.method),
        (BEGUN.c.tool, wanted.tool),
        (BEGUN.c.project, wanted.project),
        (BEGUN.c.source, wanted.source),
        (BEGUN.c.correlation_id, wanted.correlation),
    ):
        if value:
            found.append(column == value)
    if wanted.principal:
        found.append(or_(BEGUN.c.principal == wanted.principal, BEGUN.c.principal_name == wanted.principal))
    for name, value in (("agent_id", wanted.agent), ("blueprint_id", wanted.blueprint)):
        if value:  # canonical JSON: within a text, these quotes would be escaped
            found.append(
                BEGUN.c.record.contains(
                    f'"mcpgov.principal.{name}":{json.dumps(value, ensure_ascii=False)}', autoescape=True
                )
            )
    return found + end_conditions(wanted)


def end_conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """What a filter asks of the way a call was decided and ended, and of the words in its records."""
    found: list[ColumnElement[bool]] = []
    if wanted.decision:
        event = RecordEvent.INTENT if wanted.decision == ALLOW else RecordEvent.DENIED
        found.append(BEGUN.c.event == event.value)
        found.append(or_(BEGUN.c.final == 0, BEGUN.c.status == OutcomeStatus.DENIED.value))
    for word in wanted.text.lower().split():
        either = (func.lower(one.c.record).contains(word, autoescape=True) for one in (BEGUN, ENDED))
        found.append(or_(*either))
    if wanted.reason:
        found.append(or_(BEGUN.c.reason == wanted.reason, ENDED.c.reason == wanted.reason))
    if wanted.status == OPEN:
        found.append((BEGUN.c.event == RecordEvent.INTENT.value) & ENDED.c.id.is_(None))
    elif wanted.status:
        found.append(or_(BEGUN.c.status == wanted.status, ENDED.c.status == wanted.status))
    return found


def ends() -> Select[int, str, str]:
    """Every record that ends a call or is about the gateway itself, with the intent of the call, if it had one."""
    begun = ENDED.outerjoin(BEGUN, (BEGUN.c.call_id == ENDED.c.call_id) & (BEGUN.c.final == 0) & (ENDED.c.final == 1))
    query = select(ENDED.c.id, ENDED.c.record, BEGUN.c.record).select_from(begun)
    return query.where(or_(ENDED.c.final == 1, ENDED.c.event == RecordEvent.CONTROL.value))


def call(position: int, begun: str, ended: str | None) -> Call:
    """A call from its columns."""
    return Call(position, record_of(begun), record_of(ended) if ended else None)


def end(position: int, ended: str, begun: str | None) -> Call:
    """A call, or a control event, from the columns of the record that ended it."""
    return call(position, begun, ended) if begun else call(position, ended, None)
