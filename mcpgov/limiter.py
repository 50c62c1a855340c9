"""Spends the limits that policies ask for, in whatever counts them.

Decides nothing: a counter that cannot be reached refuses the call (counters-unavailable), because a call that was not
counted cannot be known to be within its limit. What is settled when the call is over (a refund, a charge) comes too
late to refuse anything: where it fails, the log says so. The clocks are given; `clock` must never run backwards.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.decision import Refund, Spend, Spent

MAX_KEY: Final = 128  # characters; a longer key, which a caller may have written, is stored as its digest


class Counters(Protocol):
    """What is counted under a key: in sliding windows, or in fixed ones, which have keys of their own.

    `now` is in seconds: of a clock that only grows for a sliding window, since 1970 for a fixed one. Counters that many
    gateways share have a clock of their own, and no use for it.
    """

    async def spend(self, key: str, spend: Spend, now: float, /) -> Spent:
        """Take the whole count if all of it fits, else nothing. Raises StoreUnavailable.

        A count that is larger than the limit never fits; its `retry_after` is then that of an empty window.
        """
        ...

    async def refund(self, key: str, spend: Spend, spent: Spent, now: float, /) -> None:
        """Give back what was taken, unless it has left its window. Raises StoreUnavailable."""
        ...

    async def charge(self, key: str, spend: Spend, amount: int, now: float, /) -> None:
        """Take `amount` from a fixed window, whether it is there or not. Raises StoreUnavailable."""
        ...


@frozen
class Limiter:
    """The pipeline's limiter. `clock` gives seconds that only grow, `wall` seconds since 1970."""

    counters: Counters
    clock: Callable[[], float]
    wall: Callable[[], float]

    async def spend(self, effect: Spend) -> Spent:
        """Take the effect's count from its counter. Raises Refusal (counters-unavailable)."""
        try:
            return await self.counters.spend(_key(effect), effect, self._now(effect))
        except StoreUnavailable as error:
            message = "The call could not be counted against its limit."
            retry = (("Retry-After", "1"),)
            raise Refusal(Reason.COUNTERS_UNAVAILABLE, message, detail=str(error), headers=retry) from error

    async def refund(self, effect: Refund) -> None:
        """Give back what a spend took, if it took anything. Never fails: what cannot be given back stays counted."""
        spend, spent = effect.spend, effect.spent
        if not spent.receipt:
            return
        try:
            await self.counters.refund(_key(spend), spend, spent, self._now(spend))
        except StoreUnavailable as error:
            structlog.get_logger().warning("limit-not-refunded", error=str(error))

    async def charge(self, spend: Spend, amount: int) -> None:
        """Take `amount` from the fixed window of `spend`, whatever is left in it. Never fails: the call is over."""
        try:
            await self.counters.charge(_key(spend), spend, amount, self._now(spend))
        except StoreUnavailable as error:
            structlog.get_logger().warning("limit-not-charged", error=str(error))

    def _now(self, spend: Spend) -> float:
        return self.wall() if spend.fixed else self.clock()


def _key(spend: Spend) -> str:
    """One key value, one counter, whatever rule names it; other calls or another period make it another counter.

    The key's value comes last, and what stands before it is none of the caller's: no two keys can run together.
    """
    kind = f"fixed/{spend.starts}/" if spend.fixed else ""
    key = f"{kind}{spend.calls}/{spend.period}/{spend.key}"
    if len(key) > MAX_KEY:
        return f"sha256/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return key
