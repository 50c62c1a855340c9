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

from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.messages import listens
from mcpgov.models import Kind

if TYPE_CHECKING:
    from mcpgov.models import Connection, MCPRequest, Principal

    Key = tuple[str, ...]


@frozen
class Most:
    """The most that there may be at once; `streams_per_caller` is on one connection."""

    calls: int = 4000
    calls_per_caller: int = 500
    calls_per_upstream: int = 1000
    streams: int = 10_000
    streams_per_caller: int = 64  # a key that several agents share has one for each session


@frozen
class Sort:
    """What is counted together: at most so many of one caller at one connection (`here`), at the aggregate, which has
    none (`there`), in all (`own`); and of everybody (`most`). `name` is the word for several of them.
    """

    name: str
    here: int
    there: int
    own: int
    most: int
    wait: str = "1"  # seconds

    def crowded(self, most: int, where: str) -> Refusal:
        """What one more of a caller is told who has `most` of them open."""
        message = f"Only {most} {self.name} of one caller may be open{where}. Try again when one has ended."
        return Refusal(Reason.CONCURRENCY_LIMITED, message, headers=(("Retry-After", self.wait),))

    def full(self) -> Refusal:
        """What one more is told where all places are taken."""
        state = "open" if self.name == "streams" else "under way"
        message = f"Too many {self.name} are {state}. Try again."
        return Refusal(Reason.OVERLOADED, message, headers=(("Retry-After", self.wait),))


class Places:
    """Those that are taken, by what they are and whose; /mcp, which has no connection, counts as one."""

    def __init__(self, most: Most | None = None) -> None:
        most = most or Most()
        own, streams, words = min(most.calls_per_caller, share(most.calls)), share(most.streams), share(most.calls)
        of_upstream = share(most.calls_per_upstream)
        there = min(streams, most.streams_per_caller)
        self._calls = Sort("calls", min(own, of_upstream), own, own, most.calls)
        self._streams = Sort("streams", min(there, share(of_upstream)), there, streams, most.streams, "5")
        self._words = Sort("notifications", min(words, share(of_upstream)), words, words, most.calls)
        self._taken: dict[Key, int] = {}

    @property
    def taken(self) -> int:
        """How many keys are counted under: 0 when nothing is under way."""
        return len(self._taken)

    def place(self, request: MCPRequest, connection: Connection, principal: Principal) -> Place:
        """A place until the request has ended. Entering raises Refusal: concurrency-limited (the caller's own bounds,
        which are looked at first, for that is what it can mend), overloaded.
        """
        of_kind = self._calls if request.kind is Kind.REQUEST else self._words
        sort = self._streams if listens(request) else of_kind
        return Place(self._taken, sort, principal.id, connection.name)


class Place:
    """One request's place."""

    __slots__ = ("_all", "_at_one", "_connection", "_own", "_sort", "_taken")

    def __init__(self, taken: dict[Key, int], sort: Sort, caller: str, connection: str) -> None:
        self._taken = taken
        self._sort = sort
        self._connection = connection
        self._at_one = (sort.name, caller, connection)
        self._own = (sort.name, caller)
        self._all = (sort.name,)

    def __enter__(self) -> None:
        taken, sort = self._taken, self._sort
        at_one, own, every = taken.get(self._at_one, 0), taken.get(self._own, 0), taken.get(self._all, 0)
        here = sort.here if self._connection else sort.there
        if at_one >= here:
            raise sort.crowded(here, " here")
        if own >= sort.own:
            raise sort.crowded(sort.own, "")
        if every >= sort.most:
            raise sort.full()
        taken[self._at_one], taken[self._own], taken[self._all] = at_one + 1, own + 1, every + 1

    def __exit__(self, *_: object) -> None:
        for key in (self._at_one, self._own, self._all):
            left = self._taken[key] - 1
            if left:
                self._taken[key] = left
            else:
                del self._taken[key]


def share(of_all: int) -> int:
    """What one caller may have of what all share: half of it, and one at least."""
    return max(1, of_all // 2)
