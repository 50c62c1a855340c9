"""What a person who reviews the ledger asks for, and what comes back: pages of calls, counts, latencies, one call.

Only values and a Protocol, over the reader's CallFilter and Call. Counts are of calls that have ended. What is counted
from rollups is exact and names the time it covers; what rollups cannot tell is counted over the newest calls that
match, and says so (`counted`).
Refuses to know: how any of it is stored, and what it looks like.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Protocol, Self

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from mcpgov.audit.reader import Call, CallFilter, Record

ALLOW, DENY = "allow", "deny"
DECISIONS = (ALLOW, DENY)
# What a bar of the histogram is made of: the decision, and for what was let through whether it went well.
OK, TROUBLE, REFUSED, GIVEN_UP = "ok", "trouble", "denied", "given-up"
KINDS: tuple[str, ...] = (OK, TROUBLE, REFUSED, GIVEN_UP)


class InvalidCursor(ValueError):
    """A cursor that no page gave out."""


@frozen
class Page:
    """Some calls in their order, and the cursor of those that follow; empty at the end."""

    calls: tuple[Call, ...]
    next: str = ""


@frozen
class Bar:
    """The calls that began within one step of time, by KINDS."""

    at: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@frozen
class Top:
    """A value that many calls have: as it is filtered by, as it is shown, how many calls, how many of them denied."""

    value: str
    shown: str
    calls: int
    denied: int


@frozen
class Percentiles:
    """Milliseconds that forwarded calls took, from the head of the request to the end of the answer."""

    p50: float
    p95: float
    p99: float
    calls: int


@frozen
class Summary:
    """A filter's calls, counted. `since` and `until` are what the bars cover, each `step` wide.

    `decisions` and `statuses` are the same calls by what was decided (empty where nothing was) and by how they ended.
    `counted` is None where every call is counted, else how many of the newest are.
    """

    since: datetime
    until: datetime
    step: timedelta
    bars: tuple[Bar, ...]
    totals: Mapping[str, int]
    decisions: Mapping[str, int] = field(default_factory=dict[str, int])
    statuses: Mapping[str, int] = field(default_factory=dict[str, int])
    agents: tuple[Top, ...] = ()
    tools: tuple[Top, ...] = ()
    reasons: tuple[Top, ...] = ()
    latency: Percentiles | None = None
    counted: int | None = None


@frozen
class Usage:
    """How much one caller used one tool."""

    principal: str
    name: str
    connection: str
    tool: str
    calls: int
    denied: int
    trouble: int
    last: datetime


@frozen
class Kept:
    """One record where it stands: its number in the store, its writer's chain and its place there, its leaf hash."""

    id: int
    writer: str
    seq: int
    hash: str
    record: Record = field(repr=False)


@frozen
class Events:
    """Some control records, the newest first, and the cursor of those that follow; empty at the end."""

    records: tuple[Kept, ...]
    next: str = ""


@frozen
class Verified:
    """What the last `audit verify` found (ok, tampered, gap, torn), when, and who asked."""

    at: datetime
    result: str
    by: str


@frozen
class LedgerState:
    """What is known of the ledger as a whole. `behind` is how many records wait for the index.

    `checkpointed_at` is when the newest checkpoint was signed, `uncovered` how many records came after it, `verified`
    the last time that somebody on this machine had it verified.
    """

    records: int
    behind: int
    checkpointed_at: datetime | None = None
    uncovered: int = 0
    verified: Verified | None = None


class ReviewReader(Protocol):
    """Reads a ledger through its index; leaving its context lets go of the store. Every method raises StoreUnavailable,
    and blocks: call it from a thread.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def page(self, wanted: CallFilter, cursor: str = "") -> Page:
        """`wanted.limit` calls that match, behind `cursor`. Raises InvalidCursor."""
        ...

    def summary(self, wanted: CallFilter, now: datetime) -> Summary:
        """The calls that match, counted. Without `since` the last day, without `until` to `now`."""
        ...

    def usage(self, wanted: CallFilter, now: datetime) -> Sequence[Usage]:
        """Who used which tool how much, the most used first; at most `wanted.limit`."""
        ...

    def kept(self, identifier: str) -> Sequence[Kept]:
        """Every record with this call, correlation or trace id, in the order written; at most 1,000.

        The beginning of a correlation id is enough, from 8 characters on.
        """
        ...

    def events(self, limit: int, cursor: str = "") -> Events:
        """`limit` control records behind `cursor`. Raises InvalidCursor."""
        ...

    def state(self) -> LedgerState:
        """What is known of the ledger as a whole."""
        ...
