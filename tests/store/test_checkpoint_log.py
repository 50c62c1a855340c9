"""The checkpoints of a store are read on from where each place has come."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.errors import StoreUnavailable
from mcpgov.store.checkpoint_log import open_sqlite_checkpoints
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW


def checkpointed(path: Path, *ats: timedelta) -> SqliteLedgerStore:
    """A store with a checkpoint for each of these times after NOW."""
    store = SqliteLedgerStore(path)
    store.open()
    for at in ats:
        store.append([ControlRecord(ControlEvent.START, NOW).row()])
        store.checkpoint(lambda chain: f"note {chain.size}", NOW + at)
    return store


def test_checkpoints_are_read_in_the_order_of_their_writer_whatever_its_clock_says(tmp_path: Path) -> None:
    days = [timedelta(days=days) for days in (0, 365, -1, 1)]
    first = checkpointed(tmp_path / "mcpgov.db", *days)
    other = checkpointed(tmp_path / "mcpgov.db", timedelta())
    kept = open_sqlite_checkpoints(tmp_path / "mcpgov.db")
    found = [one for one in kept.lacking("a", 100) if one.writer == first.writer]
    assert [(one.size, one.note) for one in found] == [(size, f"note {size}") for size in (1, 2, 3, 4)]
    assert [one.writer for one in kept.lacking("a", 100) if one not in found] == [other.writer]
    assert len(kept.lacking("a", 3)) == 3


def test_a_place_goes_on_from_where_it_was_with_each_writer(tmp_path: Path) -> None:
    path = tmp_path / "mcpgov.db"
    checkpointed(path, *[timedelta()] * 3)
    kept = open_sqlite_checkpoints(path)
    found = kept.lacking("a", 100)
    kept.move("a", [])
    kept.move("a", found[:1])
    kept.move("a", found[:2])
    kept.move("b", found)
    there = {
        place: [one.size for one in open_sqlite_checkpoints(path).lacking(place, 100)] for place in ("a", "b", "c")
    }
    assert there == {"a": [3], "b": [], "c": [1, 2, 3]}


def test_what_no_gateway_keeps_holds_up_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "mcpgov.db"
    store = checkpointed(path, *[timedelta()] * 2)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE checkpoints SET at = 'x', note = X'ff' WHERE size = 1")
        for writer, size, note in ((store.writer, "zz", ""), (b"\xff", 1, ""), ("v", 1, "")):
            database.execute("INSERT INTO checkpoints VALUES (?, ?, 0, ?)", (writer, size, note))
        database.execute("UPDATE checkpoints SET note = CAST(X'ff' AS TEXT) WHERE writer = 'v'")
    kept = open_sqlite_checkpoints(path)
    found = kept.lacking("a", 100)
    assert {(one.writer, one.size) for one in found} == {(store.writer, 1), (store.writer, 2), ("v", 1)}
    kept.move("a", found)
    assert kept.lacking("a", 100) == []


def test_a_store_that_is_broken_is_unavailable(tmp_path: Path) -> None:
    SqliteLedgerStore(tmp_path / "mcpgov.db").open()
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database:
        database.execute("DROP TABLE cursors")
    with pytest.raises(StoreUnavailable, match="no such table"):
        open_sqlite_checkpoints(tmp_path / "mcpgov.db").lacking("a", 1)
