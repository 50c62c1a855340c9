"""A file says how it is from inside, while others write to it."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.doctor.facts import Condition
from mcpgov.errors import StoreUnavailable
from mcpgov.store.condition import sqlite_condition, sqlite_gateways, sqlite_here
from mcpgov.store.database import connect, create_database
from mcpgov.store.sqlite_ledger import SqliteLedgerStore


def test_an_empty_store_is_whole(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    assert sqlite_condition(tmp_path / "a.db") == Condition()


def test_the_last_record_and_a_checkpoint_are_seen_also_in_the_log(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute(
            "INSERT INTO records (writer, seq, final, event, at, record) VALUES ('w',1,0,'c',1000000,'{}')"
        )
        database.execute("INSERT INTO checkpoints VALUES ('w', 1, 1, 'note')")
        found = sqlite_condition(tmp_path / "a.db")
    assert found == Condition(proved=True, newest=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))


def test_damage_is_told(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("PRAGMA writable_schema = 1")
        database.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'records_at'")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    try:
        damage = sqlite_condition(tmp_path / "a.db").damage
    except StoreUnavailable as error:
        damage = str(error)
    assert damage


def test_what_is_no_store_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        sqlite_condition(tmp_path / "none.db")


def test_the_sqlite_of_this_python_is_told() -> None:
    assert sqlite_here().version == sqlite3.sqlite_version
    assert sqlite_here().fts5


def start(**details: str) -> ControlRecord:
    return ControlRecord(ControlEvent.START, datetime(2026, 11, 22, tzinfo=UTC), details)


def opened(path: Path, **details: str) -> SqliteLedgerStore:
    """A writer that is alive, and has said how it started."""
    store = SqliteLedgerStore(path)
    store.open()
    store.append([start(**details).row()])
    return store


def test_the_gateways_that_run_are_told_and_none_that_ended_or_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    one, two = opened(path, digest_key="1", counters="memory"), opened(path, digest_key="2")
    probe, killed, ended = opened(path, principal="mcpgov:probe"), opened(path), opened(path)
    ended.close(finished=True)
    killed.close(finished=False)
    assert [(found.writer, found.digest_key, found.counters) for found in sqlite_gateways(path)] == sorted(
        [(one.writer, "1", "memory"), (two.writer, "2", "")]
    )
    assert [found.writer for found in sqlite_gateways(path, two.writer)] == [one.writer]
    assert sqlite_gateways(path, one.writer) == ()
    for store in (one, two, probe):
        store.close(finished=True)
    assert sqlite_gateways(path) == ()
