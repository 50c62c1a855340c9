"""A whole flow through govern() without a socket: twins of every stage but the ledger, each with a place to stop at."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcpgov.audit.ledger import AuditLedger
from mcpgov.decision import Decision, Metric, Refund, Spend, Spent, Trace
from mcpgov.effects import Effects
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Connection, Credential, Event, Headers, MCPRequest, Principal, RequestHead
from mcpgov.pipeline import Stages, govern
from mcpgov.policy.compiled import ConnectionPolicy, Sections
from mcpgov.snapshot import Snapshot
from tests.audit.calls import ALICE, CITY, CREDENTIAL, head, request

RESULT = b'{"jsonrpc":"2.0","id":7,"result":{"isError":false}}'
SNAPSHOT = Snapshot("stamp", {"city": CITY}, {"city": ConnectionPolicy("sha256:p", Sections(), {}, hides_tools=False)})


@dataclass
class Flow:
    """One call. `fault` names the place where `error` is raised. What was sent and told is noted.

    `forwarded` is done when the call has been sent.
    """

    ledger: AuditLedger
    fault: str = ""
    error: BaseException = field(default_factory=RuntimeError)
    answer: bytes = RESULT
    status: int = 200
    head: RequestHead = field(default_factory=head)
    forwarded: Callable[[], object] = bool
    sent: int = 0
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    relayed: list[bytes] = field(default_factory=list[bytes])

    async def at(self, place: str) -> None:
        """A place in the flow: other tasks may run, the task may be cancelled, the fault may strike."""
        await asyncio.sleep(0)
        if place == self.fault:
            raise self.error

    async def govern(self) -> None:
        """Take the call through."""
        stages = Stages(lambda: SNAPSHOT, self, Effects(self, self), self, self.ledger, self)
        await govern(self, stages)

    async def identify(self, head: RequestHead) -> Principal:
        await self.at("identify")
        assert head is self.head
        return ALICE

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        await self.at("read")
        assert origins == ()
        assert principal is ALICE
        return request(about=self.head)

    async def spend(self, effect: Spend) -> Spent:
        raise AssertionError(effect)

    async def refund(self, effect: Refund) -> None:
        raise AssertionError(effect)

    async def charge(self, spend: Spend, amount: int) -> None:
        raise AssertionError(spend, amount)

    def tell(self, effect: Trace | Metric) -> None:
        raise AssertionError(effect)

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        await self.at("credential")
        assert (connection, principal) == (CITY, ALICE)
        return CREDENTIAL

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer]:
        assert (request.tool, connection, decision.allowed, credential) == ("search", CITY, True, CREDENTIAL)
        self.sent += 1
        self.forwarded()
        await self.at("connect")
        try:
            yield Answer(self.status, Headers(), False, self.events())
        finally:
            await asyncio.sleep(0)

    async def events(self) -> AsyncIterator[tuple[Event, ...]]:
        await self.at("body")
        yield (Event(self.answer, self.answer),)

    async def relay(self, answer: Answer, decision: Decision) -> None:
        assert decision.allowed
        async for batch in answer.events:
            await self.at("relay")
            self.relayed += [event.raw for event in batch]
        await self.at("end")

    async def refuse(self, refusal: Refusal) -> None:
        await self.at("refuse")
        self.refusals.append(refusal)


class CancelledAt:
    """Awaits a coroutine and cancels it at its n-th suspension, counted from 0. `reached`: it lasted that long."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], suspension: int) -> None:
        self._coroutine = coroutine
        self._left = suspension
        self.reached = False

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            while True:
                awaited = self._coroutine.throw(asyncio.CancelledError()) if self._now() else self._coroutine.send(None)
                self._left -= 1
                if not (self._left == -1 and not self.reached):
                    yield awaited
        except StopIteration:
            return

    def _now(self) -> bool:
        self.reached = self.reached or self._left == -1
        return self._left == -1
