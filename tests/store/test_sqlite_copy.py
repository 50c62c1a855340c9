"""A copy of the store is whole, of one moment, and not of what is damaged."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.store.database import SCHEMA_VERSION, connect, create_database
from mcpgov.store.sqlite_copy import copy_sqlite
from tests.store.test_database import version_1


def test_what_is_still_in_the_log_is_copied_too_and_the_copy_is_one_file(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("INSERT INTO writers (id) VALUES ('w')")
        copied = copy_sqlite(tmp_path / "a.db", tmp_path / "copy")
    assert (copied.schema, copied.checkpoint) == (SCHEMA_VERSION, "")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("copy")) == ["copy"]
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT id FROM writers").fetchall() == [("w",)]


def test_the_newest_checkpoint_is_told(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        rows = (
            "INSERT INTO checkpoints VALUES ('w', 9, 1, 'old')",
            "INSERT INTO checkpoints VALUES ('v', 1, 2, 'new')",
        )
        for row in rows:
            database.execute(row)
    assert copy_sqlite(tmp_path / "a.db", tmp_path / "copy").checkpoint == "new"


def test_a_store_of_an_older_release_is_copied_as_it_is(tmp_path: Path) -> None:
    version_1(tmp_path / "a.db")
    assert copy_sqlite(tmp_path / "a.db", tmp_path / "copy").schema == 1


def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(InvalidConfiguration, match="schema 99"):
        copy_sqlite(tmp_path / "a.db", tmp_path / "copy")


def test_what_is_damaged_is_not_copied_as_if_it_were_whole(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.executemany("INSERT INTO writers (id) VALUES (?)", [(f"{number:04}" * 50,) for number in range(500)])
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray((tmp_path / "a.db").read_bytes())
    content[-3 * 4096 : -4096] = b"\xff" * 8192
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"damaged|malformed"):
        copy_sqlite(tmp_path / "a.db", tmp_path / "copy")
