"""The checkpoints of a store are read on from where each place has come."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.store.checkpoint_log import open_sqlite_checkpoints
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW


def test_checkpoints_are_read_in_the_order_they_were_made(tmp_path: Path) -> None:
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    for second in range(4):
        store.append([ControlRecord(ControlEvent.START, NOW).row()])
        store.checkpoint(lambda chain: f"note {chain.size}", NOW + timedelta(seconds=second))
    kept = open_sqlite_checkpoints(tmp_path / "mcpgov.db")
    found = kept.after(microseconds(NOW), 2)
    assert [(one.writer, one.size, one.note) for one in found] == [
        (store.writer, 2, "note 2"),
        (store.writer, 3, "note 3"),
    ]
    assert [one.size for one in kept.after(0, 100)] == [1, 2, 3, 4]
    assert kept.after(found[-1].at + 1_000_000, 100) == []


def test_a_place_goes_on_from_where_it_was(tmp_path: Path) -> None:
    SqliteLedgerStore(tmp_path / "mcpgov.db").open()
    kept = open_sqlite_checkpoints(tmp_path / "mcpgov.db")
    assert kept.position("a") == 0
    kept.move("a", 5)
    kept.move("a", 7)
    kept.move("b", 1)
    assert [open_sqlite_checkpoints(tmp_path / "mcpgov.db").position(name) for name in "abc"] == [7, 1, 0]


def test_a_store_that_is_broken_is_unavailable(tmp_path: Path) -> None:
    SqliteLedgerStore(tmp_path / "mcpgov.db").open()
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database:
        database.execute("DROP TABLE cursors")
    with pytest.raises(StoreUnavailable, match="no such table"):
        open_sqlite_checkpoints(tmp_path / "mcpgov.db").position("a")
