"""The stores that the ledger is written to: a row goes to each, and counts as written when enough of them say so.

Each store has a writer, a thread and a chain of its own, so that one that fails or hangs holds up no other. Rules it
keeps:

- one store is enough, or every one has to (`every_store`); who waits is told as soon as either is certain;
- the end of a call goes to each store that took its intent, and to no other: each adds up for itself;
- that a store failed, and that it came back, stands in those that live: once for each failure, and again in one that
  comes back while others fail, because it may have missed that;
- a store that did not open is opened later, where the others are enough to begin with.

It knows writers, not calls; what a row says is decided in record.py.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import astuple
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog

from mcpgov.audit.record import ControlEvent, ControlRecord, timestamp
from mcpgov.audit.writer import Backlog, Tuning, Writer
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcpgov.audit.ledger_store import LedgerStore, OpenCall, Sign
    from mcpgov.audit.record import Row
    from mcpgov.audit.writer import Entry


@frozen
class Posted:
    """One row on its way: its entry with each writer, None where it was not handed over."""

    entries: tuple[Entry | None, ...]

    @property
    def failed(self) -> bool:
        """Whether no store has it, or ever will."""
        return all(entry is None or entry.failed for entry in self.entries)


class Sinks:
    """One store or more, written to as one. `start` and `close` frame its life; the rest may be called in between."""

    def __init__(
        self,
        stores: Sequence[LedgerStore],
        now: Callable[[], datetime],
        tuning: Tuning | None = None,
        sign: Sign | None = None,
    ) -> None:
        self.tuning = tuning or Tuning()
        self._now = now
        self._durability = stores[0].durability
        self._required = len(stores) if self.tuning.every_store else 1
        self._failed: dict[int, Mapping[str, str]] = {}  # since when, why, and which, by the place of the writer
        self._writers = [
            Writer(store, now, self.tuning, sign, partial(self._heard, place), lambda: self.ready)
            for place, store in enumerate(stores)
        ]

    @property
    def ready(self) -> bool:
        """Whether enough of the stores took what they were given last."""
        return sum(writer.ready for writer in self._writers) >= self._required

    @property
    def states(self) -> dict[str, bool]:
        """Whether each store took what it was given last, by its name."""
        return {writer.name: writer.ready for writer in self._writers}

    @property
    def failed(self) -> Mapping[str, datetime]:
        """The stores that failed and have not come back, and since when."""
        return {failed["sink"]: datetime.fromisoformat(failed["since"]) for failed in self._failed.values()}

    @property
    def backlog(self) -> Backlog:
        """What the stores have not taken, all together."""
        each = [writer.backlog for writer in self._writers]
        return Backlog(*(sum(counts) for counts in zip(*map(astuple, each), strict=True)))

    async def start(self, ended: Callable[[OpenCall], Row] | None = None) -> int:
        """Open the stores, all at once, and end the calls that writers which are gone left open, as `ended` says.

        Gives back the most calls that were open in any store. When enough have opened, the rest is waited for only a
        while. Raises what the first store that did not open says, where too few do, and nothing is left running.
        """
        opening = [writer.start(ended) for writer in self._writers]
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.close)
            await asyncio.wait(opening, timeout=self.tuning.opening)
            if len(opened(opening)) < self._required:
                await asyncio.wait(opening)  # bringing a store up to date may take its time
            failures = [error for one in opening if one.done() and (error := one.exception())]
            hopeless = [error for error in failures if not isinstance(error, StoreUnavailable)]
            if hopeless or len(opening) - len(failures) < self._required:
                raise (hopeless or failures)[0]
            undo.pop_all()
        return max(opened(opening))

    def post(self, row: Row, *, ends: Posted | None = None, wait: bool = False) -> Posted:
        """Hand over a row, from the loop. Raises StoreUnavailable when no store has room for it."""
        entries: list[Entry | None] = []
        refused: list[StoreUnavailable] = []
        for place, writer in enumerate(self._writers):
            begun = ends.entries[place] if ends else None
            entry: Entry | None = None
            if ends is None or (begun is not None and not begun.failed):
                try:
                    entry = writer.post(row, ends=begun, wait=wait)
                except StoreUnavailable as error:
                    refused.append(error)
            entries.append(entry)
        posted = Posted(tuple(entries))
        if refused and posted.failed:
            raise refused[0]
        return posted

    async def durable(self, posted: Posted | None) -> None:
        """Return when enough stores have a row that was posted with `wait`. Raises StoreUnavailable."""
        entries = posted.entries if posted else ()
        waiters = [entry.durable for entry in entries if entry is not None and entry.durable is not None]
        if len(waiters) == self._required == 1:
            await waiters[0]
        else:
            await enough(waiters, self._required)

    async def close(self, *, finished: bool = False) -> bool:
        """Write what waits and close the stores. Whether nothing was left over.

        `finished`: every call that was begun has its end, if that is written now.
        """
        return all(await asyncio.gather(*(writer.close(finished=finished) for writer in self._writers)))

    def complain(self, event: str, error: StoreUnavailable) -> None:
        """Log that something could not be written down, but not for every call while it lasts."""
        self._writers[0].complain(event, error)

    def _heard(self, place: int, failure: StoreUnavailable | None) -> None:
        """A store failed, or came back: say so in the others, once, and to one that is back which others fail."""
        before, sink = self._failed.pop(place, None), self._writers[place].name
        others = [writer for at, writer in enumerate(self._writers) if at != place]
        if failure is not None:
            self._failed[place] = before or {"since": timestamp(self._now()), "why": str(failure), "sink": sink}
            if before is None and others:
                self._say(others, ControlEvent.SINK_FAILED, self._failed[place])
        elif before is not None and others:
            self._say(others, ControlEvent.SINK_RECOVERED, {"since": before["since"], "sink": sink})
            for failed in self._failed.values():
                self._say([self._writers[place]], ControlEvent.SINK_FAILED, failed)

    def _say(self, writers: Sequence[Writer], event: ControlEvent, details: Mapping[str, str]) -> None:
        structlog.get_logger().warning(f"audit-{event}", **details)
        for writer in writers:
            with suppress(StoreUnavailable):
                writer.post(ControlRecord(event, self._now(), details, self._durability).row())


def opened(opening: Sequence[asyncio.Future[int]]) -> list[int]:
    """What was open in each of the stores that opened."""
    return [one.result() for one in opening if one.done() and one.exception() is None]


async def enough(waiters: Sequence[asyncio.Future[None]], required: int) -> None:
    """Return once so many are done. Raises StoreUnavailable, with all that went wrong, once so many cannot be."""
    joint: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(_: object = None) -> None:
        done = [waiter for waiter in waiters if waiter.done()]
        failures = [str(error) for waiter in done if (error := waiter.exception())]
        if joint.done():
            return
        if len(done) - len(failures) >= required:
            joint.set_result(None)
        elif len(waiters) - len(failures) < required:
            joint.set_exception(StoreUnavailable("; ".join(failures) or "no store took it"))

    for waiter in waiters:
        waiter.add_done_callback(heard)
    heard()
    await joint
