"""Counters in this process's memory: exact, and gone when the process ends.

A sliding window keeps the time of everything that was taken until it leaves, so no window of `period` seconds ever
holds more than `calls`. A fixed window is one number. Memory is bounded: at most `calls` times for each key, a window
is dropped when nothing is left in it, and when there are too many keys a new one is refused. Forgetting one instead
would let its caller begin afresh.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from mcpgov.decision import Spent
from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from mcpgov.decision import Spend

MAX_KEYS: Final = 100_000  # of each kind


class Window(Protocol):
    """What is counted under one key."""

    @property
    def idle_at(self) -> float:
        """When nothing will be left in it, unless more is taken."""
        ...

    def spend(self, spend: Spend, now: float) -> Spent:
        """Take the count if it fits."""
        ...

    def refund(self, count: int, receipt: str) -> None:
        """Give back what `receipt` names, if it is still there."""
        ...


W = TypeVar("W", bound=Window)


class MemoryCounters:
    """The counters of one process. Not for threads: the event loop is the only one to spend."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._sliding = Windows[SlidingWindow](max_keys)
        self._fixed = Windows[FixedWindow](max_keys)

    async def spend(self, key: str, spend: Spend, now: float, /) -> Spent:
        """Take the count if all of it fits. Raises StoreUnavailable when there are too many keys."""
        if spend.fixed:
            return self._fixed.spend(key, self._fixed.find(key, now) or FixedWindow.at(now, spend), spend, now)
        return self._sliding.spend(key, self._sliding.find(key, now) or SlidingWindow(), spend, now)

    async def refund(self, key: str, spend: Spend, spent: Spent, now: float, /) -> None:
        """Give back what was taken, unless it has left its window."""
        window = self._fixed.find(key, now) if spend.fixed else self._sliding.find(key, now)
        if window is not None:
            window.refund(spend.count, spent.receipt)

    async def charge(self, key: str, spend: Spend, amount: int, now: float, /) -> None:
        """Add to a fixed window whatever is there. Raises StoreUnavailable when there are too many keys."""
        window = self._fixed.find(key, now) or FixedWindow.at(now, spend)
        self._fixed.keep(key, window)
        window.used += amount

    def __len__(self) -> int:
        return len(self._sliding) + len(self._fixed)


class Windows(Generic[W]):
    """The windows of one kind, all on one clock."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._windows: dict[str, W] = {}
        self._idle: list[tuple[float, str]] = []  # a heap: when each key may have become idle, looked at again then

    def find(self, key: str, now: float) -> W | None:
        """The window of `key`, if something may be in it."""
        while self._idle and self._idle[0][0] <= now:
            _, idle = heapq.heappop(self._idle)
            if self._windows[idle].idle_at > now:
                heapq.heappush(self._idle, (self._windows[idle].idle_at, idle))
            else:
                del self._windows[idle]
        return self._windows.get(key)

    def spend(self, key: str, window: W, spend: Spend, now: float) -> Spent:
        """Spend in a window, and keep it if something was taken. Raises StoreUnavailable when there are too many."""
        spent = window.spend(spend, now)
        if spent.receipt:
            self.keep(key, window)
        return spent

    def keep(self, key: str, window: W) -> None:
        """Keep a window. Raises StoreUnavailable when it is new and there are too many."""
        if key in self._windows:
            return
        if len(self._windows) >= self._max_keys:
            raise StoreUnavailable(f"more than {self._max_keys} counters are in use")
        heapq.heappush(self._idle, (window.idle_at, key))
        self._windows[key] = window

    def __len__(self) -> int:
        return len(self._windows)


class SlidingWindow:
    """What was taken in the last `period` seconds: when each count leaves, the next one first."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int]] = deque()
        self._used = 0

    @property
    def idle_at(self) -> float:
        """When the last count leaves."""
        return self._entries[-1][0] if self._entries else -math.inf

    def spend(self, spend: Spend, now: float) -> Spent:
        """Take the count if it fits. The receipt is when it leaves: two counts that leave together are alike."""
        while self._entries and self._entries[0][0] <= now:
            self._used -= self._entries.popleft()[1]
        needed, room = max(spend.count, 1), spend.calls - self._used
        whole = math.ceil(self.idle_at - now) if self._entries else 0
        if needed > room:
            return denied(spend, room, whole, self._wait(needed, spend, now))
        if not spend.count:
            return allowed(spend, room, whole, "")
        leaves = now + spend.period
        self._entries.append((leaves, spend.count))
        self._used += spend.count
        return allowed(spend, room, spend.period, repr(leaves))

    def refund(self, count: int, receipt: str) -> None:
        """Give back one count that leaves when the receipt says."""
        entry = (float(receipt), count)
        at = bisect_left(self._entries, entry[0], key=itemgetter(0))
        while at < len(self._entries) and self._entries[at][0] == entry[0]:
            if self._entries[at] == entry:
                del self._entries[at]
                self._used -= count
                return
            at += 1

    def _wait(self, needed: int, spend: Spend, now: float) -> int:
        """Seconds until so much has left that there is room; the period where there never will be."""
        used = self._used
        for leaves, count in self._entries if needed <= spend.calls else ():
            used -= count
            if used + needed <= spend.calls:
                return math.ceil(leaves - now)
        return spend.period


class FixedWindow:
    """What was taken until the window ends: in seconds since 1970, or never."""

    def __init__(self, ends: float) -> None:
        self.used = 0
        self._ends = ends

    @classmethod
    def at(cls, now: float, spend: Spend) -> FixedWindow:
        """The window that `now` falls into."""
        if not spend.period:
            return cls(math.inf)
        return cls(spend.starts + ((now - spend.starts) // spend.period + 1) * spend.period)

    @property
    def idle_at(self) -> float:
        """When it ends."""
        return self._ends

    def spend(self, spend: Spend, now: float) -> Spent:
        """Take the count if it fits. The receipt is when the window ends."""
        needed, room = max(spend.count, 1), spend.calls - self.used
        wait = math.ceil(self._ends - now) if spend.period else 0
        if needed > room:
            return denied(spend, room, wait, wait)
        self.used += spend.count
        return allowed(spend, room, wait, repr(self._ends) if spend.count else "")

    def refund(self, count: int, receipt: str) -> None:
        """Give the count back, if this is still the window that it was taken from."""
        if receipt == repr(self._ends):
            self.used = max(self.used - count, 0)


def allowed(spend: Spend, room: int, reset: int, receipt: str) -> Spent:
    """The count was taken out of `room`."""
    return Spent(allowed=True, limit=spend.calls, remaining=room - spend.count, reset=reset, receipt=receipt)


def denied(spend: Spend, room: int, reset: int, wait: int) -> Spent:
    """Nothing was taken. A charge may have left less than no room."""
    return Spent(allowed=False, limit=spend.calls, remaining=max(room, 0), reset=reset, retry_after=wait)
