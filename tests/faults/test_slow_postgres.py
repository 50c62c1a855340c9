"""A PostgreSQL that answers late makes what is kept in it late, and nothing is lost: pins, consent and exports.

Of the slow column of the table in docs/reliability.md; calls and keys are in test_outages.py, the console in
tests/flows/test_console_postgres.py.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, closing, suppress
from typing import Final, TypeVar

import pytest

from mcpgov.audit.exporting import IDLE, Export, Exporter
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from mcpgov.store.postgres_pins import PostgresPins
from mcpgov.store.postgres_pool import PostgresPool
from mcpgov.store.postgres_reader import open_postgres_exports
from mcpgov.store.postgres_vault import PostgresTokenVault
from tests.audit.calls import NOW
from tests.audit.exports import MemoryRecords, Notes, Numbers, Place
from tests.contract.pins_contract import ECHO, seen
from tests.contract.vault_contract import ALICE, LATER
from tests.faults.stalling import SLOWLY, Mode, stalling
from tests.faults.tools import left_out
from tests.store.postgres import PostgresServer, has_postgres, postgres_server

T = TypeVar("T")
RECORDS: Final = 3
PATIENT: Final = 60  # seconds after which what is not answered is given up


@pytest.fixture(scope="module")
def postgres() -> Generator[PostgresServer | None]:
    """One that runs; None, and a line, where there can be none."""
    if not has_postgres():
        left_out("what is kept in a PostgreSQL that is slow; there is none here")
        yield None
        return
    with postgres_server() as server:
        yield server


@asynccontextmanager
async def slow(server: PostgresServer, slowly: float = SLOWLY) -> AsyncGenerator[tuple[Secret, Secret]]:
    """A database with a ledger, and the same behind a proxy that holds each packet back."""
    url = server.database()
    ledger = PostgresLedgerStore(url)
    await asyncio.to_thread(ledger.open)
    await asyncio.to_thread(ledger.append, [ControlRecord(ControlEvent.RELOAD, NOW).row()] * RECORDS)
    await asyncio.to_thread(ledger.close, finished=True)
    async with stalling(server.port, slowly) as proxy, asyncio.timeout(PATIENT):
        proxy.mode = Mode.SLOW
        yield url, Secret(url.reveal().replace(f":{server.port}/", f":{proxy.port}/"))


async def late(ask: Callable[[], Awaitable[T]]) -> T:
    """What is answered once connecting no longer takes all the time that there is."""
    while True:
        with suppress(StoreUnavailable):
            return await ask()


async def test_what_another_gateway_saw_is_learned_late(postgres: PostgresServer | None) -> None:
    if postgres is None:
        return
    async with slow(postgres) as (url, slowly):
        one, other = PostgresPins(PostgresPool(url)), PostgresPins(PostgresPool(slowly))
        with closing(one), closing(other):
            await one.keep(seen(ECHO))
            (server,) = await late(lambda: other.changed(0))
    assert server.pins == {ECHO.tool: ECHO}


async def test_the_tokens_of_a_user_are_found_and_renewed_late(postgres: PostgresServer | None) -> None:
    if postgres is None:
        return
    async with slow(postgres) as (url, slowly):
        one, other = PostgresTokenVault(PostgresPool(url)), PostgresTokenVault(PostgresPool(slowly))
        with closing(one), closing(other):
            await one.keep(ALICE)
            assert await late(lambda: other.find(ALICE.principal, ALICE.connection)) == ALICE
            assert await other.replace(ALICE, LATER)
            assert await one.find(ALICE.principal, ALICE.connection) == LATER


async def test_an_export_sends_every_record_once(postgres: PostgresServer | None) -> None:
    if postgres is None:
        return
    async with slow(postgres, SLOWLY / 3) as (_, slowly):  # which connects for each question
        place, notes = Place(), Notes(MemoryRecords())
        export = Export("siem", Numbers(), place)
        exporter = Exporter(export, open_postgres_exports(slowly, "log"), notes, lambda: NOW, asyncio.sleep)
        assert await exporter.look() == IDLE
    assert (place.got, notes.events) == ([*range(1, RECORDS + 1)], [])
