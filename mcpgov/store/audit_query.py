"""The ReviewReader over SQL: lists by the key of the last row, counts from rollups, words from the index of text.

What is asked becomes bound values and never text of a statement. A page is read along an index on what it is filtered
by, in the order in which it is shown, and ends after the rows that it shows. What rollups cannot tell is counted over
the newest SAMPLE calls that match. Names become ids first, so that one index serves both.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import create_engine, func, or_, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mcpgov.audit.reader import OPEN, record_of
from mcpgov.audit.record import microseconds
from mcpgov.audit.review import DENY, Events, InvalidCursor, Kept, LedgerState, Page, Percentiles, Top, Usage, Verified
from mcpgov.errors import StoreUnavailable
from mcpgov.store.audit_index import NAME, VERIFIED
from mcpgov.store.audit_reader import MOST, call, found_by
from mcpgov.store.audit_summary import (
    SAMPLE,
    TOPS,
    Counted,
    Tier,
    moment,
    percentiles,
    sampled_summary,
    summary_of,
    tier_of,
    used,
)
from mcpgov.store.database import connect_to_read
from mcpgov.store.rollups import bucket_of
from mcpgov.store.schema import CALLERS, CALLS, CHECKPOINTS, CURSORS, RECORDS
from mcpgov.store.word_index import FTS5

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import ColumnElement, Engine, Executable, FromClause, Select

    from mcpgov.audit.reader import CallFilter
    from mcpgov.audit.review import Summary
    from mcpgov.store.word_index import WordIndex

BEGUN: Final = RECORDS.alias("begun")
ENDED: Final = RECORDS.alias("finished")
MOST_KEPT: Final = 1000  # records of one identifier
SLACK: Final = timedelta(hours=1)  # by which the clocks of two writers may differ
USAGE: Final = timedelta(days=30)
NAMES: Final = 500  # in one statement
LATEST: Final = 1 << 62  # microseconds, and ids
# What a call is found by, from what tells calls apart most to what does least: a page is read along the first.
EXACT: Final = (
    *("agent", "blueprint", "principal", "source", "tool", "status", "project", "connection", "reason", "method"),
    "effect",
)
ROLLED: Final = ("connection", "tool", "reason", "status")  # by which rollups can be filtered, as they stand


def open_sqlite_review(path: Path) -> SqlReviewReader:
    """A reader of the ledger in this file. Raises StoreUnavailable, InvalidConfiguration (newer schema)."""
    connect_to_read(path).close()
    return SqlReviewReader(create_engine("sqlite://", creator=lambda: connect_to_read(path), poolclass=NullPool), FTS5)


class SqlReviewReader:
    """Reads a ledger and its index through an engine. Every method raises StoreUnavailable."""

    def __init__(self, engine: Engine, words: WordIndex) -> None:
        self._engine = engine
        self._words = words

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._engine.dispose()

    def page(self, wanted: CallFilter, cursor: str = "") -> Page:
        """`wanted.limit` calls that match, behind `cursor`. Raises InvalidCursor."""
        limit = min(wanted.limit, MOST)
        rows = self._rows(self.listing(wanted, cursor, limit + 1))
        more = len(rows) > limit
        calls = tuple(call(row.id, row.begun, None if row.ended == row.id else row.finished) for row in rows[:limit])
        return Page(calls, cursor_of(rows[limit - 1]) if more else "")

    def listing(self, wanted: CallFilter, cursor: str = "", limit: int = MOST) -> Select[Any, Any, Any, Any, Any]:
        """The statement that reads a page."""
        source = self._matching(wanted)
        source = source.join(BEGUN, BEGUN.c.id == CALLS.c.id).outerjoin(ENDED, ENDED.c.id == CALLS.c.ended)
        columns = (CALLS.c.id, CALLS.c.at, CALLS.c.ended, BEGUN.c.record.label("begun"))
        query = select(*columns, ENDED.c.record.label("finished")).select_from(source).where(*self._conditions(wanted))
        key = (self._words.call,) if wanted.text else (CALLS.c.at, CALLS.c.id)
        if cursor:
            place = place_of(cursor)[-len(key) :]
            query = query.where(tuple_(*key) > place if wanted.oldest_first else tuple_(*key) < place)
        return query.order_by(*(part if wanted.oldest_first else part.desc() for part in key)).limit(limit)

    def summary(self, wanted: CallFilter, now: datetime) -> Summary:
        """The calls that match, counted."""
        until = wanted.until or now
        tier = tier_of(wanted.since or until - timedelta(days=1), until)
        if not rolls_up(wanted):
            return self._sampled(tier, wanted)
        counted = Counted(tier, self._rolled(tier, wanted))
        bars = ((row.bar * tier.step, row.effect, row.status, int(row[3])) for row in self._rows(counted.bars()))
        tops = {"agents": self._top(counted, "principal"), "tools": self._top(counted, "tool")}
        tops["reasons"] = self._top(counted, "reason")
        return summary_of(tier, bars, tops, latency=self._latency(counted, wanted))

    def usage(self, wanted: CallFilter, now: datetime) -> Sequence[Usage]:
        """Who used which tool how much."""
        until = wanted.until or now
        tier = tier_of(wanted.since or until - USAGE, until)
        rows = self._rows(used(tier, self._rolled(tier, wanted), min(wanted.limit, MOST)))
        names = self._names(row.principal for row in rows)
        return [
            Usage(
                *(row.principal, names.get(row.principal, ""), row.connection, row.tool, int(row.calls)),
                *(int(row.denied), int(row.calls - row.denied - row.ok), moment(row.last * tier.unit)),
            )
            for row in rows
        ]

    def kept(self, identifier: str) -> Sequence[Kept]:
        """Every record with this call, correlation or trace id, in the order written."""
        columns = (RECORDS.c.id, RECORDS.c.writer, RECORDS.c.seq, RECORDS.c.hash, RECORDS.c.record)
        rows = self._rows(select(*columns).where(found_by(identifier)).order_by(RECORDS.c.id).limit(MOST_KEPT))
        return [Kept(row.id, row.writer, row.seq, hexadecimal(row.hash), record_of(row.record)) for row in rows]

    def events(self, limit: int, cursor: str = "") -> Events:
        """`limit` control records behind `cursor`. They are what is about no call: by that the index leads to them."""
        columns = (RECORDS.c.id, RECORDS.c.at, RECORDS.c.writer, RECORDS.c.seq, RECORDS.c.hash, RECORDS.c.record)
        query = select(*columns).where(RECORDS.c.call_id.is_(None), RECORDS.c.final == 0)
        if cursor:
            query = query.where(RECORDS.c.id < place_of(cursor)[1])
        rows = self._rows(query.order_by(RECORDS.c.id.desc()).limit(limit + 1))
        found = (
            Kept(row.id, row.writer, row.seq, hexadecimal(row.hash), record_of(row.record)) for row in rows[:limit]
        )
        return Events(tuple(found), cursor_of(rows[limit - 1]) if len(rows) > limit else "")

    def state(self) -> LedgerState:
        """What is known of the ledger as a whole."""
        reached = select(CURSORS.c.position).where(CURSORS.c.name == NAME).scalar_subquery()
        last = self._rows(select(func.max(RECORDS.c.id), func.coalesce(reached, 0)))[0]
        records = last[0] or 0
        signed = self._rows(select(func.max(CHECKPOINTS.c.at)))[0][0]
        return LedgerState(
            records,
            max(records - last[1], 0),
            None if signed is None else moment(signed),
            self._uncovered(signed) if signed is not None else records,
            self._verified(),
        )

    def _verified(self) -> Verified | None:
        """The last record of a verification that was indexed."""
        place = select(CURSORS.c.position).where(CURSORS.c.name == VERIFIED).scalar_subquery()
        for at, record in self._rows(select(RECORDS.c.at, RECORDS.c.record).where(RECORDS.c.id == place)):
            fields = record_of(record)
            result, by = (str(fields.get(f"mcpgov.control.{name}", "")) for name in ("result", "principal"))
            return Verified(moment(at), result, by)
        return None

    # -- how it is found -----------------------------------------------------------------------------------------------

    def _matching(self, wanted: CallFilter) -> FromClause:
        return self._words.table.join(CALLS, CALLS.c.id == self._words.call) if wanted.text else CALLS

    def _conditions(self, wanted: CallFilter) -> list[ColumnElement[bool]]:
        """What a filter asks, as conditions on the index of calls."""
        found: list[ColumnElement[bool]] = []
        for name in EXACT:
            value = wanted.decision if name == "effect" else getattr(wanted, name)
            if value:  # a second index would have to be sorted: what is no column alone has none
                has = CALLS.c[name].concat("") if found else CALLS.c[name]
                found.append(self._is_caller(has, value) if name == "principal" else has == value)
        if wanted.correlation:
            same = select(RECORDS.c.id).where(RECORDS.c.correlation_id == wanted.correlation)
            found.append(CALLS.c.id.in_(same))
        if wanted.since is not None:
            found.append(CALLS.c.at >= microseconds(wanted.since))
        if wanted.until is not None:
            found.append(CALLS.c.at < microseconds(wanted.until))
        if wanted.text:
            found.append(self._words.has(wanted.text))
            found += self._about(wanted)
        return found

    def _about(self, wanted: CallFilter) -> list[ColumnElement[bool]]:
        """Between which ids the calls of a time lie, so that words are not looked for elsewhere. Clocks may differ."""
        found: list[ColumnElement[bool]] = []
        if wanted.since is not None:
            first = select(CALLS.c.id).where(CALLS.c.at >= microseconds(wanted.since - SLACK))
            lowest = self._rows(select(func.min(first.order_by(CALLS.c.at).limit(MOST_KEPT).subquery().c.id)))[0][0]
            found.append(self._words.call >= (lowest or 0))
        if wanted.until is not None:
            last = select(CALLS.c.id).where(CALLS.c.at < microseconds(wanted.until + SLACK))
            newest = last.order_by(CALLS.c.at.desc()).limit(MOST_KEPT).subquery()
            found.append(self._words.call <= (self._rows(select(func.max(newest.c.id)))[0][0] or 0))
        return found

    def _is_caller(self, stands_in: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
        """That a column holds a caller's id, which is given, or that of somebody who goes by a name."""
        known = or_(CALLERS.c.principal == wanted, CALLERS.c.name == wanted)
        rows = self._rows(select(CALLERS.c.principal).where(known).limit(MOST_KEPT))
        ids = [str(row[0]) for row in rows] or [wanted]
        return stands_in == ids[0] if len(ids) == 1 else stands_in.in_(ids)

    def _rolled(self, tier: Tier, wanted: CallFilter) -> list[ColumnElement[bool]]:
        """What a filter asks, as conditions on rollups."""
        rolled = tier.rollups
        asked = {name: getattr(wanted, name) for name in ROLLED}
        found = [rolled.c[name] == value for name, value in asked.items() if value]
        if wanted.decision:
            found.append(rolled.c.effect == wanted.decision)
        if wanted.principal:
            found.append(self._is_caller(rolled.c.principal, wanted.principal))
        return found

    # -- how it is counted ---------------------------------------------------------------------------------------------

    def _top(self, counted: Counted, name: str) -> tuple[Top, ...]:
        rows = self._rows(counted.top(name))
        names = self._names(row[0] for row in rows) if name == "principal" else {}
        return tuple(Top(row[0], names.get(row[0]) or row[0], int(row[1]), int(row[2])) for row in rows)

    def _latency(self, counted: Counted, wanted: CallFilter) -> Percentiles | None:
        if any((wanted.decision, wanted.principal, wanted.tool, wanted.reason, wanted.status)):
            return percentiles(Counter(bucket_of(row.total) for row in self._newest(wanted) if took(row)))
        return percentiles({row[0]: int(row[1]) for row in self._rows(counted.latencies(wanted.connection))})

    def _sampled(self, tier: Tier, wanted: CallFilter) -> Summary:
        """The summary of the newest calls, one by one."""
        span = replace(wanted, since=moment(tier.since), until=moment(tier.until))
        rows = self._newest(span)
        names = self._names(name for name, _ in Counter(row.principal for row in rows).most_common(TOPS))
        return sampled_summary(tier, rows, names)

    def _newest(self, wanted: CallFilter) -> Sequence[Any]:
        columns = (CALLS.c.at, CALLS.c.effect, CALLS.c.status, CALLS.c.principal, CALLS.c.tool, CALLS.c.reason)
        query = select(*columns, CALLS.c.total).select_from(self._matching(wanted)).where(*self._conditions(wanted))
        order = self._words.call.desc() if wanted.text else CALLS.c.at.desc()
        return self._rows(query.order_by(order).limit(SAMPLE))

    def _names(self, principals: Iterable[str]) -> dict[str, str]:
        """The names that callers last went by."""
        wanted = list(dict.fromkeys(principals))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), NAMES):
            some = CALLERS.c.principal.in_(wanted[start : start + NAMES])
            found |= {row.principal: row.name for row in self._rows(select(CALLERS).where(some))}
        return found

    def _uncovered(self, signed: int) -> int:
        """How many records came after a checkpoint; it is not counted further than SAMPLE."""
        since = select(RECORDS.c.id).where(RECORDS.c.at > signed).limit(SAMPLE).subquery()
        return int(self._rows(select(func.count()).select_from(since))[0][0])

    def _rows(self, query: Executable) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"the ledger cannot be read: {getattr(error, 'orig', None) or error}") from error


def hexadecimal(hashed: object) -> str:
    """A hash in hexadecimal; empty where somebody else wrote what is none."""
    return hashed.hex() if isinstance(hashed, bytes) else ""


def rolls_up(wanted: CallFilter) -> bool:
    """Whether rollups tell what a filter asks."""
    beyond = (wanted.method, wanted.agent, wanted.blueprint, wanted.project, wanted.source, wanted.correlation)
    return not any((*beyond, wanted.text)) and wanted.status != OPEN


def took(row: Any) -> bool:
    """Whether a call was forwarded, and has ended."""
    return row.total is not None and row.effect != DENY


def cursor_of(row: Any) -> str:
    """The cursor behind a row."""
    return base64.urlsafe_b64encode(json.dumps([row.at, row.id]).encode()).rstrip(b"=").decode()


def place_of(cursor: str) -> tuple[int, int]:
    """The row that a cursor stands behind. Raises InvalidCursor."""
    try:
        raw = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at, row = raw
    except (ValueError, TypeError):
        raise InvalidCursor("this cursor was not given out here") from None
    if type(at) is not int or type(row) is not int or not 0 <= at < LATEST or not 0 <= row < LATEST:
        raise InvalidCursor("this cursor was not given out here")
    return at, row
