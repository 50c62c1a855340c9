"""Reads large messages of one upstream beside the loop, one at a time, so that it keeps nobody else waiting.

A message of a few megabytes can hold hundreds of thousands of values, and takes seconds to read. Rules: small ones are
read at once; a large one in a thread, and the next of the same upstream when that is done, also where its call has been
cancelled meanwhile: else an upstream and a client that leaves would have every thread there is. Refuses to know what is
read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LARGE: Final = 64 * 1024  # bytes from which on a message is read beside the loop


class Lane:
    """That of one upstream."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether something is being read."""
        return self._lock.locked()

    async def read(self, size: int, reading: Callable[[], T]) -> T:
        """What `reading` gives, or raises; `size` is in bytes."""
        if size < LARGE:
            return reading()
        await self._lock.acquire()
        work = asyncio.get_running_loop().run_in_executor(None, reading)
        work.add_done_callback(self._done)
        return await asyncio.shield(work)

    def _done(self, work: asyncio.Future[T]) -> None:
        self._lock.release()
        if not work.cancelled():
            work.exception()  # the call that it was for may be gone
