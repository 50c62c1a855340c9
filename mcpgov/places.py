"""How many requests may be under way at once: in all, of one caller, and of one caller at one connection.

Rules: one too many is refused before a policy is asked, a credential fetched or anything sent, and never waits. Above a
caller's own bound it is 429, above that of all callers 503, each with Retry-After. No caller has more than half of what
all share, nor of one upstream's places, so one that holds all it can leaves room for the others. A stream that only
listens (GET, subscriptions/listen) stays open for as long as the client likes and is counted apart from calls. What
answers or cancels something (notifications, responses, the end of a session) never waits for a call to end, which may
wait for it: it is counted apart, and one caller has few of an upstream's places for it.
In this process's memory: each worker counts alone. What all have open at one upstream its pool bounds (forward.py).
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import listens
from mcpgov.models import Kind

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.models import Connection, MCPRequest, Principal

    Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Most:
    """The most that there may be at once; `streams_per_caller` is on one connection."""

    calls: int = 4000
    calls_per_caller: int = 500
    calls_per_upstream: int = 1000
    streams: int = 10_000
    streams_per_caller: int = 64  # a key that several agents share has one for each session


@dataclass(frozen=True, slots=True)
class Bound:
    """The most of what is counted under a key, and what is said to one more."""

    key: Key
    most: int
    reason: Reason
    message: str
    wait: str = "1"  # seconds


class Places:
    """Those that are taken, by what they are and whose; /mcp, which has no connection, counts as one."""

    def __init__(self, most: Most | None = None) -> None:
        self._most = most or Most()
        self._taken: Counter[Key] = Counter()

    @property
    def taken(self) -> int:
        """How many keys are counted under: 0 when nothing is under way."""
        return len(self._taken)

    @contextmanager
    def place(self, request: MCPRequest, connection: Connection, principal: Principal) -> Generator[None]:
        """A place until the request has ended. Raises Refusal: concurrency-limited (the caller's own), overloaded."""
        bounds = self._bounds(request, connection, principal)
        for bound in bounds:
            if self._taken[bound.key] >= bound.most:
                raise Refusal(bound.reason, bound.message, headers=(("Retry-After", bound.wait),))
        keys = [bound.key for bound in bounds]
        self._taken.update(keys)
        try:
            yield
        finally:
            self._taken.subtract(keys)
            for key in keys:
                if not self._taken[key]:
                    del self._taken[key]

    def _bounds(self, request: MCPRequest, connection: Connection, principal: Principal) -> tuple[Bound, ...]:
        """What bounds this request; the caller's own first, for that is what it can mend."""
        if listens(request):
            return self._of_streams(connection, principal)
        of_kind = self._of_calls if request.kind is Kind.REQUEST else self._of_words
        return of_kind(connection, principal)

    def _of_calls(self, connection: Connection, principal: Principal) -> tuple[Bound, ...]:
        most = self._most
        own = min(most.calls_per_caller, share(most.calls))
        at_one = min(own, share(most.calls_per_upstream)) if connection.name else own
        return (
            _own(("calls", principal.id, connection.name), at_one, "calls of one caller may be open here"),
            _own(("calls", principal.id), own, "calls of one caller may be open"),
            Bound(("calls",), most.calls, Reason.OVERLOADED, "Too many calls are under way. Try again."),
        )

    def _of_streams(self, connection: Connection, principal: Principal) -> tuple[Bound, ...]:
        most = self._most
        own = share(most.streams)
        at_one = min(own, most.streams_per_caller)
        if connection.name:  # streams have half of an upstream's places
            at_one = min(at_one, share(share(most.calls_per_upstream)))
        return (
            _own(("streams", principal.id, connection.name), at_one, "streams of one caller may be open here", "5"),
            _own(("streams", principal.id), own, "streams of one caller may be open", "5"),
            Bound(("streams",), most.streams, Reason.OVERLOADED, "Too many streams are open. Try again.", "5"),
        )

    def _of_words(self, connection: Connection, principal: Principal) -> tuple[Bound, ...]:
        most = self._most
        own = share(most.calls)
        at_one = min(own, share(share(most.calls_per_upstream))) if connection.name else own
        return (
            _own(("words", principal.id, connection.name), at_one, "notifications of one caller may be open here"),
            _own(("words", principal.id), own, "notifications of one caller may be open"),
            Bound(("words",), most.calls, Reason.OVERLOADED, "Too many notifications are under way. Try again."),
        )


def share(of_all: int) -> int:
    """What one caller may have of what all share: half of it, and one at least."""
    return max(1, of_all // 2)


def _own(key: Key, most: int, what: str, wait: str = "1") -> Bound:
    return Bound(key, most, Reason.CONCURRENCY_LIMITED, f"Only {most} {what}. Try again when one has ended.", wait)
