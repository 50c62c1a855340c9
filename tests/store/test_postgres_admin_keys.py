"""Admin keys in PostgreSQL keep the contract."""

from collections.abc import Iterator

import pytest

from mcpgov.admin.access import AdminKeyStore
from mcpgov.errors import StoreUnavailable
from mcpgov.store.postgres_admin_keys import PostgresAdminKeys
from mcpgov.store.postgres_pool import PostgresPool
from tests.contract.admin_keys_contract import AdminKeysContract
from tests.store.postgres import PATIENCE, PostgresServer
from tests.store.postgres_asked import ask


class TestPostgresAdminKeys(AdminKeysContract):
    @pytest.fixture
    def keys(self, postgres: PostgresServer) -> Iterator[AdminKeyStore]:
        self.url = postgres.database()
        store = PostgresAdminKeys(PostgresPool(self.url, timeout=PATIENCE))
        yield store
        store.close()

    def change(self, column: str, value: object) -> None:
        ask(self.url, f"UPDATE admin_keys SET {column} = %s", value)


async def test_a_server_that_cannot_be_used_is_unavailable(postgres: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable):
        await PostgresAdminKeys(PostgresPool(postgres.url("absent"))).list()
