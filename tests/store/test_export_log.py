"""What is exported of a store: every record once, in the order of commit, from where each export has come."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord, microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.exports import new_format
from mcpgov.store.export_log import AT_ONCE, Progress, SqlExports, open_sqlite_exports
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW
from tests.audit.exports import LOG, rows
from tests.store.altered import ALTERED, alter

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> SqliteLedgerStore:
    """A ledger that is open."""
    made = SqliteLedgerStore(tmp_path / "mcpgov.db")
    made.open()
    return made


@pytest.fixture
def kept(store: SqliteLedgerStore, tmp_path: Path) -> SqlExports:
    """The same, to be exported."""
    assert store.writer
    return open_sqlite_exports(tmp_path / "mcpgov.db", LOG)


def test_records_are_read_in_the_order_of_commit(store: SqliteLedgerStore, kept: SqlExports) -> None:
    made = rows()
    store.append(made)
    first = kept.after(0, 2)
    assert [(one.log, one.writer, one.seq, one.at) for one in first] == [
        (LOG, store.writer, number, row.at) for number, row in enumerate(made[:2], 1)
    ]
    assert first[1].record["gen_ai.tool.name"] == "search"
    assert [one.seq for one in kept.after(first[-1].id, 10)] == [3, 4, 5]
    assert kept.after(100, 10) == []


def test_the_newest_record_is_the_last_that_was_committed(store: SqliteLedgerStore, kept: SqlExports) -> None:
    assert kept.newest() is None
    store.append(rows())
    assert kept.newest() == kept.after(4, 1)[0]


def test_a_span_of_time_is_read_in_batches(store: SqliteLedgerStore, kept: SqlExports) -> None:
    store.append([ControlRecord(ControlEvent.RELOAD, NOW + number * HOUR).row() for number in range(AT_ONCE + 3)])
    assert [len(batch) for batch in kept.between(None, None)] == [AT_ONCE, 3]
    since, until = microseconds(NOW + HOUR), microseconds(NOW + 3 * HOUR)
    assert [one.seq for batch in kept.between(since, until) for one in batch] == [2, 3]


def test_each_export_goes_on_from_where_it_was_and_never_back(kept: SqlExports) -> None:
    assert kept.position("a") == 0
    for position in (5, 7, 6):
        kept.move("a", position)
    kept.move("b", 1)
    assert [kept.position(name) for name in "abc"] == [7, 1, 0]


def test_retention_is_told_what_has_not_left_everywhere(kept: SqlExports) -> None:
    kept.move("a", 7)
    kept.move("b", 3)
    assert kept.lowest_exported(["a", "b"]) == 3
    assert kept.lowest_exported(["a", "new"]) == 0
    assert kept.lowest_exported([]) is None


def test_a_lease_is_held_by_one_until_it_ends_or_is_let_go(kept: SqlExports) -> None:
    assert kept.hold("a", 0, 100, 40)
    assert not kept.hold("a", 0, 101, 41)
    assert kept.hold("a", 100, 110, 50)
    assert not kept.hold("a", 100, 120, 60)  # that one has ended meanwhile, for it was taken on
    assert kept.hold("a", 0, 170, 110)
    kept.release("a", 110)
    assert not kept.hold("a", 0, 180, 120)
    kept.release("a", 170)
    assert kept.hold("a", 0, 180, 121)
    assert kept.hold("b", 0, 180, 121)


def test_progress_tells_what_waits_and_what_is_wrong(store: SqliteLedgerStore, kept: SqlExports) -> None:
    assert kept.progress("a") == Progress(0, 0, 0, 0, "")
    made = rows()
    store.append(made)
    assert kept.progress("a") == Progress(0, 5, made[0].at, 0, "")
    kept.move("a", 3)
    failed = ControlRecord(ControlEvent.EXPORT_FAILING, NOW + HOUR, {"export": "a", "error": "siem: answered 503"})
    store.append([failed.row()])
    kept.fail("a", microseconds(NOW + HOUR) - 5)
    assert kept.progress("a") == Progress(3, 3, made[3].at, microseconds(NOW + HOUR) - 5, "siem: answered 503")
    kept.fail("b", microseconds(NOW + HOUR) - 5)
    assert kept.progress("b").error == ""
    kept.fail("a", 0)
    kept.move("a", 6)
    assert kept.progress("a") == Progress(6, 0, 0, 0, "")
    assert kept.failing("a") == 0


def test_what_was_purged_does_not_wait(store: SqliteLedgerStore, kept: SqlExports, tmp_path: Path) -> None:
    store.append(rows())
    with closing(sqlite3.connect(tmp_path / "mcpgov.db", isolation_level=None)) as database:
        database.execute("DELETE FROM records WHERE id < 3")
    assert kept.progress("a").behind == 3


def test_progress_looks_at_few_rows(store: SqliteLedgerStore, kept: SqlExports, tmp_path: Path) -> None:
    assert kept.progress("a")
    store.append(rows())
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database:
        plans = [
            database.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
            for query in (
                "SELECT min(id) FROM records",
                "SELECT max(id) FROM records",
                "SELECT at FROM records WHERE id > 3 ORDER BY id LIMIT 1",
            )
        ]
    assert all("SEARCH" in plan[0][3] for plan in plans)


def test_a_store_that_is_broken_is_unavailable(kept: SqlExports, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database:
        database.execute("DROP TABLE cursors")
    with pytest.raises(StoreUnavailable, match="no such table"):
        kept.move("a", 1)


@pytest.mark.parametrize("how", ALTERED)
def test_a_record_that_somebody_altered_holds_up_no_other(
    store: SqliteLedgerStore, kept: SqlExports, tmp_path: Path, how: str
) -> None:
    store.append(rows())
    alter(tmp_path / "mcpgov.db", how, 2)
    found = kept.after(0, 10)
    assert [one.id for one in found] == [1, 2, 3, 4, 5]
    for name in ("jsonl", "csv", "parquet", "cloudevents", "ocsf", "otlp", "syslog", "azure-monitor"):
        assert sum(payload.count for payload in new_format(name, import_module).payloads(found)) == 5
    kept.move("a", 1)
    progress = kept.progress("a")
    assert (progress.behind, progress.oldest) == (4, found[1].at)


def test_what_was_said_of_a_failure_and_then_altered_is_left_out(
    store: SqliteLedgerStore, kept: SqlExports, tmp_path: Path
) -> None:
    failed = ControlRecord(ControlEvent.EXPORT_FAILING, NOW, {"export": "a", "error": "siem: answered 503"})
    store.append([failed.row()])
    kept.fail("a", microseconds(NOW))
    alter(tmp_path / "mcpgov.db", "garbage", 1)
    assert kept.progress("a").error == ""
