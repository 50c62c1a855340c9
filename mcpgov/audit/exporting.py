"""The records leave for where others read them: a SIEM, a lake, a collector. At least once, in order, from a cursor.

For each export a loop reads the records behind its cursor, puts them into the format of the place, and moves the cursor
when the place has taken them. Rules: the cursor never passes a record that was neither taken nor written down as set
aside; what fails is tried again, later and later, for as long as it takes, and holds up nobody else; memory holds one
batch. A record may arrive twice, and says by `log_id`, `writer` and `seq` that it is the same. Of several gateways over
one ledger one exports, by a lease. What arrived elsewhere is a copy: the ledger alone is proved.

A place that refuses a batch for good (it is too large, or holds something that it cannot take) gets it in halves, down
to the one record that it refuses. That one is set aside, which a control record says, if the place takes others, if
only the newest of all; a place that takes none at all is out of order, and waited for.
Refuses to know: how records are kept, what a format looks like, how a place is reached.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from mcpgov.audit.exported import Exported, Format, Payload
from mcpgov.audit.record import ControlEvent, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime

BATCH: Final = 500  # records
IDLE: Final = 1.0  # seconds between two looks where there is nothing to send
LONGEST: Final = 60.0  # seconds between two tries, unless the place asks for more
MOST: Final = 3600.0  # seconds that a place may ask for
LEASE: Final = 60_000_000  # microseconds for which nobody else exports
QUIET: Final = timedelta(minutes=1)
OWN_EVENTS: Final = frozenset({ControlEvent.EXPORT_FAILING, ControlEvent.EXPORT_RECOVERED, ControlEvent.EXPORT_REFUSED})


class TargetUnavailable(Exception):
    """A place did not take a payload now. The text names the place and no secret; `retry_after` is in seconds."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class TargetRefused(Exception):
    """A place will never take this payload as it is. The text names the place and no secret."""


