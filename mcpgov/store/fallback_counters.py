"""Counters for when the shared ones are down: this process counts alone until they are back.

What it costs: while it lasts, each gateway admits up to the whole limit by itself. An outage is told once, and its end;
the shared counters are tried again at most once in `RETRY` seconds, by one call, while the others are counted here.
Whoever chose this chose not to wait: an answer that takes longer than `PATIENCE` is an outage, also where it is our own
burst of calls that takes so long. What was asked may have been counted there as well, which only ever refuses.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcpgov.decision import Spend, Spent
    from mcpgov.limiter import Counters

RETRY: Final = 0.5  # seconds
PATIENCE: Final = 0.07  # seconds, for a free connection, connecting and the answer together
LOCAL: Final = "local:"  # begins the receipt of what was taken here


class FallbackCounters:
    """`primary`, and `local` while that is down. `clock` gives seconds that only grow, `patience` is in seconds."""

    def __init__(
        self, primary: Counters, local: Counters, clock: Callable[[], float], *, patience: float | None = None
    ) -> None:
        self._primary = primary
        self._local = local
        self._clock = clock
        self._patience = PATIENCE if patience is None else patience
        self._down = False
        self._try_at = 0.0  # while it is down

    async def spend(self, key: str, spend: Spend, now: float, /) -> Spent:
        """Take the count if all of it fits. Raises StoreUnavailable when `local` has no room for another key."""
        if self._worth_trying():
            try:
                async with self._in_time():
                    spent = await self._primary.spend(key, spend, now)
            except StoreUnavailable as error:
                self._failed(error)
            else:
                self._worked()
                return spent
        spent = await self._local.spend(key, spend, now)
        return replace(spent, receipt=LOCAL + spent.receipt) if spent.receipt else spent

    async def refund(self, key: str, spend: Spend, spent: Spent, now: float, /) -> None:
        """Give back what was taken, where it was taken. Raises StoreUnavailable."""
        if spent.receipt.startswith(LOCAL):
            taken = replace(spent, receipt=spent.receipt.removeprefix(LOCAL))
            await self._local.refund(key, spend, taken, now)
        else:
            async with self._in_time():
                await self._primary.refund(key, spend, spent, now)

    async def charge(self, key: str, spend: Spend, amount: int, now: float, /) -> None:
        """Add to a fixed window whatever is there. Raises StoreUnavailable when `local` has no room for another key."""
        if self._worth_trying():
            try:
                async with self._in_time():
                    await self._primary.charge(key, spend, amount, now)
            except StoreUnavailable as error:
                self._failed(error)
            else:
                self._worked()
                return
        await self._local.charge(key, spend, amount, now)

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        """Whatever is asked of `primary`, for as long as it is waited for. Raises StoreUnavailable."""
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"the shared counters gave no answer within {self._patience:g} s") from None

    def _worth_trying(self) -> bool:
        """Whether to ask `primary`. While it is down, the one who may is the only one until the next time."""
        if not self._down:
            return True
        now = self._clock()
        if now < self._try_at:
            return False
        self._try_at = now + RETRY
        return True

    def _failed(self, error: StoreUnavailable) -> None:
        if not self._down:
            structlog.get_logger().warning("counters-local", error=str(error))
            self._down = True
            self._try_at = self._clock() + RETRY

    def _worked(self) -> None:
        if self._down:
            structlog.get_logger().info("counters-recovered")
            self._down = False
