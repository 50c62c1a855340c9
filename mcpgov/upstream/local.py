"""Forwards to MCP servers that mcpgov starts itself and speaks to over stdio: Streamable HTTP in front, lines behind.

Rules: a HANDSHAKE client gets a process of its own, for its session is the process; STATELESS callers of one
connection share one. The number of processes is bounded. A session that nobody uses ends, one whose process dies is
unknown from then on (404: the client initializes again), and a connection that a reload removes ends when its last
call has.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.messages import listens
from mcpgov.models import Era, Kind, LocalUpstream
from mcpgov.upstream.bounds import require_place
from mcpgov.upstream.local_session import LocalSession
from mcpgov.upstream.local_shared import SharedServer
from mcpgov.upstream.mailbox import empty_answer
from mcpgov.upstream.stdio_process import StdioLimits, StdioProcess

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, MCPRequest

Key = tuple[str, LocalUpstream]
Taken = TypeVar("Taken")

KEPT_FOR_SHARED = 10  # one place in so many: however many sessions are opened, shared servers can still start


@frozen
class LocalLimits:
    """How many processes there may be, after how many seconds a session that nobody uses ends, and the most calls and
    streams open on one connection, of which at most half are streams.
    """

    processes: int = 100
    idle: float = 1800.0
    open_calls: int = 1000
    stdio: StdioLimits = field(default_factory=StdioLimits)


@dataclass(slots=True)
class Slot:
    """A session and when it ends."""

    session: LocalSession
    key: Key
    retired: bool
    idle: asyncio.TimerHandle | None = None


class LocalForwarder:
    """Stage 6 for local upstreams. `clock` is monotonic, in seconds; it spaces the restarts of a server that ends.

    `here` names this gateway among its replicas, in visible ASCII: it stands in the id of each session, so that another
    one knows whose it is.
    """

    def __init__(
        self, limits: LocalLimits | None = None, clock: Callable[[], float] | None = None, here: str = ""
    ) -> None:
        self._limits = limits or LocalLimits()
        self._clock = clock
        self._here = here
        self._sessions: dict[str, Slot] = {}
        self._shared: dict[Key, SharedServer] = {}
        self._open_calls: Counter[Key] = Counter()  # streams among them
        self._open_streams: Counter[Key] = Counter()
        self._starting = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._current: frozenset[Key] | None = None

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Send the request on; the time-out bounds the wait until the answer, or the first message, is here.

        Credentials of a local server are in its environment; header fields and a query have nowhere to go.
        """
        del credential
        upstream = connection.upstream
        if not isinstance(upstream, LocalUpstream):
            raise TypeError(connection.name)
        changes = decision.changes
        if changes.backend is not None or changes.path is not None:
            raise Refusal(Reason.POLICY_ERROR, "The policy chose a backend that is not allowed.")
        deadline = asyncio.get_running_loop().time() + (changes.timeout or connection.timeout)
        carry = self._carry_stateless if request.era is Era.STATELESS else self._carry_handshake
        key = (connection.name, upstream)
        with self._place(key, streams=listens(request)):
            async with carry(request, key, deadline) as answer:
                yield answer

    @contextmanager
    def _place(self, key: Key, *, streams: bool) -> Generator[None]:
        """A place for a call, until it ends; streams have half of them. Raises Refusal (overloaded)."""
        calls, listening = self._open_calls[key], self._open_streams[key]
        require_place(calls, listening, self._limits.open_calls, listening=streams)
        self._open_calls[key] += 1
        self._open_streams[key] += streams
        try:
            yield
        finally:
            self._open_calls[key] -= 1
            self._open_streams[key] -= streams
            if not self._open_calls[key]:
                del self._open_calls[key], self._open_streams[key]

    @asynccontextmanager
    async def _carry_stateless(self, request: MCPRequest, key: Key, deadline: float) -> AsyncGenerator[Answer, None]:
        server = self._shared.get(key)
        if server is None:
            clock = self._clock or asyncio.get_running_loop().time
            server = self._shared[key] = SharedServer(partial(self._start, key), clock)
        try:
            if request.kind is Kind.REQUEST:
                async with server.exchange(request, deadline) as answer:
                    yield answer
            else:
                await in_time(server.notify(request), deadline)
                yield empty_answer(202)
        finally:
            self._end_unless_current(key, server)

    @asynccontextmanager
    async def _carry_handshake(self, request: MCPRequest, key: Key, deadline: float) -> AsyncGenerator[Answer, None]:
        opens = request.method == "initialize" and not request.session_id
        slot = await self._open(key, deadline) if opens else self._find(request, key)
        session = slot.session
        with self._used(slot):
            if request.kind is Kind.REQUEST:
                async with session.exchange(request, deadline) as answer:
                    yield answer
            elif request.kind is Kind.STREAM:
                async with session.listen() as answer:
                    yield answer
            elif request.kind is Kind.END:
                self._end(slot)
                yield empty_answer(204)
            else:
                await in_time(session.send(request.body), deadline)
                yield empty_answer(202)

    async def _open(self, key: Key, deadline: float) -> Slot:
        kept = self._limits.processes // KEPT_FOR_SHARED
        process = await in_time(self._start(key, kept), deadline)
        session = LocalSession(f"{self._here}.{secrets.token_urlsafe(24)}", process, self._died)
        slot = self._sessions[session.id] = Slot(session, key, self._is_retired(key))
        return slot

    def _find(self, request: MCPRequest, key: Key) -> Slot:
        if not request.session_id:
            message = "This server keeps sessions: send initialize, and then its Mcp-Session-Id with every request."
            raise Refusal(Reason.INVALID_MESSAGE, message)
        slot = self._sessions.get(request.session_id)
        there = request.session_id.rpartition(".")[0]
        if slot is None and there not in {"", self._here}:
            message = "This session is kept by another replica of the gateway: send its requests there, or initialize."
            raise Refusal(Reason.UNKNOWN_SESSION, message, detail=f"it is kept at {there}, and this is {self._here}")
        if slot is None or slot.key[0] != key[0]:
            raise Refusal(Reason.UNKNOWN_SESSION, "There is no such session; send initialize again.")
        return slot

    @contextmanager
    def _used(self, slot: Slot) -> Generator[None]:
        """Keep a session while it is used; afterwards end it if it must, or start to count its idle seconds."""
        if slot.idle is not None:
            slot.idle.cancel()
        try:
            yield
        finally:
            if slot.session.in_use or slot.session.id not in self._sessions:
                pass  # another call will come by here, or it has ended
            elif slot.retired or not slot.session.opened:
                self._end(slot)
            else:
                slot.idle = asyncio.get_running_loop().call_later(self._limits.idle, self._end, slot)

    async def _start(self, key: Key, kept: int = 0) -> StdioProcess:
        """Start a process, if that leaves room for `kept` others. Raises Refusal (overloaded, upstream-unreachable)."""
        shared = sum(server.runs for server in self._shared.values())
        if len(self._sessions) + shared + self._starting + len(self._ending) >= self._limits.processes - kept:
            message = "Too many local servers are running."
            raise Refusal(Reason.OVERLOADED, message, headers=(("Retry-After", "5"),))
        self._starting += 1
        try:
            return await StdioProcess.start(*key, self._limits.stdio)
        finally:
            self._starting -= 1

    def _died(self, session: LocalSession) -> None:
        self._end(self._sessions[session.id])

    def _end(self, slot: Slot) -> None:
        del self._sessions[slot.session.id]
        self._in_background(slot.session.end())
        if slot.idle is not None:
            slot.idle.cancel()

    def _is_retired(self, key: Key) -> bool:
        return self._current is not None and key not in self._current

    def _end_unless_current(self, key: Key, server: SharedServer) -> None:
        if self._is_retired(key) and not server.in_use and self._shared.pop(key, None) is not None:
            self._in_background(server.end())

    def _in_background(self, ending: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def update(self, connections: Iterable[Connection]) -> None:
        """Keep what these connections use; what no longer is among them ends when its calls have ended."""
        self._current = frozenset(
            (connection.name, connection.upstream)
            for connection in connections
            if isinstance(connection.upstream, LocalUpstream)
        )
        for slot in list(self._sessions.values()):
            slot.retired = self._is_retired(slot.key)
            if slot.retired:
                slot.session.stop_listening()  # it could last for hours
                if not slot.session.in_use:
                    self._end(slot)
        for key, server in list(self._shared.items()):
            self._end_unless_current(key, server)

    async def close(self) -> None:
        """End every server; returns when all are gone."""
        for slot in list(self._sessions.values()):
            self._end(slot)
        while self._shared:
            self._in_background(self._shared.popitem()[1].end())
        await asyncio.gather(*self._ending, return_exceptions=True)


async def in_time(doing: Awaitable[Taken], deadline: float) -> Taken:
    """What `doing` gives. Raises Refusal (upstream-timeout)."""
    try:
        async with asyncio.timeout_at(deadline):
            return await doing
    except TimeoutError:
        raise Refusal(Reason.UPSTREAM_TIMEOUT, "The local server did not take the message in time.") from None
