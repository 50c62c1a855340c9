"""What a claim is for, in the stores that run anywhere; the contract says the rest."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcpgov.audit.ledger_store import LedgerStore
from mcpgov.audit.writer import Writer
from mcpgov.errors import StoreUnavailable
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW
from tests.audit.stores import FULL_DISK, FaultyStore
from tests.audit.test_writer import QUICK, durable, outcome
from tests.contract.ledger_contract import intent


@pytest.fixture(params=["memory", "alone", "in company"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerStore:
    if request.param == "memory":
        return MemoryLedgerStore()
    return SqliteLedgerStore(tmp_path / "mcpgov.db", company=request.param == "in company")


def test_a_claim_may_be_made_again_and_ends_with_the_rows_that_are_kept(store: LedgerStore) -> None:
    store.open()
    for call in ("1", "2"):
        store.claim()
        store.claim()
        store.append([intent(call)])
    store.close(finished=False)


@pytest.fixture
def claimed() -> FaultyStore:
    """One that is waited for when it is claimed, while its gate is shut."""
    store = FaultyStore()
    store.claim = store.hang
    return store


@pytest.fixture
async def writer(claimed: FaultyStore) -> AsyncIterator[Writer]:
    writer = Writer(claimed, lambda: NOW, QUICK)
    writer.start()
    yield writer
    claimed.failure = None
    claimed.gate.set()
    await writer.close()


async def test_what_comes_while_the_store_is_waited_for_shares_its_commit(writer: Writer, claimed: FaultyStore) -> None:
    claimed.shut()
    first = writer.post(intent("1"), wait=True)
    await claimed.until_busy()
    second, closing = writer.post(intent("2"), wait=True), asyncio.ensure_future(writer.close())
    await asyncio.sleep(0)
    claimed.gate.set()
    await asyncio.gather(durable(first), durable(second))
    assert await closing
    assert claimed.batches == [2]


async def test_of_a_call_that_was_lost_no_end_is_written_that_came_meanwhile(
    writer: Writer, claimed: FaultyStore
) -> None:
    claimed.failure = FULL_DISK
    lost = writer.post(intent("1"), wait=True)
    with pytest.raises(StoreUnavailable):
        await durable(lost)
    claimed.failure = None
    claimed.shut()
    kept = writer.post(intent("2"), wait=True)
    await claimed.until_busy()
    end = writer.post(outcome("1"), ends=lost, wait=True)
    claimed.gate.set()
    await durable(kept)
    with pytest.raises(StoreUnavailable, match="was not written"):
        await durable(end)
    assert [row.call_id for _, _, row in claimed.disk.rows if row.call_id] == ["2"]
