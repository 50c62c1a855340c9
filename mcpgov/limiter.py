"""Spends the limits that policies ask for, in whatever counts them.

Decides nothing: a counter that cannot be reached refuses the call (counters-unavailable), because a call that was not
counted cannot be known to be within its limit. The clock is given; it must never run backwards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.decision import Spend, Spent

MAX_KEY: Final = 128  # characters; a longer key, which a caller may have written, is stored as its digest


class Counters(Protocol):
    """Sliding windows: what may be spent at most `calls` times in any `period` seconds."""

    async def spend(self, key: str, calls: int, period: int, now: float) -> Spent:
        """Count once against `key` if there is room, `now` in seconds of a clock. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Limiter:
    """The pipeline's limiter. `clock` gives seconds that only grow."""

    counters: Counters
    clock: Callable[[], float]

    async def spend(self, effect: Spend) -> Spent:
        """Count once against the effect's limit. Raises Refusal (counters-unavailable)."""
        # One key value, one counter, whatever rule names it; other calls or another period make it another counter.
        key = f"{effect.calls}/{effect.period}/{effect.key}"
        if len(key) > MAX_KEY:
            key = f"sha256/{hashlib.sha256(key.encode()).hexdigest()}"
        try:
            return await self.counters.spend(key, effect.calls, effect.period, self.clock())
        except StoreUnavailable as error:
            message = "The call could not be counted against its limit."
            raise Refusal(Reason.COUNTERS_UNAVAILABLE, message, detail=str(error)) from error
