"""The pins in force, beside the gateway: read at its start, kept current, and what waits is listed once.

A room of the composition root: app.py runs it. Nobody else imports it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from mcpgov.pinning.first_sight import FirstSight
from mcpgov.pinning.pins import Pins
from mcpgov.pinning.waiting_tools import WaitingTools
from mcpgov.probe import Probe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from mcpgov.pinning.pins import Note
    from mcpgov.pipeline import Stages
    from mcpgov.storage import Storage

LOOKING = 1.0  # seconds between two looks at what others have changed
PATIENCE = 30.0  # seconds for one server that is listed


async def pin_pause() -> None:
    """Wait until the pins are looked at again."""
    await asyncio.sleep(LOOKING)


@asynccontextmanager
async def pinning(storage: Storage, note: Note, now: Callable[[], datetime]) -> AsyncGenerator[Pins]:
    """The pins in force; nothing is known of them until keep_current() reads them."""
    with storage.pins() as store:
        yield Pins(store, note, now)


@asynccontextmanager
async def keep_current(pins: Pins, stages: Stages, *, listing: bool, trusted: bool = True) -> AsyncGenerator[None]:
    """Read the pins, and go on reading what others change; with `listing`, also list servers that wait for a person,
    and, if `trusted`, those that are trusted at first sight. Raises StoreUnavailable.
    """
    await pins.start()
    probe = Probe(stages, time.monotonic, PATIENCE)
    beside = [asyncio.create_task(pins.watch(pin_pause))]
    if listing:
        sight = FirstSight(stages.snapshot, pins, probe.test, trusted=trusted)
        beside.append(asyncio.create_task(sight.run(pin_pause)))
        beside.append(asyncio.create_task(WaitingTools(stages.snapshot, pins).run(pin_pause)))
    for task in beside:
        task.add_done_callback(told_if_it_fails)
    try:
        yield
    finally:
        for task in beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def told_if_it_fails(task: asyncio.Task[None]) -> None:
    """Say so when pins are no longer read."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("pins-no-longer-read", exc_info=failure)
