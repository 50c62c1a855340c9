"""What nobody waits for, kept back for a moment so that it shares the commit of what somebody waits for.

The moment is counted from the first that is kept back, and is over early when the rest is taken. There is one timer,
which is not stopped and begun again with every call: where it comes too early, it waits for the rest of the time.
For one event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

T = TypeVar("T")


class Lingering(Generic[T]):
    """`due` is called, in the loop, when the first of what is kept back has been here for `seconds`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, due: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._due = due
        self._kept: list[T] = []
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, one: T) -> None:
        """Keep something back."""
        if not self._kept:
            self._until = self._loop.time() + self._seconds
            if self._timer is None:
                self._timer = self._loop.call_at(self._until, self._look)
        self._kept.append(one)

    def taken(self) -> list[T]:
        """Everything that is kept back, in the order in which it came; it is no longer."""
        kept, self._kept = self._kept, []
        return kept

    def _look(self) -> None:
        self._timer = None
        if self._kept and self._until > self._loop.time():
            self._timer = self._loop.call_at(self._until, self._look)
        elif self._kept:
            self._due()
