"""The writer: one thread that makes records durable, many at a time, off the event loop.

Whatever waits while the store is busy becomes the next batch and shares one commit, so nobody waits for a timer and a
thousand calls cost a few disk flushes. Rules it keeps:

- who waits is told `durable` only after the store said so, and told no at once when it said no, when too much is
  waiting, or when the store has been silent for too long (a hang is a failure);
- the outcome of an intent that is durable is never given up: it is kept and tried again until the store takes it. There
  are never more of these than there were calls under way when the store failed;
- the outcome of an intent that was not written is dropped with it;
- what was written is signed from time to time, by the thread when those who wait were told, so that no call waits for
  it; a checkpoint that fails is made later, and fails no call;
- the thread outlives any failure, and says in the ledger itself, as soon as it can, that there was one.

It knows rows, not calls; what a row says is decided in record.py.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from mcpgov.audit.record import ControlEvent, ControlRecord, timestamp
from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mcpgov.audit.chain import Chain
    from mcpgov.audit.record import Row

    Sign = Callable[[Chain], str]


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call with an intent and no end."""

    call_id: str
    correlation_id: str
    trace_id: str


class LedgerStore(Protocol):
    """Where rows are kept. Called from one thread at a time. Every method raises StoreUnavailable.

    `writer` is unique to this object and lives as long as it: rows are numbered from 1 for each writer, without a gap,
    and chained. Its first rows name the writers that ended (chain.links), and come with the first that it is given.
    """

    writer: str

    def open(self) -> None:
        """Make the store ready and announce this writer, so that others see whether it still lives."""
        ...

    def recover(self, ended: Callable[[OpenCall], Row]) -> int:
        """Give each intent without an end, whose writer is gone, the end that `ended` makes: all in one transaction.

        Gives back how many. The calls of a writer that lives are not touched, and a call never gets a second end.
        """
        ...

    def append(self, rows: Sequence[Row]) -> None:
        """Keep rows in this order: all of them, durable on return, or none. A second end of a call is not kept."""
        ...

    def checkpoint(self, sign: Sign, at: datetime) -> int:
        """Name the writers that ended since, then keep the note that `sign` makes of all that this writer has written;
        neither where there is no news. Gives back how many entries the last note is of.
        """
        ...

    def close(self, *, finished: bool) -> None:
        """Let go. `finished`: every call of this writer has its end; otherwise the next recovery sees to it."""
        ...


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the writer behaves. Times are in seconds."""

    waiting: int = 8192  # rows that may wait before more are refused
    batch: int = 256  # rows in one commit
    patience: float = 2.0  # how long one who waits is left without an answer
    retry: float = 0.25  # how often a store that failed is tried again
    quiet: float = 1.0  # at most one log line of failure in this time
    closing: float = 5.0  # how long close() waits for the thread
    unsigned: int = 1000  # rows after which a checkpoint is made
    unsigned_for: float = 10.0  # how long what was written may be without a checkpoint


@dataclass(eq=False, slots=True)
class Entry:
    """One row on its way. `ends` is the entry of the intent whose call this row ends."""

    row: Row
    durable: asyncio.Future[None] | None = None
    ends: Entry | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a store has not taken: rows that wait, ends of calls that it refused and that are tried again, and how many
    who waited were told no since it failed.
    """

    waiting: int
    owed: int
    refused: int


