"""What is done with the ledger by the way, beside the calls: checkpoints leave, and what is too old is removed.

A room of the composition root: app.py runs it beside the gateway. Nobody else imports it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import structlog

from mcpgov.audit.checkpoints import DatabaseTarget, FolderTarget, HttpTarget, Shipping
from mcpgov.audit.retention import Retention, Wanted
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.server_urls import shown
from mcpgov.storage import sent_checkpoints
from mcpgov.store.database import place_bytes
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
    from datetime import datetime

    from mcpgov.audit.ledger_store import Sign
    from mcpgov.audit.retention import Purge
    from mcpgov.storage import Load, Storage

    Lag = Callable[[], Mapping[str, float]]

SHIPPING = 1.0  # seconds between two looks for checkpoints to send
LAST_CHECKPOINT = 5.0  # seconds that the last one may take to leave
PURGING = 86_400.0  # seconds between two purges
BREATHER = 0.05  # seconds between two batches of one
RETENTION = "mcpgov:retention"  # who purges once a day


async def checkpoint_pause() -> None:
    """Wait until checkpoints are looked for again."""
    await asyncio.sleep(SHIPPING)


@asynccontextmanager
async def sending_checkpoints(
    storage: Storage, now: Callable[[], datetime], *, first: bool = True
) -> AsyncGenerator[Lag]:
    """Send checkpoints to every place that is named, the last one when the ledger has closed. Gives what tells, for
    each place, the seconds that it lags behind.

    Of several workers only the `first` looks for them; every one sends its own last, for it may be the last to end.
    """
    places = storage.settings.audit.checkpoints
    if not places:
        yield dict
        return
    targets = [target_of(place.reveal(), storage.load) for place in places]
    shipping = Shipping(storage.checkpoints(), targets, now, checkpoint_pause)
    sending = asyncio.create_task(shipping.run() if first else asyncio.sleep(0))
    sending.add_done_callback(told_if_it_fails)
    try:
        yield lambda: {target.name: 0.0 for target in targets} | dict(shipping.lag)
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        with suppress(TimeoutError):
            await asyncio.wait_for(shipping.look(), LAST_CHECKPOINT)


def told_if_it_fails(task: asyncio.Task[None]) -> None:
    """Say so when checkpoints are no longer sent."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("checkpoints-no-longer-sent", exc_info=failure)


def target_of(place: str, load: Load) -> FolderTarget | DatabaseTarget | HttpTarget:
    """The folder, the database or the URL that checkpoints are sent to."""
    if place.startswith("file:"):
        return FolderTarget(Path(unquote(urlsplit(place).path)), place_bytes)
    if not place.startswith("https:"):
        return DatabaseTarget(shown(place), sent_checkpoints(place, load))
    return HttpTarget(place, GuardedWeb())


@frozen
class Purging:
    """The ledger, for whoever purges it by hand."""

    storage: Storage
    now: Callable[[], datetime]

    @property
    def days(self) -> int | None:
        """For how many days records are kept; None is for ever."""
        return self.storage.settings.audit.keep_days

    @property
    def exported(self) -> int | None:
        """The first record that an export has not taken; None where there is no export. Raises StoreUnavailable."""
        return first_unexported(self.storage)

    def purge(self, wanted: Wanted) -> Purge:
        """Remove what is too old from every store of the ledger, or count it. Raises StoreUnavailable."""
        sign, now = self.storage.signer().checkpoint, self.now()
        done = purged(self.storage, wanted, sign, now)
        # Exports read the first store alone, and each store numbers its records anew.
        of_sink = replace(wanted, keep_from=None)
        for sink in self.storage.sinks():
            done = done.beside(purged(sink, of_sink, sign, now))
        return done


def first_unexported(storage: Storage) -> int | None:
    """The first record that an export has not taken; None where there is no export. Raises StoreUnavailable."""
    names = [export.name for export in storage.settings.audit.exports]
    through = storage.exports().lowest_exported(names) if names else None
    return None if through is None else through + 1


def purged(storage: Storage, wanted: Wanted, sign: Sign, now: datetime) -> Purge:
    """Remove what is too old from one store. Blocks, for as long as it takes. Raises StoreUnavailable."""
    with storage.oldest() as oldest:
        return Retention(oldest, storage.purging, sign, left_alone).purge(wanted, now)


def left_alone() -> None:
    """Leave the store to the gateway for a moment."""
    time.sleep(BREATHER)


async def purge_pause() -> None:
    """Wait until it is looked again for what is too old."""
    await asyncio.sleep(PURGING)


@asynccontextmanager
async def purging_daily(storage: Storage, now: Callable[[], datetime], *, first: bool = True) -> AsyncGenerator[None]:
    """Remove what is older than the settings say, once at the start and then once a day, beside the gateway.

    Of several workers only the `first` does.
    """
    days = storage.settings.audit.keep_days
    if days is None or not first:
        yield
        return

    async def run() -> None:
        while True:
            await purge_once(storage, Wanted(days, RETENTION), now())
            await purge_pause()

    purging = asyncio.create_task(run())
    try:
        yield
    finally:
        purging.cancel()
        with suppress(asyncio.CancelledError):
            await purging


async def purge_once(storage: Storage, wanted: Wanted, now: datetime) -> None:
    """Remove what is too old, and what every export has taken, from every store of the ledger.

    What prevents that in one of them is logged, and tried again.
    """
    sign = storage.signer().checkpoint
    for place in (storage, *storage.sinks()):
        try:
            keep_from = await asyncio.to_thread(first_unexported, storage) if place is storage else None
            asked = replace(wanted, keep_from=keep_from)
            done = await asyncio.to_thread(purged, place, asked, sign, now)
        except StoreUnavailable as error:
            structlog.get_logger().warning("audit-not-purged", error=str(error))
            continue
        if done.records:
            structlog.get_logger().info("audit-purged", records=done.records, writers=len(done.writers))


def watched_files(*watches: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """The watch on all files, until one of these falls over or it is cancelled."""

    async def watch() -> None:
        async with asyncio.TaskGroup() as tasks:
            for one in watches:
                tasks.create_task(one)

    watching = asyncio.create_task(watch())
    watching.add_done_callback(log_failure)
    return watching


def log_failure(task: asyncio.Task[None]) -> None:
    """Say so when the files are no longer watched, instead of serving on in silence."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("files-no-longer-watched", exc_info=failure)


async def end_watch(watching: asyncio.Task[None]) -> None:
    """End a watch. A defect in it was logged, and must not keep the gateway from ending."""
    watching.cancel()
    await asyncio.wait({watching})
