"""How many bytes of requests and answers are held at once: one budget for this process.

Bodies count as they are read, until their call has ended; answers that are held whole, and events that are not yet
complete, as they come. Rules: what goes beyond it is refused at once (overloaded) and given back on every exit; no
caller holds more than half (concurrency-limited). Bytes announced are not bytes held: who only announces takes nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Generator

MOST: Final = 512 << 20
TOLD: Final = (("Retry-After", "1"),)


class Buffers:
    """What is held, by caller."""

    def __init__(self, most: int = MOST) -> None:
        """`most` is in bytes."""
        self._most = most
        self._held: dict[str, int] = {}
        self._all = 0

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return self._all

    @property
    def holders(self) -> int:
        """How many callers hold any."""
        return len(self._held)

    def hold(self, caller: str) -> Held:
        """Nothing yet, of the caller with this id. Whoever asks for it gives it back."""
        return Held(self, caller)

    @contextmanager
    def holding(self, caller: str) -> Generator[Held]:
        """The same, given back on leaving."""
        held = self.hold(caller)
        try:
            yield held
        finally:
            held.give_back()

    def change(self, caller: str, more: int) -> None:
        """Take, or give back, so many bytes. Raises Refusal where there are none left to take."""
        held = self._held.get(caller, 0) + more
        if more > 0 and held > self._most // 2:
            message = "The requests and answers that you have under way are too large together. Try again."
            raise Refusal(Reason.CONCURRENCY_LIMITED, message, headers=TOLD)
        if more > 0 and self._all + more > self._most:
            message = "The requests and answers under way are too large together. Try again."
            raise Refusal(Reason.OVERLOADED, message, headers=TOLD)
        self._all += more
        if held:
            self._held[caller] = held
        else:
            self._held.pop(caller, None)


class Held:
    """What one request, or its answer, holds."""

    __slots__ = ("_buffers", "_caller", "_size")

    def __init__(self, buffers: Buffers, caller: str) -> None:
        self._buffers = buffers
        self._caller = caller
        self._size = 0

    def now(self, size: int) -> None:
        """So many bytes are held by now. Raises Refusal (overloaded, concurrency-limited); then nothing has changed."""
        if size != self._size:
            self._buffers.change(self._caller, size - self._size)
            self._size = size

    def give_back(self) -> None:
        """Nothing is held any more."""
        self.now(0)