class Writer:
    """Makes rows durable in the store. `start` and `close` frame its life; the rest may be called in between."""

    def __init__(
        self, store: LedgerStore, now: Callable[[], datetime], tuning: Tuning | None = None, sign: Sign | None = None
    ) -> None:
        self._store = store
        self._now = now
        self._tuning = tuning or Tuning()
        self._sign = sign
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mcpgov-audit", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = False
        self._silent = False
        # what follows belongs to the thread
        self._owed: list[Entry] = []
        self._failed_at: datetime | None = None
        self._logged_at: datetime | None = None
        self._refused = 0
        self._unsigned = 0
        self._signed_at = now()

    @property
    def ready(self) -> bool:
        """Whether the last thing that the store was asked for worked."""
        return self._running and self._failed_at is None and not self._silent

    @property
    def backlog(self) -> Backlog:
        """What the store has not taken, as far as can be seen from outside the thread."""
        return Backlog(self._queue.qsize(), len(self._owed), self._refused)

    def start(self) -> None:
        """Begin. The store is open; the running loop is where waiters are told."""
        self._loop = asyncio.get_running_loop()
        self._running = True
        self._thread.start()

    def post(self, row: Row, *, ends: Entry | None = None, wait: bool = False) -> Entry:
        """Hand over a row, from the loop. Raises StoreUnavailable when there is no room; for an end there always is."""
        if self._loop is None or not self._running:
            raise StoreUnavailable("the audit writer is not running")
        if ends is None and self._queue.qsize() >= self._tuning.waiting:
            raise StoreUnavailable(f"{self._tuning.waiting} records already wait for the audit store")
        entry = Entry(row, self._loop.create_future() if wait else None, ends)
        self._queue.put(entry)
        return entry

    async def durable(self, entry: Entry) -> None:
        """Return when an entry that was posted with `wait` is durable. Raises StoreUnavailable."""
        waiter = entry.durable
        if waiter is None:
            raise ValueError("this row was posted without `wait`")
        timer = waiter.get_loop().call_later(self._tuning.patience, self._give_up, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    async def close(self) -> bool:
        """Write what waits, then end the thread. Whether nothing was left over."""
        if not self._running:
            return True
        self._running = False
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, self._tuning.closing)
        hung = self._thread.is_alive()
        if hung or self._owed:
            structlog.get_logger().error("audit-not-finished", outcomes=len(self._owed), hung=hung)
        return not hung and not self._owed

    def complain(self, event: str, error: Exception) -> None:
        """Log that something could not be written down, but not for every call while it lasts."""
        now = self._now()
        if self._logged_at is None or (now - self._logged_at).total_seconds() >= self._tuning.quiet:
            self._logged_at = now
            unexpected = None if isinstance(error, StoreUnavailable) else error
            structlog.get_logger().error(
                event, error=str(error), refused=self._refused, owed=len(self._owed), exc_info=unexpected
            )

    def _give_up(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            self._silent = True
            waiter.set_exception(StoreUnavailable(f"the audit store was silent for {self._tuning.patience:g} s"))

    def _run(self) -> None:
        running = True
        while running:
            batch = self._gather()
            running = None not in batch
            self._round([entry for entry in batch if entry is not None])
            self._checkpoint(last=not running)

    def _gather(self) -> list[Entry | None]:
        """What waits, once something does; nothing when a failed store, or a checkpoint, is due; None last: the end."""
        batch: list[Entry | None] = []
        idle = self._tuning.unsigned_for if self._sign else None
        try:
            batch.append(self._queue.get(timeout=self._tuning.retry if self._failed_at else idle))
            while batch[-1] is not None and len(batch) < self._tuning.batch:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _round(self, entries: list[Entry]) -> None:
        """Write a batch. After a failure, write what is owed too, and that there was a failure."""
        if (entries and not self._commit(entries)) or self._failed_at is None:
            return
        owed, self._owed = self._owed, []
        details = {"failed_at": timestamp(self._failed_at), "refused": self._refused, "outcomes": len(owed)}
        recovered = ControlRecord(ControlEvent.STORE_RECOVERED, self._now(), details)
        if self._commit([*owed, Entry(recovered.row())]):
            structlog.get_logger().warning("audit-store-recovered", **details)
            self._failed_at, self._logged_at, self._refused = None, None, 0

    def _commit(self, entries: list[Entry]) -> bool:
        entries = [entry for entry in entries if entry.ends is None or not entry.ends.failed]
        error = self._attempt(lambda: self._store.append([entry.row for entry in entries])) if entries else None
        failure: StoreUnavailable | None = None
        if error is not None:
            failure = error if isinstance(error, StoreUnavailable) else StoreUnavailable("the audit store failed")
            self._note_failure(entries, error)
        else:
            self._unsigned += len(entries)
        self._silent = False
        self._tell(entries, failure)
        return failure is None

    def _attempt(self, work: Callable[[], object]) -> Exception | None:
        """Do something with the store; gives back what went wrong. Nothing ends the thread."""
        try:
            work()
        except Exception as error:
            return error
        return None

    def _checkpoint(self, *, last: bool) -> None:
        """Have what was written signed: once it is much, after a while, and at the end."""
        sign, now = self._sign, self._now()
        waited = abs((now - self._signed_at).total_seconds())  # a clock that jumps back brings one forward
        due = last or self._unsigned >= self._tuning.unsigned or waited >= self._tuning.unsigned_for
        if sign is None or self._failed_at is not None or not due:
            return
        error = self._attempt(lambda: self._store.checkpoint(sign, now))
        self._signed_at, self._unsigned = now, 0
        if error is not None:
            self.complain("audit-checkpoint-failed", error)

    def _note_failure(self, entries: list[Entry], error: Exception) -> None:
        """Keep the ends of calls that have an intent, give up everything else, and say so."""
        for entry in entries:
            if entry.ends is None:
                entry.failed = True
            elif not entry.ends.failed:
                self._owed.append(entry)
        self._failed_at = self._failed_at or self._now()
        self._refused += sum(entry.durable is not None for entry in entries)
        self.complain("audit-unavailable", error)

    def _tell(self, entries: list[Entry], failure: StoreUnavailable | None) -> None:
        waiters = [entry.durable for entry in entries if entry.durable is not None]
        if waiters and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_settle, waiters, failure)
            except RuntimeError:
                structlog.get_logger().warning("audit-nobody-waits", records=len(waiters))  # the loop has closed


def _settle(waiters: list[asyncio.Future[None]], failure: StoreUnavailable | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(failure)
