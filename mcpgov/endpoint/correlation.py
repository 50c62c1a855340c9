"""Correlation ids: 128 bits each from the system's own source, drawn many at a time.

Asking the system for each would give up the interpreter's lock at every call, and whoever takes it may keep it for
milliseconds. Rules: no id is given twice, nor drawn before a fork and given on both sides of it.
"""

from __future__ import annotations

import os
from typing import Final

SIZE: Final = 16  # bytes
DRAWN: Final = 256  # at a time


class CorrelationIds:
    """The ids of one gateway. Not for threads."""

    __slots__ = ("_drawn", "_process")

    def __init__(self) -> None:
        self._drawn: list[str] = []
        self._process = 0

    def next(self) -> str:
        """A new one, in 32 hex digits."""
        process = os.getpid()
        if not self._drawn or process != self._process:
            digits, self._process = os.urandom(SIZE * DRAWN).hex(), process
            self._drawn = [digits[at : at + 2 * SIZE] for at in range(0, len(digits), 2 * SIZE)]
        return self._drawn.pop()
