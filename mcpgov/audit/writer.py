"""The writer: one thread that makes records durable in one store, many at a time, off the event loop.

Whatever waits while the store is busy becomes the next batch and shares one commit, so nobody waits for a timer and a
thousand calls cost a few disk flushes. The end of a call that nobody waits for is kept back for a moment, to share
the commit of the next intent. Rules it keeps:

- who waits is told `durable` only after the store said so, and told no at once when it said no, when too much is
  waiting, or when the store has been silent for too long (a hang is a failure);
- the outcome of an intent that is durable is never given up: it is kept and tried again until the store takes it. There
  are never more of these than there were calls under way when the store failed;
- the outcome of an intent that was not written is dropped with it;
- what was written is signed from time to time, by the thread when those who wait were told, so that no call waits for
  it; a checkpoint that fails is made later, and fails no call;
- the thread outlives any failure, and says in the ledger itself, as soon as it can, that there was one;
- nobody but the thread touches the store, from its opening to its close: one that hangs holds up nobody's end;
- a clock that went back is noted in the ledger, before the first record of the time that comes again.

It knows rows, not calls; what a row says is decided in record.py.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from mcpgov.audit.lingering import Lingering
from mcpgov.audit.patience import Patience
from mcpgov.audit.record import ControlEvent, ControlRecord, timestamp
from mcpgov.audit.tuning import Tuning
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mcpgov.audit.ledger_store import LedgerStore, OpenCall, Sign
    from mcpgov.audit.record import Detail, Row

    Health = Callable[[StoreUnavailable | None], None]


@dataclass(eq=False, slots=True)
class Entry:
    """One row on its way, None once it is kept. `ends` is the entry of the intent whose call this row ends."""

    row: Row | None
    durable: asyncio.Future[None] | None = None
    ends: Entry | None = None
    failed: bool = False


@frozen
class Backlog:
    """What a store has not taken: rows that wait, ends of calls that it refused and that are tried again, and how many
    who waited were told no since it failed.
    """

    waiting: int
    owed: int
    refused: int


class Writer:
    """Makes rows durable in the store. `start` and `close` frame its life; the rest may be called in between.

    `health` is told when the store fails and comes back; `spared` says, from any thread, whether others are enough.
    """

    def __init__(
        self,
        store: LedgerStore,
        now: Callable[[], datetime],
        tuning: Tuning | None = None,
        sign: Sign | None = None,
        health: Health | None = None,
        spared: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._now = now
        self._tuning = tuning or Tuning()
        self._sign = sign
        self._health = health
        self._spared = spared
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mcpgov-audit", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._patience: Patience | None = None
        self._lingering: Lingering[Entry] | None = None
        self._running = False
        self._silent = False
        self._opened: asyncio.Future[int] | None = None
        self._ended: Callable[[OpenCall], Row] | None = None
        self._finished = False
        # what follows belongs to the thread
        self._open = False
        self._owed: list[Entry] = []
        self._failed_at: datetime | None = None
        self._logged: dict[str, datetime] = {}
        self._refused = 0
        self._unsigned = 0
        self._signed_at = self._written_at = now()

    @property
    def name(self) -> str:
        """The store's, for people."""
        return self._store.name

    @property
    def ready(self) -> bool:
        """Whether the last thing that the store was asked for worked."""
        return self._running and self._open and self._failed_at is None and not self._silent

    @property
    def backlog(self) -> Backlog:
        """What the store has not taken, as far as can be seen from outside the thread."""
        return Backlog(self._queue.qsize() + len(self._lingering or ()), len(self._owed), self._refused)

    def start(self, ended: Callable[[OpenCall], Row] | None = None) -> asyncio.Future[int]:
        """Begin, and open the store; the running loop is where waiters are told. Rows may be posted at once.

        Gives back how many calls, left open by writers that are gone, have the end that `ended` makes; or why the store
        did not open, which is then tried again until close().
        """
        self._loop = asyncio.get_running_loop()
        self._patience = Patience(self._loop, self._tuning.patience, self._give_up)
        self._lingering = Lingering(self._loop, self._tuning.linger, self._hand_over)
        self._ended, self._opened = ended, self._loop.create_future()
        self._opened.add_done_callback(lambda told: told.cancelled() or told.exception())  # who asks hears it anyway
        self._running = True
        self._thread.start()
        return self._opened

    def post(self, row: Row, *, ends: Entry | None = None, wait: bool = False) -> Entry:
        """Hand over a row, from the loop. Raises StoreUnavailable when there is no room; for an end there always is."""
        if self._patience is None or self._lingering is None or not self._running:
            raise StoreUnavailable("the audit writer is not running")
        if ends is None and self._queue.qsize() >= self._tuning.waiting:
            raise StoreUnavailable(f"{self._tuning.waiting} records already wait for the audit store")
        entry = Entry(row, self._patience.waiter() if wait else None, ends)
        if ends is not None and not wait:
            self._lingering.keep(entry)
            return entry
        self._hand_over()
        self._queue.put(entry)
        return entry

    def _hand_over(self) -> None:
        """Give the thread what was kept back: before whatever is posted next, so that the order stays."""
        for entry in self._lingering.taken() if self._lingering else ():
            self._queue.put(entry)

    async def close(self, *, finished: bool = False) -> bool:
        """Write what waits, then end the thread and close the store. Whether nothing was left over.

        `finished`: every call that was begun has its end, if that is written now.
        """
        if not self._running:
            return True
        self._running, self._finished = False, finished
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, self._tuning.closing)
        hung = self._thread.is_alive()
        if hung or self._owed:
            structlog.get_logger().error("audit-not-finished", store=self.name, outcomes=len(self._owed), hung=hung)
        return not hung and not self._owed

    def complain(self, event: str, error: Exception, **more: int) -> None:
        """Log that something could not be written down, but not for every call while it lasts."""
        now, before = self._now(), self._logged.get(event)
        if before is None or (now - before).total_seconds() >= self._tuning.quiet:
            self._logged[event] = now
            more["owed"], unexpected = len(self._owed), None if isinstance(error, StoreUnavailable) else error
            structlog.get_logger().error(event, store=self.name, error=str(error), **more, exc_info=unexpected)

    def _give_up(self, waiter: asyncio.Future[None]) -> None:
        self._silent = True
        silence = StoreUnavailable(f"the audit store was silent for {self._tuning.patience:g} s")
        waiter.set_exception(silence)
        self._report(silence)

    def _report(self, failure: StoreUnavailable | None) -> None:
        if self._health is not None:
            self._health(failure)

    def _run(self) -> None:
        self._begin()
        running = True
        while running:
            batch = self._gather()
            running = None not in batch
            entries = [entry for entry in batch if entry is not None]
            if entries or running or self._open:
                self._round(entries)
            self._checkpoint(last=not running)
        error = self._attempt(lambda: self._store.close(finished=self._finished and self._open and not self._owed))
        if error is not None:
            self.complain("audit-store-not-closed", error)

    def _begin(self) -> None:
        """Open the store for the first time, and say how that went."""
        recovered: list[int] = []
        error = self._attempt(lambda: recovered.append(self._opened_store()))
        if error is not None:
            self._failed_at = self._now()
            self._in_loop(self._report, failure_of(error))
        self._in_loop(self._told_opened, error, *recovered)

    def _opened_store(self) -> int:
        self._store.open()
        recovered = self._store.recover(self._ended) if self._ended else 0
        self._open = True
        return recovered

    def _told_opened(self, error: Exception | None, recovered: int = 0) -> None:
        if self._opened is None or self._opened.done():
            return
        if error is None:
            self._opened.set_result(recovered)
        else:
            self._opened.set_exception(error)

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
        if self._commit([*owed, Entry(self._control(ControlEvent.STORE_RECOVERED, details))]):
            structlog.get_logger().warning("audit-store-recovered", store=self.name, **details)
            self._failed_at, self._refused = None, 0
            self._logged.clear()
            self._in_loop(self._report, None)

    def _commit(self, entries: list[Entry]) -> bool:
        entries = self._without_lost_calls(entries)
        error = self._attempt(lambda: self._write(entries)) if entries else None
        if error is not None:
            self._note_failure(entries, error)
        self._tell(entries, error and failure_of(error))
        return error is None

    def _without_lost_calls(self, entries: list[Entry]) -> list[Entry]:
        """The entries without the ends of calls whose intent was not written; who waits for such an end is told."""
        lost = [entry for entry in entries if entry.ends is not None and entry.ends.failed]
        self._tell(lost, StoreUnavailable("what this is the end of was not written"))
        return [entry for entry in entries if entry.ends is None or not entry.ends.failed]

    def _meanwhile(self, most: int) -> list[Entry]:
        """What came while a store was waited for; the end of all is left to be found."""
        came: list[Entry] = []
        with suppress(queue.Empty):
            while len(came) < most:
                entry = self._queue.get_nowait()
                if entry is None:
                    self._queue.put(None)
                    break
                came.append(entry)
        return came

    def _write(self, entries: list[Entry]) -> None:
        """Open the store if it did not open before, then keep the rows, and before them that the clock went back.

        To `entries` is added what came while the store was waited for.
        """
        if not self._open:
            self._opened_store()
        self._store.claim()
        entries += self._without_lost_calls(self._meanwhile(self._tuning.batch - len(entries)))
        now, rows = self._now(), [entry.row for entry in entries if entry.row is not None]
        back = (self._written_at - now).total_seconds()
        if back > self._tuning.jump:
            details = {"back_us": round(back * 1_000_000), "last": timestamp(self._written_at)}
            rows.insert(0, self._control(ControlEvent.CLOCK_REGRESSION, details))
        self._store.append(rows)
        for entry in entries:
            entry.row = None  # the entry of an intent is held for as long as its call is open, and streams are for days
        self._written_at = now
        self._unsigned += len(rows)

    def _control(self, event: ControlEvent, details: Mapping[str, Detail]) -> Row:
        return ControlRecord(event, self._now(), details, self._store.durability).row()

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
        more = {} if self._spared() else {"refused": self._refused}
        self.complain("audit-unavailable" if more else "audit-store-failing", error, **more)
        self._in_loop(self._report, failure_of(error))

    def _tell(self, entries: list[Entry], failure: StoreUnavailable | None) -> None:
        waiters = [entry.durable for entry in entries if entry.durable is not None]
        if waiters and not self._in_loop(self._settle, waiters, failure):
            structlog.get_logger().warning("audit-nobody-waits", records=len(waiters))

    def _settle(self, waiters: list[asyncio.Future[None]], failure: StoreUnavailable | None) -> None:
        if self._silent:
            self._silent = False
            self._report(failure)
        for waiter in waiters:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(StoreUnavailable(str(failure)))  # each its own: what is raised keeps its frames

    def _in_loop(self, say: Callable[..., None], *what: object) -> bool:
        """Have something said in the loop; not done where that has closed."""
        try:
            return bool(self._loop and self._loop.call_soon_threadsafe(say, *what))
        except RuntimeError:
            return False


def failure_of(error: Exception) -> StoreUnavailable:
    """What those who wait are told: nothing of what nobody foresaw."""
    return error if isinstance(error, StoreUnavailable) else StoreUnavailable("the audit store failed")
