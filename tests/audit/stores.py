"""Stores that fail, hang and come back when a test says so, and clocks that stand still."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from mcpgov.audit.record import Row
from mcpgov.errors import StoreUnavailable
from mcpgov.store.memory_ledger import MemoryDisk, MemoryLedgerStore
from tests.audit.calls import NOW

PATIENCE = 10  # seconds after which a test that hangs is given up


async def until(true: Callable[[], bool]) -> None:
    """Return once something is true that another thread makes true."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0)


class FaultyStore(MemoryLedgerStore):
    """A store in memory that raises `failure` while there is one, and waits while the gate is shut.

    `closed` is what it raises while it is opened.
    """

    def __init__(self, disk: MemoryDisk | None = None, name: str = "memory") -> None:
        super().__init__(disk)
        self.name = name
        self.failure: Exception | None = None
        self.closed: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        self.batches: list[int] = []

    def open(self) -> None:
        if self.closed is not None:
            raise self.closed
        super().open()

    def hang(self) -> None:
        """Wait while the gate is shut."""
        self.waiting.set()
        self.gate.wait(PATIENCE)
        self.waiting.clear()

    def append(self, rows: Sequence[Row]) -> None:
        self.hang()
        self.batches.append(len(rows))
        if self.failure is not None:
            raise self.failure
        super().append(rows)

    def shut(self) -> None:
        """Hang from the next batch on."""
        self.gate.clear()

    async def until_busy(self) -> None:
        """Return once a batch waits at the gate."""
        assert await asyncio.to_thread(self.waiting.wait, PATIENCE)

    @property
    def rows(self) -> list[Row]:
        """What was kept."""
        return [row for _, _, row in self.disk.rows]

    @property
    def ends(self) -> dict[str, list[str | None]]:
        """The ends of each call: one, if all is well."""
        found: dict[str, list[str | None]] = {str(row.call_id): [] for row in self.rows if row.call_id}
        for row in self.rows:
            if row.final:
                found[str(row.call_id)].append(row.status)
        return found


FULL_DISK = StoreUnavailable("disk full")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)
