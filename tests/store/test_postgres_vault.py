"""The vault in PostgreSQL keeps the contract, also where two gateways write the same row."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from mcpgov.store.postgres_pool import PostgresPool
from mcpgov.store.postgres_vault import PostgresTokenVault
from tests.contract.vault_contract import ALICE, LATER, NOW, VaultContract
from tests.store.postgres import PATIENCE, PostgresServer


@pytest.fixture
async def rows(postgres: PostgresServer) -> AsyncGenerator[PostgresTokenVault]:
    vault = PostgresTokenVault(PostgresPool(postgres.database(), timeout=PATIENCE))
    yield vault
    vault.close()


class TestPostgresTokenVault(VaultContract):
    pass


async def test_of_two_that_replace_a_row_one_wins(rows: PostgresTokenVault) -> None:
    await rows.keep(ALICE)
    assert sorted(await asyncio.gather(rows.replace(ALICE, LATER), rows.replace(ALICE, None))) == [False, True]
    assert sorted(await asyncio.gather(*(rows.spend("t", NOW, NOW) for _ in range(2)))) == [False, True]


async def test_of_many_that_keep_a_row_one_is_left(rows: PostgresTokenVault) -> None:
    await asyncio.gather(*(rows.keep(row) for row in [ALICE, LATER] * 10))
    assert len(await rows.list("github")) == 1
