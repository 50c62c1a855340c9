"""The ledger in memory keeps the contract."""

from mcpgov.audit.ledger_store import LedgerStore
from mcpgov.audit.record import Row
from mcpgov.store.memory_ledger import MemoryDisk, MemoryLedgerStore
from tests.contract.ledger_contract import LedgerContract


class TestMemoryLedgerStore(LedgerContract):
    def setup_method(self) -> None:
        self.disk = MemoryDisk()

    def writer(self) -> LedgerStore:
        return MemoryLedgerStore(self.disk)

    def crash(self, store: LedgerStore) -> None:
        assert isinstance(store, MemoryLedgerStore)
        store.forget()

    def kept(self) -> list[tuple[str, int, Row]]:
        return self.disk.rows

    def hashes(self) -> list[bytes]:
        return self.disk.hashes

    def notes(self) -> list[tuple[str, int, str]]:
        return sorted(self.disk.notes)


def test_a_store_has_a_disk_of_its_own_unless_it_is_given_one() -> None:
    assert MemoryLedgerStore().disk is not MemoryLedgerStore().disk
