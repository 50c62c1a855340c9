"""Keys in PostgreSQL keep the contract."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta

import pytest

from mcpgov.identity.api_key import KeyStore
from mcpgov.store.postgres_keys import PostgresKeyStore
from mcpgov.store.postgres_pool import PostgresPool
from tests.contract.keys_contract import KEY, NOW, KeysContract
from tests.store.postgres import PATIENCE, PostgresServer
from tests.store.postgres_asked import ask


class TestPostgresKeyStore(KeysContract):
    @pytest.fixture
    async def keys(self, postgres: PostgresServer) -> AsyncGenerator[KeyStore]:
        self.url = postgres.database()
        store = PostgresKeyStore(PostgresPool(self.url, timeout=PATIENCE))
        yield store
        store.close()

    def change(self, column: str, value: object) -> None:
        ask(self.url, f"UPDATE keys SET {column} = %s", value)

    async def test_gateways_that_note_the_same_uses_at_once_do_not_wait_for_each_other(self, keys: KeyStore) -> None:
        records = [replace(KEY, id=f"key-{number}") for number in range(20)]
        for record in records:
            await keys.create(record)
        uses = {record.id: NOW + timedelta(minutes=1) for record in records}
        backwards = {key_id: NOW + timedelta(minutes=2) for key_id in reversed(uses)}
        await asyncio.gather(*(keys.touch(each) for _ in range(8) for each in (uses, backwards)))
        assert {record.last_used_at for record in await keys.list()} == {NOW + timedelta(minutes=2)}
