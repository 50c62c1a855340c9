"""Review over the index: pages, counts, words; and over a million records without a scan of them.

The large ledger is made by SQL alone. What a question costs is counted by SQLite itself, in steps of its machine.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool

from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import microseconds
from mcpgov.audit.review import InvalidCursor
from mcpgov.errors import StoreUnavailable
from mcpgov.store.audit_query import SqlReviewReader, open_sqlite_review, place_of
from mcpgov.store.database import connect_to_read, create_database
from mcpgov.store.word_index import FTS5
from tests.audit.calls import NOW

MANY = 1_000_000  # records: half as many calls
CALLS = MANY // 2
STEP = 2_000_000  # microseconds between two calls: about a fortnight in all
END = NOW + timedelta(microseconds=CALLS * STEP)
TICK = 1000  # steps of SQLite's machine
LARGE = f"""
INSERT INTO records (id, writer, seq, call_id, final, event, at, connection, tool, principal, correlation_id, record)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {CALLS - 1})
SELECT 2 * i + 1, 'w', 2 * i + 1, i, 0, 'intent', :start + i * {STEP},
'c' || (i % 5), 't' || (i % 50), 'key:' || (i % 20),
'cor' || i, '{{"call_id":"' || i || '"}}' FROM n
UNION ALL SELECT 2 * i + 2, 'w', 2 * i + 2, i, 1, 'outcome', :start + i * {STEP} + 5, NULL, NULL, NULL, 'cor' || i,
'{{"call_id":"' || i || '"}}' FROM n;
INSERT INTO calls (id, ended, at, connection, method, tool, principal, agent, blueprint, project, source, effect,
reason, status, total) SELECT id, id + 1, at, connection, 'tools/call', tool, principal,
'agent' || (id % 7), '', 'p' || (id % 3), '10.0.0.' || (id % 9),
'allow', 'allowed', CASE id % 1000 WHEN 1 THEN 'failed' ELSE 'ok' END, 5000
FROM records WHERE final = 0;
INSERT INTO rollups SELECT at / 60000000, connection, effect, reason, tool, principal, status, count(*) FROM calls
GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO hourly_rollups SELECT at / 3600000000, connection, effect, reason, tool, principal, status, count(*)
FROM calls GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO latencies SELECT at / 60000000, connection, 49, count(*) FROM calls GROUP BY 1, 2;
INSERT INTO hourly_latencies SELECT at / 3600000000, connection, 49, count(*) FROM calls GROUP BY 1, 2;
INSERT INTO records_text (rowid, text) SELECT id, tool || ' word' || (id % 4000) FROM calls;
INSERT INTO callers SELECT DISTINCT principal, 'name of ' || principal FROM calls WHERE id < 100;
INSERT INTO cursors VALUES ('review', {MANY})
"""
FILTERS = (
    CallFilter(),
    CallFilter(tool="t7"),
    CallFilter(tool="none"),
    CallFilter(principal="name of key:4"),
    CallFilter(connection="c1", since=END - timedelta(hours=1)),
    CallFilter(status="failed"),
    CallFilter(status="open"),
    CallFilter(reason="allowed", until=NOW + timedelta(hours=1)),
    CallFilter(agent="agent3"),
    CallFilter(source="10.0.0.1", decision="allow"),
    CallFilter(decision="allow", reason="allowed", status="failed"),
    CallFilter(text="t7"),
    CallFilter(text="t7", since=NOW + timedelta(days=3), until=NOW + timedelta(days=3, hours=1)),
    CallFilter(text="word77"),
    CallFilter(oldest_first=True),
)


class Counted:
    """A reader that counts what its questions cost."""

    def __init__(self, path: Path) -> None:
        self.steps = 0
        self.reader = SqlReviewReader(
            create_engine("sqlite://", creator=lambda: self.connection(path), poolclass=NullPool), FTS5
        )

    def connection(self, path: Path) -> sqlite3.Connection:
        database = connect_to_read(path)
        database.set_progress_handler(self.tick, TICK)
        return database

    def tick(self) -> int:
        self.steps += TICK
        return 0

    def cost(self, ask: Callable[[], object]) -> int:
        self.steps = 0
        ask()
        return self.steps


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ledger of a million records, and its index."""
    path = tmp_path_factory.mktemp("large") / "mcpgov.db"
    create_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        database.execute("BEGIN")
        for statement in LARGE.split(";\n"):
            database.execute(statement, {"start": microseconds(NOW)} if ":start" in statement else {})
        for _, made in indexes:
            database.execute(made)
        database.execute("COMMIT")
    yield path
    path.unlink()


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_page_of_a_million_records_reads_along_an_index_and_ends(large: Path, wanted: CallFilter) -> None:
    counted = Counted(large)
    asked = replace(wanted, limit=50)
    page = counted.reader.page(asked)
    cursor = page.next
    assert counted.cost(lambda: counted.reader.page(asked)) <= 40_000
    if cursor:
        assert counted.cost(lambda: counted.reader.page(asked, cursor)) <= 40_000
    assert [line for line in plan(large, counted.reader, asked, cursor) if is_scan(line)] == []


def test_a_correlation_id_finds_its_call_among_a_million_records(large: Path) -> None:
    counted = Counted(large)
    wanted = CallFilter(correlation="cor77", limit=50)
    assert [call.get("call_id") for call in counted.reader.page(wanted).calls] == ["77"]
    assert counted.cost(lambda: counted.reader.page(wanted)) <= 1000


def plan(path: Path, reader: SqlReviewReader, wanted: CallFilter, cursor: str) -> list[str]:
    """How SQLite reads a page."""
    query = reader.listing(wanted, cursor, 50)
    compiled = query.compile(dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True})
    values: dict[str, object] = dict(compiled.params)
    with closing(connect_to_read(path)) as database:
        return [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {compiled}", values)]


def is_scan(line: str) -> bool:
    """Whether a table is read from one end, or sorted."""
    in_order = "USING INDEX" in line or "VIRTUAL TABLE" in line
    return (line.startswith("SCAN") and not in_order) or "TEMP B-TREE" in line


@pytest.mark.parametrize("days", [1, 7, 14])
def test_counts_of_a_million_records_come_from_rollups(large: Path, days: int) -> None:
    counted = Counted(large)
    wanted = CallFilter(since=END - timedelta(days=days), until=END)
    summary = counted.reader.summary(wanted, END)
    expected = min(days * 86_400_000_000 // STEP, CALLS)
    assert sum(summary.totals.values()) == pytest.approx(expected, rel=0.05)
    assert (len(summary.tools), summary.agents[0].shown[:8]) == (8, "name of ")
    # One step of SQLite's machine a row and column at least: a scan of the records would take many millions.
    assert counted.cost(lambda: counted.reader.summary(wanted, END)) <= 12_000_000


def test_what_rollups_cannot_tell_is_counted_over_the_newest(large: Path) -> None:
    counted = Counted(large)
    wanted = CallFilter(agent="agent3", since=NOW, until=END)
    summary = counted.reader.summary(wanted, END)
    assert (summary.counted, sum(summary.totals.values())) == (10_000, 10_000)
    assert counted.cost(lambda: counted.reader.summary(wanted, END)) <= 2_000_000


@pytest.mark.parametrize("cursor", ["x", "W10", "bnVsbA", "WzEsMiwzXQ", "WzEuNSwyXQ", "Wy0xLDJd", "é"])
def test_a_cursor_of_nobodys_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        place_of(cursor)


def test_a_store_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_sqlite_review(tmp_path / "none.db")
