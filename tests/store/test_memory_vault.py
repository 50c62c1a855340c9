"""The vault in memory keeps the contract."""

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.memory_vault import MemoryTokenVault
from tests.contract.vault_contract import VaultContract


class TestMemoryVault(VaultContract):
    @pytest.fixture
    def rows(self) -> MemoryTokenVault:
        return MemoryTokenVault()


async def test_it_fails_when_it_is_told_to() -> None:
    rows = MemoryTokenVault()
    rows.failure = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        await rows.find("key:alice", "github")
