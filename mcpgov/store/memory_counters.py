"""Sliding windows in this process's memory: exact, and gone when the process ends.

The time of every admitted call is kept until it leaves its window, so no window of `period` seconds ever holds more
than `calls`. Memory is bounded: at most `calls` times for each key, idle keys are dropped, and when there are too many
keys a new one is refused. Forgetting one instead would let its caller begin afresh.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import Final

from mcpgov.decision import Spent
from mcpgov.errors import StoreUnavailable

MAX_KEYS: Final = 100_000


class MemoryCounters:
    """The counters of one process. Not for threads: the event loop is the only one to spend."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._windows: dict[str, deque[float]] = {}  # when each admitted call leaves its window, the next one first
        self._idle: list[tuple[float, str]] = []  # a heap: when each key may have become idle, looked at again then

    async def spend(self, key: str, calls: int, period: int, now: float) -> Spent:
        """Count once against `key` if fewer than `calls` were counted in the last `period` seconds.

        Raises StoreUnavailable when there are too many keys.
        """
        self._drop_idle(now)
        window = self._windows.get(key)
        if window is None:
            window = self._open(key, now + period)
        while window and window[0] <= now:
            window.popleft()
        if len(window) >= calls:
            return Spent(
                allowed=False,
                limit=calls,
                remaining=0,
                reset=math.ceil(window[-1] - now),
                retry_after=math.ceil(window[0] - now),
            )
        window.append(now + period)
        return Spent(allowed=True, limit=calls, remaining=calls - len(window), reset=period)

    def __len__(self) -> int:
        return len(self._windows)

    def _open(self, key: str, idle_at: float) -> deque[float]:
        if len(self._windows) >= self._max_keys:
            raise StoreUnavailable(f"more than {self._max_keys} counters are in use")
        heapq.heappush(self._idle, (idle_at, key))
        return self._windows.setdefault(key, deque())

    def _drop_idle(self, now: float) -> None:
        while self._idle and self._idle[0][0] <= now:
            _, key = heapq.heappop(self._idle)
            if self._windows[key][-1] > now:
                heapq.heappush(self._idle, (self._windows[key][-1], key))
            else:
                del self._windows[key]
