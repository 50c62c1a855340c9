"""Whether the servers behind remote connections are there: each is asked for its tools by and by, as mcpgov:probe.

Rules: asked by tools/list and never by a ping, which a server answers that can do nothing; through govern(), as every
call, and recorded as one; each connection for itself and for a bounded time, so that one that hangs keeps no other
waiting. What our own policies refuse a probe, and what only people may do, says nothing of the server: not known. A
change is in the ledger before it is shown. Refuses to know: what anybody makes of it; no call is refused for it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from mcpgov.audit.control_events import ControlEvent
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import RemoteUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from datetime import datetime

    from mcpgov.models import Connection
    from mcpgov.probe import ProbeResult

PATIENCE: Final = 30.0  # seconds for one probe
TOGETHER: Final = 8  # probes at a time
NO_TOOLS: Final = frozenset({"no-tools", "tools-wait"})
FOR_PEOPLE: Final = frozenset({"user-required", "upstream-consent-required", "unknown-connection"})
OURS: Final = frozenset(reason.value for reason in Reason if not reason.startswith("upstream-")) - {
    Reason.CREDENTIAL_UNAVAILABLE.value
}  # what the gateway itself says no with; a server that we cannot sign in to is no use to anybody


class State(StrEnum):
    """What is known of a server."""

    UNKNOWN = "unknown"
    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"
    NO_TOOLS = "no-tools"  # it answers, and none is shown


@frozen
class ConnectionHealth:
    """The state of a connection, the short name and the words of what is wrong, and since when it is so."""

    state: State = State.UNKNOWN
    problem: str = ""
    why: str = ""
    since: datetime | None = None


NOTHING_KNOWN: Final = ConnectionHealth()


class Prober(Protocol):
    """Proves connections."""

    async def test(self, connection: str) -> ProbeResult:
        """Prove one, as mcpgov:probe. Raises nothing that goes wrong."""
        ...


class Note(Protocol):
    """Writes down what happened to the gateway."""

    def __call__(self, event: ControlEvent, /, **details: str | int) -> Awaitable[None]:
        """Write it down. Raises StoreUnavailable."""
        ...


class Health:
    """What is known of each remote connection. `connections` are those in force."""

    def __init__(
        self, connections: Callable[[], Mapping[str, Connection]], note: Note, now: Callable[[], datetime]
    ) -> None:
        self._connections = connections
        self._note = note
        self._now = now
        self._known: dict[str, tuple[Connection, ConnectionHealth]] = {}
        self._down: set[str] = set()  # of which the ledger says that they are unavailable

    def of(self, name: str) -> ConnectionHealth:
        """What is known of a connection; nothing of one that was changed since it was asked."""
        asked, found = self._known.get(name, (None, NOTHING_KNOWN))
        return found if asked == self._connections().get(name) else NOTHING_KNOWN

    def available(self) -> Mapping[str, bool]:
        """Whether each connection is available, as far as that is known."""
        states = {name: self.of(name).state for name in self._known}
        return {name: state is not State.UNAVAILABLE for name, state in states.items() if state is not State.UNKNOWN}

    async def look(self, prober: Prober) -> None:
        """Ask every server that can be asked, once."""
        remote = {name: one for name, one in self._connections().items() if isinstance(one.upstream, RemoteUpstream)}
        for gone in self._known.keys() - remote.keys():
            del self._known[gone]
            self._down.discard(gone)
        slots = asyncio.Semaphore(TOGETHER)

        async def ask(name: str, connection: Connection) -> None:
            async with slots:
                await self._take(connection, await prober.test(name))

        async with asyncio.TaskGroup() as tasks:
            for name, connection in remote.items():
                if self.of(name).problem not in FOR_PEOPLE:  # nothing else would come of it
                    tasks.create_task(ask(name, connection))

    async def _take(self, connection: Connection, result: ProbeResult) -> None:
        """Keep what was found, once a change is written down; if it cannot be, the next round tries again."""
        name, found = connection.name, judged(result)
        before = self.of(name)
        changed = (found.state, found.problem) != (before.state, before.problem)
        try:
            await self._record(name, found)
        except StoreUnavailable as error:
            structlog.get_logger().warning("connection-change-not-recorded", connection=name, error=str(error))
            return
        if changed and found.state is State.NO_TOOLS:
            structlog.get_logger().warning("connection-without-tools", connection=name)
        self._known[name] = connection, replace(found, since=self._now() if changed else before.since)

    async def _record(self, name: str, found: ConnectionHealth) -> None:
        """Write down that a connection went, or came back. Raises StoreUnavailable."""
        log = structlog.get_logger()
        if found.state is State.UNAVAILABLE and name not in self._down:
            details = {"connection": name, "problem": found.problem, "why": found.why}
            await self._note(ControlEvent.CONNECTION_UNAVAILABLE, **details)
            self._down.add(name)
            log.warning("connection-unavailable", **details)
        elif found.state in {State.AVAILABLE, State.NO_TOOLS} and name in self._down:
            await self._note(ControlEvent.CONNECTION_AVAILABLE, connection=name)
            self._down.discard(name)
            log.info("connection-available", connection=name)


def judged(result: ProbeResult) -> ConnectionHealth:
    """What a probe says of the server."""
    problem = result.problem
    if problem is None:
        return ConnectionHealth(State.AVAILABLE)
    state = State.UNAVAILABLE
    if problem.name in NO_TOOLS:
        state = State.NO_TOOLS
    elif problem.name in FOR_PEOPLE | OURS:
        state = State.UNKNOWN
    return ConnectionHealth(state, problem.name, problem.what)


def every(seconds: float | None) -> Callable[[], Awaitable[None]] | None:
    """What waits for so long; None where servers are never asked."""
    if seconds is None:
        return None

    async def pause() -> None:
        await asyncio.sleep(seconds)

    return pause


@asynccontextmanager
async def asking(health: Health, prober: Prober, pause: Callable[[], Awaitable[object]] | None) -> AsyncGenerator[None]:
    """Ask after every pause, beside the gateway; never where there is none."""
    if pause is None:
        yield
        return

    async def run() -> None:
        while True:
            await pause()
            await health.look(prober)

    looking = asyncio.create_task(run())
    looking.add_done_callback(told_if_it_fails)
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})  # a defect was logged, and must not keep the gateway from ending


def told_if_it_fails(task: asyncio.Task[None]) -> None:
    """Say so when servers are no longer asked."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("health-no-longer-asked", exc_info=failure)
