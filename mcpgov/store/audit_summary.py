"""How a filter's calls are counted: which statements read the rollups, and what is made of what they return.

The bars of a histogram are at most MOST_BARS, each a round step of time; a span that does not begin on a step is
widened to it, and the summary says so. Short spans are counted by the minute, longer ones by the hour.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, func, select

from mcpgov.audit.record import EPOCH, microseconds
from mcpgov.audit.review import DENY, GIVEN_UP, KINDS, OK, REFUSED, TROUBLE, Bar, Percentiles, Summary, Top
from mcpgov.frozen import frozen
from mcpgov.models import OutcomeStatus
from mcpgov.store.rollups import HOUR, MINUTE, bucket_of, percentile
from mcpgov.store.schema import HOURLY_LATENCIES, HOURLY_ROLLUPS, LATENCIES, ROLLUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Executable, Table

SAMPLE: Final = 10_000  # calls that are counted one by one where rollups cannot tell
MOST_BARS: Final = 75
TOPS: Final = 8
DAY_MINUTES: Final = 1440
STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, *(DAY_MINUTES * days for days in (1, 2, 5, 10, 30, 90)))
LEFT: Final = (OutcomeStatus.CANCELLED.value, OutcomeStatus.CLIENT_GONE.value)
UNDER_WAY: Final = "open"


@frozen
class Tier:
    """Which rollups a span of time is read from. Times are microseconds; `unit` is one minute or one hour."""

    since: int
    until: int
    step: int
    unit: int
    rollups: Table
    latencies: Table
    time: str

    @property
    def bars(self) -> range:
        """The beginning of each bar."""
        return range(self.since, self.until, self.step)

    def within(self, rolled: Table) -> ColumnElement[bool]:
        """That a row of a rollup lies in the span."""
        time: Column[Any] = rolled.c[self.time]
        return and_(time >= self.since // self.unit, time < self.until // self.unit)


def tier_of(since: datetime, until: datetime) -> Tier:
    """The rollups and the step for a span of time. One that is longer than there are steps ends where they do."""
    start, end = microseconds(since), max(microseconds(until), microseconds(since) + 1)
    step = MINUTE * next((step for step in STEPS if fits(start, end, step * MINUTE)), STEPS[-1])
    last = -(-end // step) * step
    first = max(start // step * step, last - MOST_BARS * step)
    if step < HOUR:
        return Tier(first, last, step, MINUTE, ROLLUPS, LATENCIES, "minute")
    return Tier(first, last, step, HOUR, HOURLY_ROLLUPS, HOURLY_LATENCIES, "hour")


def fits(start: int, end: int, step: int) -> bool:
    """Whether bars of this step are few enough."""
    return -(-end // step) - start // step <= MOST_BARS


@frozen
class Counted:
    """The statements that count a filter's calls from rollups."""

    tier: Tier
    filters: Sequence[ColumnElement[bool]]

    def bars(self) -> Executable:
        """(bar, effect, status, calls), for each bar that has calls."""
        rolled, per_bar = self.tier.rollups, self.tier.step // self.tier.unit
        bar = (rolled.c[self.tier.time] // per_bar).label("bar")
        query = select(bar, rolled.c.effect, rolled.c.status, func.sum(rolled.c.calls))
        return query.where(self.tier.within(rolled), *self.filters).group_by(bar, rolled.c.effect, rolled.c.status)

    def top(self, name: str) -> Executable:
        """(value, calls, denied) of the most frequent values of a column."""
        rolled = self.tier.rollups
        value, calls = rolled.c[name], func.sum(rolled.c.calls).label("calls")
        denied = func.sum(case((rolled.c.effect == DENY, rolled.c.calls), else_=0))
        query = select(value, calls, denied).where(self.tier.within(rolled), value != "", *self.filters)
        return query.group_by(value).order_by(calls.desc(), value).limit(TOPS)

    def latencies(self, connection: str) -> Executable:
        """(bucket, calls)."""
        taken = self.tier.latencies
        query = select(taken.c.bucket, func.sum(taken.c.calls)).where(self.tier.within(taken))
        return (query.where(taken.c.connection == connection) if connection else query).group_by(taken.c.bucket)


def used(tier: Tier, filters: Sequence[ColumnElement[bool]], limit: int) -> Executable:
    """(principal, connection, tool, calls, denied, ok, last) for each caller and tool, the most used first."""
    rolled = tier.rollups
    who = (rolled.c.principal, rolled.c.connection, rolled.c.tool)
    calls = func.sum(rolled.c.calls).label("calls")
    denied = func.sum(case((rolled.c.effect == DENY, rolled.c.calls), else_=0)).label("denied")
    went_well = and_(rolled.c.effect != DENY, rolled.c.status.in_((OutcomeStatus.OK.value, *LEFT)))
    ok = func.sum(case((went_well, rolled.c.calls), else_=0)).label("ok")
    query = select(*who, calls, denied, ok, func.max(rolled.c[tier.time]).label("last"))
    query = query.where(tier.within(rolled), rolled.c.tool != "", *filters)
    return query.group_by(*who).order_by(calls.desc(), *who).limit(limit)


def kind_of(effect: str, status: str) -> str:
    """Which part of a bar a call belongs to."""
    if effect == DENY:
        return REFUSED
    if status in LEFT or status == UNDER_WAY:
        return GIVEN_UP
    return OK if status == OutcomeStatus.OK else TROUBLE


def summary_of(
    tier: Tier, kinds: Iterable[tuple[int, str, str, int]], tops: Mapping[str, tuple[Top, ...]], **more: Any
) -> Summary:
    """The summary of (bar's beginning in microseconds, effect, status, calls)."""
    bars = {at: dict.fromkeys(KINDS, 0) for at in tier.bars}
    totals = dict.fromkeys(KINDS, 0)
    decisions, statuses = Counter[str](), Counter[str]()
    for at, effect, status, calls in kinds:
        kind = kind_of(effect, status)
        totals[kind] += calls
        bars[at][kind] += calls
        decisions[effect] += calls
        statuses[status] += calls
    return Summary(
        moment(tier.since),
        moment(tier.until),
        timedelta(microseconds=tier.step),
        tuple(Bar(moment(at), counts) for at, counts in bars.items()),
        totals,
        dict(decisions.most_common()),
        dict(statuses.most_common()),
        **tops,
        **more,
    )


def sampled_summary(tier: Tier, rows: Sequence[Any], names: Mapping[str, str]) -> Summary:
    """The summary of calls, one by one: (at, effect, status, principal, tool, reason, total)."""
    counted: Counter[tuple[int, str, str]] = Counter(
        (row.at // tier.step * tier.step, row.effect, row.status) for row in rows
    )
    tops = {
        what: tops_of(Counter(str(getattr(row, name)) for row in rows), denied_by(rows, name), names)
        for what, name in (("agents", "principal"), ("tools", "tool"), ("reasons", "reason"))
    }
    taken: Counter[int] = Counter(bucket_of(row.total) for row in rows if row.total is not None and row.effect != DENY)
    return summary_of(
        tier,
        ((*key, calls) for key, calls in counted.items() if key[0] in tier.bars),
        tops,
        latency=percentiles(taken),
        counted=len(rows) if len(rows) == SAMPLE else None,
    )


def denied_by(rows: Sequence[Any], name: str) -> Counter[str]:
    """How many of the calls with each value were denied."""
    return Counter(str(getattr(row, name)) for row in rows if row.effect == DENY)


def tops_of(calls: Counter[str], denied: Mapping[str, int], names: Mapping[str, str]) -> tuple[Top, ...]:
    """The most frequent values."""
    most = sorted(((value, count) for value, count in calls.items() if value), key=lambda one: (-one[1], one[0]))
    return tuple(Top(value, names.get(value) or value, count, denied.get(value, 0)) for value, count in most[:TOPS])


def percentiles(buckets: Mapping[int, int]) -> Percentiles | None:
    """The percentiles of counted latencies; None where there are none."""
    if not buckets:
        return None
    p50, p95, p99 = (percentile(buckets, share) for share in (0.5, 0.95, 0.99))
    return Percentiles(p50, p95, p99, sum(buckets.values()))


def moment(at: int) -> datetime:
    """A time from microseconds since 1970-01-01 UTC."""
    return EPOCH + timedelta(microseconds=at)
