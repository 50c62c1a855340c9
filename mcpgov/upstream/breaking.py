"""Stops sending to an upstream that does not answer, for each caller by itself.

Rules: only requests are counted and held back. A GET stream may rightly be silent, and the end of a session should get
through. Which upstream is meant is the connection, its entry's upstream and the backend that a policy chose; so what
one of them does is never held against another, nor against the same one once its entry was changed. Nor is it held
against another caller: who alone calls what is slow would shut a healthy server to everybody, for as long as they like.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Kind
from mcpgov.upstream.circuit import Circuit
from mcpgov.upstream.retrying import UNANSWERED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, LocalUpstream, MCPRequest, RemoteUpstream
    from mcpgov.upstream.retrying import Forwarder

    Key = tuple[str, RemoteUpstream | LocalUpstream, str, str]  # connection, upstream, backend, principal

OURS: Final = frozenset({Reason.OVERLOADED, Reason.UPSTREAM_ADDRESS_DENIED, Reason.POLICY_ERROR})  # nothing was sent
MOST: Final = 10_000  # circuits in memory


class Breaking:
    """A forwarder with a circuit for each caller of each upstream. `clock` is monotonic, in seconds.

    It remembers `most` circuits, and forgets first the one whose last failure is oldest.
    """

    def __init__(self, inner: Forwarder, clock: Callable[[], float] | None = None, most: int = MOST) -> None:
        self._inner = inner
        self._clock = clock
        self._most = most
        self._circuits: dict[Key, Circuit] = {}  # of those that failed last, the oldest failure first

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Send the request on. Raises Refusal; circuit-open, with a Retry-After, while the circuit is open."""
        if request.kind is not Kind.REQUEST:
            async with self._inner.forward(request, connection, decision, credential) as answer:
                yield answer
            return
        key = (connection.name, connection.upstream, decision.changes.backend or "", request.principal_id)
        tries = self._let_through(key)
        known = False
        try:
            async with self._inner.forward(request, connection, decision, credential) as answer:
                known = True
                self._answered(key)
                yield answer
        except Refusal as refusal:
            if not known and refusal.reason not in OURS:
                known = True
                if refusal.reason in UNANSWERED:
                    self._failed(key)
                else:
                    self._answered(key)
            raise
        finally:
            if tries and not known and key in self._circuits:
                self._circuits[key] = self._circuits[key].left()

    def _let_through(self, key: Key) -> bool:
        """Whether this request is the one that tries. Raises Refusal while nothing is to be sent."""
        circuit = self._circuits.get(key)
        if circuit is None:
            return False
        wait = circuit.wait(self._now())
        if wait > 0:
            told = (("Retry-After", str(math.ceil(wait))),)
            message = "The upstream has not answered you for a while and is left alone for now."
            raise Refusal(Reason.CIRCUIT_OPEN, message, headers=told, detail="nothing was sent")
        self._circuits[key] = circuit.tried()
        return circuit.is_open

    def _answered(self, key: Key) -> None:
        circuit = self._circuits.pop(key, None)
        if circuit is not None and circuit.is_open:
            structlog.get_logger().info("upstream-answers-again", connection=key[0])

    def _failed(self, key: Key) -> None:
        before = self._circuits.pop(key, Circuit())
        now = self._now()
        after = self._circuits[key] = before.failed(now)
        if len(self._circuits) > self._most:
            del self._circuits[next(iter(self._circuits))]
        if after.is_open and after != before:
            seconds = round(after.not_before - now)
            structlog.get_logger().warning("upstream-left-alone", connection=key[0], seconds=seconds)

    def _now(self) -> float:
        return (self._clock or asyncio.get_running_loop().time)()

    def update(self, connections: Iterable[Connection]) -> None:
        """Forget what no longer is among these connections."""
        kept = {(connection.name, connection.upstream) for connection in connections}
        self._circuits = {key: circuit for key, circuit in self._circuits.items() if key[:2] in kept}
