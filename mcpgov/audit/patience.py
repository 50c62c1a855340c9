"""How long one who waits for a store is left without an answer: one timer for all who wait, whatever their number.

Whoever waits longest was first, because all have the same patience; so the timer is only ever that of the first, and
those who were answered meanwhile cost nothing more. For one event loop.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Patience:
    """`silent` is given, in the loop, each one who has waited for `seconds`, and answers that."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, silent: Callable[[asyncio.Future[None]], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._silent = silent
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def waiter(self) -> asyncio.Future[None]:
        """One more who waits, from now on. Those who were answered are let go of, up to the first who still waits."""
        self._forget()
        waiter: asyncio.Future[None] = self._loop.create_future()
        due = self._loop.time() + self._seconds
        self._waiting.append((due, waiter))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)
        return waiter

    def _forget(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()

    def _look(self) -> None:
        self._timer, now = None, self._loop.time()
        self._forget()
        while self._waiting and self._waiting[0][0] <= now:
            self._silent(self._waiting[0][1])
            self._forget()
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._look)
