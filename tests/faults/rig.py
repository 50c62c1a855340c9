"""A gateway in this process: the real ledger over a real file, calls through it, and a crash when one is wanted.

Small enough that any part of it can be swapped for one with a fault: the store, or the way a call takes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import timestamp
from mcpgov.audit.redact import Digester
from mcpgov.audit.verify import verify
from mcpgov.decision import Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Connection, Credential, Event, MCPRequest, Principal
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import head
from tests.audit.flow import Flow
from tests.audit.stores import until
from tests.faults.checker import ClientEntry, Finding, Kept, UpstreamEntry, check

CALLS = 12
WAYS = ("", "", "", "denied", "", "failed")  # every sixth call is refused, every sixth fails at the upstream


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


@dataclass
class Seen:
    """What the client and the upstream keep."""

    client: list[ClientEntry] = field(default_factory=list[ClientEntry])
    upstream: list[UpstreamEntry] = field(default_factory=list[UpstreamEntry])


@dataclass
class Call(Flow):
    """One call that both ends write down. `way`: denied, failed, hanging, or the empty string."""

    id: str = ""
    way: str = ""
    seen: Seen = field(default_factory=Seen)

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        return replace(await super().read(principal, origins), id=self.id)

    async def decide(self) -> None:
        """Where a call that is denied stops."""
        if self.way == "denied":
            raise Refusal(Reason.TOOL_DENIED, "no")

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        await self.decide()
        return await super().credential_for(connection, principal)

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer]:
        async with super().forward(request, connection, decision, credential) as answer:
            self.execute(connection.name)
            if self.way == "hanging":
                await asyncio.Event().wait()
            if self.way == "failed":
                raise Refusal(Reason.UPSTREAM_TIMEOUT, "too slow")
            yield answer

    def execute(self, connection: str) -> None:
        """The upstream does what it is asked, and writes it down."""
        entry = UpstreamEntry(self.id, timestamp(now()), self.correlation(), connection, self.key(connection))
        self.seen.upstream.append(entry)

    def correlation(self) -> str:
        """The correlation id that is sent."""
        return self.head.correlation_id

    def key(self, connection: str) -> str:
        """The credential that is sent."""
        return f"key-of-{connection}"

    async def events(self) -> AsyncIterator[tuple[Event, ...]]:
        raw = b'{"jsonrpc":"2.0","id":"%s","result":{"isError":false}}' % self.id.encode()
        yield (Event(raw, raw),)

    async def take(self) -> None:
        """Take the call through, and note what the client got."""
        await self.govern()
        reason = self.refusals[0].reason if self.refusals else ""
        got = "refused" if reason else "result" if self.relayed else "nothing"
        self.seen.client.append(ClientEntry(self.id, got, reason, self.head.correlation_id))


Store = Callable[[Path], SqliteLedgerStore]


@dataclass
class Rig:
    """A history in the making."""

    path: Path
    seen: Seen = field(default_factory=Seen)
    call: type[Call] = Call

    async def run(self, store: Store, *, crash: bool = True) -> None:
        """Some calls, one after the other and some at once; a crash while some are under way, or a proper end."""
        kept = store(self.path)
        ledger = AuditLedger((kept,), Digester(bytes(32)), now)
        await ledger.start()
        for number in range(CALLS):
            await self.take(ledger, f"{kept.writer} one {number}", WAYS[number % len(WAYS)])
        ways = [(f"{kept.writer} some {number}", WAYS[number % len(WAYS)]) for number in range(CALLS)]
        await asyncio.gather(*(self.take(ledger, call, way) for call, way in ways))
        if not crash:
            await ledger.close()
            return
        hanging = [asyncio.create_task(self.take(ledger, f"{kept.writer} cut {one}", "hanging")) for one in range(3)]
        await until(lambda: sum(" cut " in one.id for one in self.seen.upstream) >= sum(not t.done() for t in hanging))
        await ledger.sinks.close()
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    async def take(self, ledger: AuditLedger, call: str, way: str) -> None:
        """One call."""
        await self.call(ledger, head=head(f"c-{call}"), id=call, way=way, seen=self.seen).take()

    async def recover(self, store: Store = SqliteLedgerStore) -> None:
        """What a start after the crash does, and an end."""
        ledger = AuditLedger((store(self.path),), Digester(bytes(32)), now)
        await ledger.start()
        await ledger.close()

    def kept(self) -> list[Kept]:
        """The rows of the ledger, in the order of commit."""
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("SELECT writer, seq, call_id, record FROM records ORDER BY id").fetchall()
        return [Kept(*row) for row in rows]

    def findings(self) -> list[Finding]:
        """What does not add up, and what the ledger cannot prove."""
        with open_sqlite_evidence(self.path) as evidence:
            verdict = verify(evidence, None, {})
        unproved = [Finding(f"not-proved-{finding.kind.name}", str(finding)) for finding in verdict.findings]
        return check(self.seen.client, self.seen.upstream, self.kept()) + unproved