class Target(Protocol):
    """A place that records are sent to. `name` has no secret in it."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    async def put(self, payload: Payload) -> None:
        """Give it a payload, taken on return. Raises TargetUnavailable (try again), TargetRefused (never)."""
        ...


class KeptRecords(Protocol):
    """The records of a store, and how far each export has come. Every method raises StoreUnavailable."""

    def after(self, position: int, limit: int) -> Sequence[Exported]:
        """The first records behind a position, in the order of commit. None is committed before one that was seen."""
        ...

    def newest(self) -> Exported | None:
        """The last record that was committed, if there is one."""
        ...

    def position(self, name: str) -> int:
        """The `id` up to which an export has everything; 0 for a new one."""
        ...

    def move(self, name: str, position: int) -> None:
        """Note that an export has everything up to this `id`. It never goes back."""
        ...

    def hold(self, name: str, mine: int, until: int, now: int) -> bool:
        """Take the lease of an export until a time, or keep it: `mine` is the end that it was last taken for, or 0.
        All in microseconds. False while another has it.
        """
        ...

    def release(self, name: str, mine: int) -> None:
        """Let go of a lease that ends at `mine`, if it is still that one."""
        ...

    def failing(self, name: str) -> int:
        """Since when an export fails, in microseconds; 0 for one that does not."""
        ...

    def fail(self, name: str, since: int) -> None:
        """Note since when it fails, or with 0 that it no longer does."""
        ...


class Note(Protocol):
    """Writes a control event down. Raises StoreUnavailable."""

    async def __call__(self, event: ControlEvent, **details: str | int | list[str]) -> None:
        """Return when it is durable."""
        ...


@frozen
class Export:
    """One export as it was configured. A batch that is not full waits `patience` seconds for more: files are better few
    and large.
    """

    name: str
    format: Format
    target: Target
    batch: int = BATCH
    patience: float = 0.0


class Exporter:
    """Sends one export what it lacks, until it is cancelled. `pause` waits for so many seconds."""

    def __init__(
        self,
        export: Export,
        kept: KeptRecords,
        note: Note,
        now: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._export = export
        self._kept = kept
        self._note = note
        self._now = now
        self._pause = pause
        self._held = 0  # the end of our lease
        self._failures = 0  # tries in a row
        self._well = False  # as the store has it
        self._waiting: int | None = None  # when the oldest record was made that is lacking there, 0 where none is
        self._logged: datetime | None = None

    async def run(self) -> None:
        """Go on for ever. The ledger opens before the first look."""
        wait = IDLE
        while True:
            await self._pause(wait)
            wait = await self.look()

    async def look(self, *, last: bool = False) -> float:
        """Send what is lacking for as long as it is taken; how many seconds to wait for the next look.

        The `last` one does not wait for a batch to fill.
        """
        try:
            while await self._hold() and (found := await self._next(last=last)):
                await self._send(found)
                self._failures = 0
            if self._held:
                await self._recovered()
        except (TargetUnavailable, StoreUnavailable) as error:
            return await self._failed(error)
        self._failures = 0
        return IDLE

    @property
    def lag(self) -> float | None:
        """How many seconds ago the oldest record was made that is lacking there.

        None while another gateway exports, and before the first look.
        """
        if not self._held or self._waiting is None:
            return None
        return max(0.0, (microseconds(self._now()) - self._waiting) / 1_000_000) if self._waiting else 0.0

    async def release(self) -> None:
        """Let another go on at once."""
        if self._held:
            await asyncio.to_thread(self._kept.release, self._export.name, self._held)
            self._held = 0

    async def _hold(self) -> bool:
        now = microseconds(self._now())
        until = now + LEASE
        held = await asyncio.to_thread(self._kept.hold, self._export.name, self._held, until, now)
        self._held = until if held else 0
        return held

    async def _next(self, *, last: bool) -> Sequence[Exported]:
        """The batch that is due."""
        export = self._export
        position = await asyncio.to_thread(self._kept.position, export.name)
        found = await asyncio.to_thread(self._kept.after, position, export.batch)
        self._waiting = found[0].at if found else 0
        young = bool(found) and 0 <= microseconds(self._now()) - found[0].at < export.patience * 1_000_000
        return () if young and not last and len(found) < export.batch else found

    async def _send(self, records: Sequence[Exported]) -> None:
        """Send a batch, the cursor behind it. What is refused is passed only when that is written down."""
        refused: list[tuple[Exported, str]] = []
        for part, payload in parts(self._export.format, records):
            refused += await self._put(part, payload)
            if not refused:
                await self._move(part[-1])
        if len(refused) == len(records) and not await self._takes_newer(records[-1]):
            raise TargetUnavailable(f"takes nothing: {refused[0][1]}")
        if refused:
            await self._set_aside(refused)
        await self._move(records[-1])

    async def _put(self, part: Sequence[Exported], payload: Payload) -> list[tuple[Exported, str]]:
        """Those of the records in a payload that are refused even alone."""
        try:
            await self._export.target.put(payload)
        except TargetRefused as refusal:
            if len(part) == 1:
                return [(part[0], str(refusal))]
            middle = len(part) // 2
            halves = (*parts(self._export.format, part[:middle]), *parts(self._export.format, part[middle:]))
            return [one for half in halves for one in await self._put(*half)]
        return []

    async def _takes_newer(self, last: Exported) -> bool:
        """Whether a place that refused a whole batch takes the newest record, which it gets once more in its turn."""
        newest = await asyncio.to_thread(self._kept.newest)
        if newest is None or newest.id <= last.id:
            return False
        return not [one for part in parts(self._export.format, [newest]) for one in await self._put(*part)]

    async def _set_aside(self, refused: Sequence[tuple[Exported, str]]) -> None:
        """Write down which records a place will never have. Of our own events that is only logged: it would not end."""
        name, why = self._export.name, refused[0][1]
        places = [f"{one.writer}:{one.seq}" for one, _ in refused if not is_own(one)]
        structlog.get_logger().warning("export-refused", export=name, records=len(refused), error=why)
        if places:
            await self._note(ControlEvent.EXPORT_REFUSED, export=name, records=places, error=why)

    async def _move(self, record: Exported) -> None:
        await asyncio.to_thread(self._kept.move, self._export.name, record.id)

    async def _recovered(self) -> None:
        """Write down that an export that failed goes on, also where another gateway saw it fail."""
        if self._well:
            return
        name = self._export.name
        if since := await asyncio.to_thread(self._kept.failing, name):
            seconds = max(0, microseconds(self._now()) - since) // 1_000_000
            await self._note(ControlEvent.EXPORT_RECOVERED, export=name, seconds=seconds)
            await asyncio.to_thread(self._kept.fail, name, 0)
        self._well = True

    async def _failed(self, error: TargetUnavailable | StoreUnavailable) -> float:
        """How long to wait after a failure, which is written down once and logged once a minute."""
        self._failures += 1
        name, now = self._export.name, self._now()
        if self._logged is None or now - self._logged >= QUIET:
            self._logged = now
            structlog.get_logger().warning("export-failing", export=name, error=str(error), lag=self.lag)
        try:
            if isinstance(error, TargetUnavailable) and not await asyncio.to_thread(self._kept.failing, name):
                await asyncio.to_thread(self._kept.fail, name, microseconds(now))
                await self._note(ControlEvent.EXPORT_FAILING, export=name, error=str(error))
        except StoreUnavailable:
            pass  # the store is down as well; its own recovery is written down by the ledger
        self._well = False
        asked = error.retry_after if isinstance(error, TargetUnavailable) else None
        return max(min(LONGEST, 2.0 ** min(self._failures - 1, 10)), min(asked or 0.0, MOST))


def parts(made_by: Format, records: Sequence[Exported]) -> Iterator[tuple[Sequence[Exported], Payload]]:
    """Each payload of some records, with those that it stands for."""
    start = 0
    for payload in made_by.payloads(records):
        yield records[start : start + payload.count], payload
        start += payload.count


def is_own(one: Exported) -> bool:
    """Whether a record is about the exports themselves."""
    return one.record.get("mcpgov.control.event") in OWN_EVENTS
