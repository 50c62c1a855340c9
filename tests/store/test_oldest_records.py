"""The oldest records are read in their order, from any place."""

from pathlib import Path

from mcpgov.audit.purge import Removed
from mcpgov.store.oldest_records import open_sqlite_oldest
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.contract.ledger_contract import intent, outcome


def test_records_are_read_from_a_place_on(tmp_path: Path) -> None:
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    store.append([intent("1"), intent("2"), outcome("1")])
    with open_sqlite_oldest(tmp_path / "mcpgov.db") as oldest:
        assert [old.seq for old in oldest.oldest(1, 1)] == [2]
        assert oldest.ended({"1", "2"}) == {"1"}
        assert oldest.removed() == Removed()
