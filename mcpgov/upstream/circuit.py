"""When calls to an upstream that does not answer are refused at once instead of waiting. Pure: `now` is an argument.

Rules: it opens when so many requests in a row got no answer at all (no connection, a connection that broke, nothing in
time); any answer, an error too, shuts it. While it is open nothing is sent for a pause; then one request is let
through, and what becomes of that decides. A caller that left has proved nothing. Refuses to know: whose calls they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Self

from mcpgov.frozen import frozen

ENOUGH: Final = 10  # requests in a row without an answer
FIRST_PAUSE: Final = 5.0  # seconds
LONGEST_PAUSE: Final = 60.0  # seconds
DOUBLINGS: Final = 8  # more would make no longer pause, and in the end no number
ONE_IS_TRYING: Final = 1.0  # seconds that the others are told to wait


@frozen
class Circuit:
    """What is known of one upstream: failures in a row, when the next request may go, and whether one is trying."""

    failures: int = 0
    not_before: float = 0.0
    trying: bool = False

    @property
    def is_open(self) -> bool:
        """Whether requests are refused."""
        return self.failures >= ENOUGH

    def wait(self, now: float) -> float:
        """The seconds that a request has to wait; 0 where it may go."""
        if not self.is_open:
            return 0.0
        return ONE_IS_TRYING if self.trying else max(0.0, self.not_before - now)

    def tried(self) -> Self:
        """A request goes."""
        return replace(self, trying=self.is_open)

    def left(self) -> Self:
        """The request that tried ended, and nobody knows how it would have."""
        return replace(self, trying=False)

    def failed(self, now: float) -> Self:
        """A request got no answer. Those that were on their way when it opened make it no longer."""
        if self.is_open and not self.trying:
            return self
        failures = self.failures + 1
        doubled = min(max(0, failures - ENOUGH), DOUBLINGS)
        pause = min(FIRST_PAUSE * 2.0**doubled, LONGEST_PAUSE)
        return replace(self, failures=failures, not_before=now + pause, trying=False)
