"""A PostgreSQL that is stopped, killed in the middle of commits, or hangs: nothing is called that is not written."""

import asyncio
import itertools
import json
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.redact import Digester
from mcpgov.audit.verify import Verdict, verify
from mcpgov.models import Secret
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from mcpgov.store.postgres_reader import open_postgres_evidence
from tests.audit.calls import head
from tests.audit.flow import Flow
from tests.audit.stores import until
from tests.store.postgres import PostgresServer, postgres_server
from tests.store.postgres_asked import ask, backend, until_released

ROUNDS = 10
AT_ONCE = 8
PATIENCE = 30  # seconds after which a service that does not return is given up


@pytest.fixture
def server() -> Generator[PostgresServer]:
    with postgres_server() as running:
        yield running


@dataclass
class Site:
    """A gateway's ledger in a database, and the calls that were taken through it."""

    url: Secret
    store: PostgresLedgerStore
    ledger: AuditLedger
    flows: list[Flow] = field(default_factory=list[Flow])
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def backend(self) -> int:
        """The server's process that writes the ledger."""
        return backend(self.url, self.store.writer)

    async def call(self) -> str:
        """What one call got: `result`, or the reason of its refusal."""
        flow = Flow(self.ledger, head=head(f"{self.store.writer} {next(self.numbers)}"))
        self.flows.append(flow)
        await flow.govern()
        return flow.refusals[0].reason if flow.refusals else "result"

    async def calls(self, count: int) -> set[str]:
        """What so many calls at once got."""
        return set(await asyncio.gather(*(self.call() for _ in range(count))))

    async def returns(self) -> None:
        """Call until a call goes through."""
        async with asyncio.timeout(PATIENCE):
            while await self.call() != "result":
                pass

    def sent(self) -> set[str]:
        """The calls that an upstream saw."""
        return {flow.head.correlation_id for flow in self.flows if flow.sent}


@asynccontextmanager
async def site(url: Secret) -> AsyncGenerator[Site]:
    """A ledger that is kept while the block runs; then every call that was sent has its intent."""
    store = PostgresLedgerStore(url)
    ledger = AuditLedger((store,), Digester(bytes(32)), lambda: datetime.now(UTC), sign=None)
    await ledger.start()
    here = Site(url, store, ledger)
    yield here
    await ledger.close()
    assert here.sent() <= {str(row[0]) for row in ask(url, "SELECT correlation_id FROM records WHERE event = 'intent'")}


def verified(url: Secret) -> Verdict:
    """What the verifier says of the ledger."""
    with open_postgres_evidence(url) as evidence:
        return verify(evidence, None, {})


async def test_a_server_that_is_stopped_is_told_at_once_and_used_again_as_soon_as_it_is_back(
    server: PostgresServer,
) -> None:
    url = server.database()
    async with site(url) as here:
        for mode in ("fast", "immediate"):
            assert await here.calls(3) == {"result"}
            server.stop(mode)
            before = len(here.sent())
            assert await here.calls(20) == {"audit-unavailable"}
            assert not here.ledger.ready
            assert len(here.sent()) == before
            server.start()
            assert await here.call() == "result"
            await until(lambda: here.ledger.ready)
    recovered = [json.loads(row[0]) for row in ask(url, "SELECT record FROM records WHERE reason = 'store-recovered'")]
    assert [event["mcpgov.control.refused"] for event in recovered] == [20, 20]
    verdict = verified(url)
    assert (verdict.findings, verdict.open_calls) == ((), 0)


async def test_no_call_is_unaudited_and_none_left_open_when_the_server_is_killed_in_the_middle_of_commits(
    server: PostgresServer,
) -> None:
    url, stop = server.database(), asyncio.Event()

    async def keep_calling(here: Site) -> None:
        while not stop.is_set():
            await here.call()

    async with site(url) as here:
        calling = [asyncio.create_task(keep_calling(here)) for _ in range(AT_ONCE)]
        for _ in range(ROUNDS):
            await here.returns()
            server.signal(await asyncio.to_thread(lambda: here.backend), signal.SIGKILL)
            while await here.call() == "result":
                pass
        await here.returns()
        stop.set()
        await asyncio.gather(*calling)
    assert len(here.sent()) > ROUNDS
    async with site(url):
        pass  # whoever comes next ends what a lost answer may have left
    verdict = verified(url)
    assert (verdict.findings, verdict.open_calls) == ((), 0)


async def test_a_server_that_hangs_is_given_up_and_is_used_again(server: PostgresServer) -> None:
    url = server.database()
    async with site(url) as here:
        assert await here.calls(3) == {"result"}
        pid = here.backend
        server.signal(pid, signal.SIGSTOP)
        assert await here.calls(20) == {"audit-unavailable"}
        server.signal(pid, signal.SIGCONT)
        until_released(url, pid)
        await here.returns()
    async with site(url):
        pass
    verdict = verified(url)
    assert (verdict.findings, verdict.open_calls) == ((), 0)


async def test_a_gateway_that_was_taken_for_dead_by_another_goes_on_and_both_can_be_verified(
    server: PostgresServer,
) -> None:
    url = server.database()
    async with site(url) as one, one.ledger.recording(head(), "stamp") as call:
        await call.intent()
        pid = one.backend
        ask(url, "SELECT pg_terminate_backend(%s)", pid)
        until_released(url, pid)
        async with site(url) as other:
            assert await other.calls(3) == {"result"}
            assert await one.calls(3) == {"result"}
            assert await other.calls(3) == {"result"}
    async with site(url):
        pass
    verdict = verified(url)
    assert (verdict.findings, verdict.open_calls) == ((), 0)
    assert ask(url, "SELECT count(*) FROM records WHERE status = 'unknown'") == [(1,)]
