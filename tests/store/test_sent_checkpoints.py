"""A second database keeps every checkpoint that it is sent, and never another in its place."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.sent_checkpoints import open_sqlite_received, open_sqlite_sent


def test_what_is_sent_is_kept_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "worm" / "checkpoints.db"
    sent = open_sqlite_sent(path)
    sent.put("log/w/2.note", "two", 2)
    sent.put("log/w/1.note", "one", 1)
    open_sqlite_sent(path).put("log/w/1.note", "another", 3)
    assert list(open_sqlite_received(path).notes()) == ["one", "two"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT at FROM mcpgov_checkpoints ORDER BY name").fetchall() == [(1,), (2,)]


def test_one_file_is_all_that_lies_there_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    open_sqlite_sent(path).put("log/w/1.note", "one", 1)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoints.db"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_whoever_reads_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="the database of checkpoints: unable to open"):
        list(open_sqlite_received(tmp_path / "checkpoints.db").notes())
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_none_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(StoreUnavailable, match="folder"):
        open_sqlite_sent(tmp_path / "folder" / "checkpoints.db").put("a", "b", 1)
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreUnavailable, match="no such table: mcpgov_checkpoints"):
        list(open_sqlite_received(tmp_path / "empty.db").notes())


def test_what_somebody_else_put_there_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    open_sqlite_sent(path).put("a", "one", 1)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO mcpgov_checkpoints VALUES ('b', CAST(x'ff41' AS TEXT), 2), ('c', x'00', 3)")
    assert list(open_sqlite_received(path).notes())[:2] == ["one", "\ufffdA"]
