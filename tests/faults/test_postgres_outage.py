"""A real gateway whose PostgreSQL is killed, stopped or frozen under load: nothing is called that is not written."""

import asyncio
import base64
import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from mcpgov.audit.verify import verify
from mcpgov.models import Secret
from mcpgov.store.postgres_reader import open_postgres_evidence
from tests.faults.checker import Finding, Kept, check
from tests.faults.served import Launch, Served, standing
from tests.store.postgres import PostgresServer, postgres_server
from tests.store.postgres_asked import ask

AT_ONCE = 8
KEY = base64.b64encode(bytes(range(32))).decode()
ROWS = "SELECT writer, seq, call_id, record FROM records ORDER BY id"


@pytest.fixture
def server() -> Generator[PostgresServer]:
    with postgres_server() as running:
        yield running


def processes(url: Secret) -> list[int]:
    """The server's processes that gateways are connected to."""
    return [int(row[0]) for row in ask(url, "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]


def findings(site: Served, url: Secret) -> list[Finding]:
    """What does not add up, and what the ledger cannot prove."""
    with open_postgres_evidence(url) as evidence:
        verdict = verify(evidence, None, {})
    kept = [Kept(*row) for row in ask(url, ROWS)]
    unproved = [Finding(f"not-proved-{finding.kind.name}", str(finding)) for finding in verdict.findings]
    return check(site.client, site.executed(), kept) + unproved


async def down(site: Served, fault: Callable[[], object]) -> None:
    """Calls at once, until a fault strikes among them; then all are refused, and none is made."""

    async def caller() -> None:
        while await site.got() == "result":
            pass

    calling = asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    before = len(site.executed())
    while len(site.executed()) < before + 2 * AT_ONCE:
        await asyncio.sleep(0)
    await asyncio.to_thread(fault)
    await calling
    made = len(site.executed())
    assert set(await site.many(AT_ONCE)) == {"audit-unavailable"}
    assert (len(site.executed()), await site.ready()) == (made, 503)


async def test_no_call_is_unaudited_and_service_returns_with_the_server(server: PostgresServer, tmp_path: Path) -> None:
    url = server.database()

    def freeze() -> None:
        """Stop the processes that gateways talk to, as a machine does that is paused."""
        for pid in processes(url):
            frozen.append(pid)
            os.kill(pid, signal.SIGSTOP)

    frozen: list[int] = []
    async with standing(tmp_path) as site:
        settings = (tmp_path / "mcpgov.yaml").read_text().replace(f"sqlite:///{site.store}", url.reveal())
        (tmp_path / "mcpgov.yaml").write_text(f"{settings}secrets: {{ key: {KEY} }}\n")
        await site.launch(Launch())
        for stop in (lambda: server.stop("fast"), lambda: server.stop("immediate")):
            await down(site, stop)
            await asyncio.to_thread(server.start)
            await site.returns()
        await down(site, freeze)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        await site.returns()
        assert await site.end() == 0
        await site.launch()  # ends what a commit whose answer was lost may have left
        assert await site.end() == 0
        assert findings(site, url) == []
