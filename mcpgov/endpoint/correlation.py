"""Correlation ids: 32 bits of time and 96 from the system's own source, drawn many at a time.

Asking the system for each would give up the interpreter's lock at every call, and whoever takes it may keep it for
milliseconds. They begin with the second in which they were drawn, as trace ids of AWS X-Ray do, so that an index of
them grows at its end: where they were random throughout, each record wrote two pages of its own (decision 0036). W3C
Trace Context asks for the last 56 bits to be random (level 2, section 3.2.2.3). Nothing reads the time in them.
Rules: no id is given twice, nor drawn before a fork and given on both sides of it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

RANDOM: Final = 12  # bytes
DRAWN: Final = 256  # at a time


class CorrelationIds:
    """The ids of one gateway. `clock` gives seconds since 1970. Not for threads."""

    __slots__ = ("_clock", "_drawn", "_process")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._drawn: list[str] = []
        self._process = 0

    def next(self) -> str:
        """A new one, in 32 hex digits."""
        process = os.getpid()
        if not self._drawn or process != self._process:
            begin, digits = f"{int(self._clock()) & 0xFFFF_FFFF:08x}", os.urandom(RANDOM * DRAWN).hex()
            self._drawn = [begin + digits[at : at + 2 * RANDOM] for at in range(0, len(digits), 2 * RANDOM)]
            self._process = process
        return self._drawn.pop()
