"""Pins in PostgreSQL keep the contract."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.postgres_pins import PostgresPins
from mcpgov.store.postgres_pool import PostgresPool
from tests.contract.pins_contract import ECHO, PinsContract, seen
from tests.store.postgres import PATIENCE, PostgresServer


class TestPostgresPins(PinsContract):
    @pytest.fixture
    def pins(self, postgres: PostgresServer) -> Iterator[PostgresPins]:
        store = PostgresPins(PostgresPool(postgres.database(), timeout=PATIENCE))
        yield store
        store.close()

    async def test_two_that_write_at_once_have_two_revisions(self, pins: PostgresPins) -> None:
        await asyncio.gather(*(pins.keep(replace(seen(ECHO), server=f"com.contoso/s{at}")) for at in range(8)))
        revisions = [server.revision for server in await pins.changed(0)]
        assert revisions == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_server_that_cannot_be_used_is_unavailable(postgres: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable):
        await PostgresPins(PostgresPool(postgres.url("absent"))).changed(0)
