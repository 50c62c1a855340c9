"""The oldest records are read in their order, from any place."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.audit.purge import Removed
from mcpgov.errors import StoreUnavailable
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


@pytest.mark.parametrize("forged", ["hash = 'zz'", "hash = 1000000000000", "at = 'x'", "record = X'ff'"])
def test_a_record_that_no_gateway_keeps_so_is_not_purged(tmp_path: Path, forged: str) -> None:
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    store.append([intent("1"), outcome("1")])
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database, database:
        database.execute(f"UPDATE records SET {forged} WHERE id = 2")
    with open_sqlite_oldest(tmp_path / "mcpgov.db") as oldest:
        assert len(oldest.oldest(0, 1)) == 1
        with pytest.raises(StoreUnavailable, match="row 2 is kept as no gateway keeps one; see mcpgov audit verify"):
            oldest.oldest(0, 2)
