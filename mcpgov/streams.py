"""How many streams one caller may have open on one connection.

A stream is a GET, or subscriptions/listen: it stays open for as long as the client likes, and does nothing. Rule: one
more is refused before anything is sent, and touches neither what this caller calls nor what others do. In this
process's memory: each worker counts alone. What all callers together may have is the upstream's bound (forward.py).
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import listens

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.models import Connection, MCPRequest, Principal

OF_ONE: Final = 64  # a key that several agents share has one for each session


class Streams:
    """Those that are open, by caller and connection; /mcp, which has no connection, counts as one."""

    def __init__(self, of_one: int = OF_ONE) -> None:
        self._of_one = of_one
        self._open: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def place(self, request: MCPRequest, connection: Connection, principal: Principal) -> Generator[None]:
        """A place for a stream, until it ends; what is no stream needs none. Raises Refusal (concurrency-limited)."""
        if not listens(request):
            yield
            return
        key = (principal.id, connection.name)
        if self._open[key] >= self._of_one:
            message = f"Only {self._of_one} streams of one caller may be open here. Try again when one has ended."
            raise Refusal(Reason.CONCURRENCY_LIMITED, message, headers=(("Retry-After", "5"),))
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
