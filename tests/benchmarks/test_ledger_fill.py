"""A ledger that is full of calls like one that it holds."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.ledger_fill import NoRoomError, fill
from benchmarks.verify import calls
from mcpgov.store.sqlite_ledger import SqliteLedgerStore


def test_filled_rows_are_the_call_with_numbers_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = SqliteLedgerStore(path)
    store.open()
    store.append(list(calls(10**9, 1)))
    store.close(finished=True)
    fill(path, 100)
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT call_id, final, correlation_id, length(hash), record FROM records").fetchall()
    filled = [row for row in rows if str(row[0]).startswith("filled-")]
    assert len(filled) == 100
    assert len({row[0] for row in filled}) == len({row[2] for row in filled}) == 50
    for call, final, correlation, size, record in filled:
        assert (size, f'"call_id":"{call}"' in record) == (32, True)
        assert final or f'"correlation_id":"{correlation}"' in record
    again = SqliteLedgerStore(path)
    again.open()
    again.append(list(calls(1, 1)))
    again.close(finished=True)


def test_nothing_is_written_where_there_is_no_call_or_no_room(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteLedgerStore(path).open()
    with pytest.raises(NoRoomError, match="no call yet"):
        fill(path, 100)
    with pytest.raises(NoRoomError, match="GiB"):
        fill(path, 10**12)
