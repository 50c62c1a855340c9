"""Removes what is older than the ledger is to keep, oldest first, a bounded batch at a time.

Rules: each batch and the signed record of it are one transaction, so that whatever stops it leaves a ledger that
verifies. Between two batches the store is left to the gateway. A call that has no end yet is not touched, nor is
anything behind it; nor what an export has not taken. What does not fit its hashes is not removed: it is evidence.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from mcpgov.audit.ledger_store import LedgerStore
from mcpgov.audit.purge import Broken, Removed, before_open, begun_in, cut_of, old_enough
from mcpgov.audit.record import EPOCH, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from mcpgov.audit.ledger_store import Sign
    from mcpgov.audit.purge import Cut, Old
    from mcpgov.audit.record import Row

AT_ONCE = 1000  # records: some tens of milliseconds in which nobody else writes


class OldestRecords(Protocol):
    """A ledger, read from its beginning. Every method raises StoreUnavailable."""

    def removed(self) -> Removed:
        """What purges have removed before."""
        ...

    def oldest(self, after: int, limit: int) -> Sequence[Old]:
        """The first records behind a place."""
        ...

    def ended(self, calls: Collection[str]) -> set[str]:
        """Those of some calls that have ended."""
        ...


class PurgingLedger(Protocol):
    """A writer that can remove. Raises StoreUnavailable."""

    def purge(self, cut: Cut, records: Sequence[Row], sign: Sign, at: datetime, /) -> None:
        """Remove what a cut says and keep the records of that, with a checkpoint: all or none."""
        ...


class PurgingStore(LedgerStore, PurgingLedger, Protocol):
    """A store whose writers can remove."""


@frozen
class Wanted:
    """What is asked: to remove what is older than so many days, and no record from `keep_from` on, which an export has
    not taken; `principal` is who asks. Where `dry`, it is only counted.
    """

    days: int
    principal: str
    keep_from: int | None = None
    dry: bool = False


@frozen
class Purge:
    """What was removed, or would be: how many records of how many writers, from when to when (microseconds)."""

    records: int = 0
    writers: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None

    def more(self, cut: Cut) -> Purge:
        """With what another cut removes."""
        since, until = cut.span
        return replace(
            self,
            records=self.records + len(cut.rows),
            writers=self.writers | {row.writer for row in cut.rows},
            since=min(since, since if self.since is None else self.since),
            until=max(until, self.until or 0),
        )

    def beside(self, other: Purge) -> Purge:
        """With what was removed from another store, whose writers are others."""
        return Purge(
            self.records + other.records,
            self.writers | other.writers,
            min((at for at in (self.since, other.since) if at is not None), default=None),
            max((at for at in (self.until, other.until) if at is not None), default=None),
        )


class Retention:
    """Purges a ledger. `opened` opens a writer for it, when there is something to remove; `pause` waits, in seconds."""

    def __init__(
        self,
        source: OldestRecords,
        opened: Callable[[], AbstractContextManager[PurgingLedger]],
        sign: Sign,
        pause: Callable[[], None],
    ) -> None:
        self._source = source
        self._opened = opened
        self._sign = sign
        self._pause = pause

    def purge(self, wanted: Wanted, now: datetime) -> Purge:
        """Remove what is too old. Raises StoreUnavailable."""
        if not self._eligible(0, wanted, now, 1):
            return Purge()
        if wanted.dry:
            return self._cuts(wanted, now, None)
        with self._opened() as ledger:
            return self._cuts(wanted, now, ledger)

    def _cuts(self, wanted: Wanted, now: datetime, ledger: PurgingLedger | None) -> Purge:
        removed, done, after = self._source.removed(), Purge(), 0
        by = {"principal": wanted.principal, "older_than": f"{wanted.days}d"}
        while rows := self._eligible(after, wanted, now, AT_ONCE):
            try:
                cut = cut_of(removed, rows)
            except Broken as error:
                mend = "What was tampered with is evidence, and is not removed: see mcpgov audit verify"
                raise StoreUnavailable(f"{error}. {mend}") from error
            if ledger is not None:
                ledger.purge(cut, cut.records(now, by), self._sign, now)
            removed, done, after = cut.removed, done.more(cut), cut.through
            self._pause()
        return done

    def _eligible(self, after: int, wanted: Wanted, now: datetime, limit: int) -> Sequence[Old]:
        """The next records that are too old."""
        before = microseconds(now - timedelta(days=wanted.days)) if wanted.days < (now - EPOCH).days else 0
        rows = old_enough(self._source.oldest(after, limit), before, wanted.keep_from)
        begun = begun_in(rows)
        return before_open(rows, begun - self._source.ended(begun)) if begun else rows
