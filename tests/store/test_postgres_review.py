"""Review in PostgreSQL keeps the contract, misses nothing that commits late, and reads no table from end to end."""

import threading
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy.dialects import postgresql

from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import DeniedRecord, microseconds
from mcpgov.audit.review import ReviewReader
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.audit_index import AuditIndexer, IndexPlace
from mcpgov.store.postgres_database import WRITING, bring_up_to_date, connect
from mcpgov.store.postgres_ledger import IN_ORDER, ORDER, PostgresLedgerStore
from mcpgov.store.postgres_reader import open_engine
from mcpgov.store.postgres_review import open_postgres_review, postgres_place
from tests.audit.calls import NOW, facts
from tests.contract.review_contract import ReviewContract, Reviewed, Rows, ids
from tests.store.postgres import PostgresServer
from tests.store.postgres_asked import ask

MANY: Final = 200_000  # records: half as many calls
CALLS: Final = MANY // 2
STEP: Final = 10_000_000  # microseconds between two calls: about a fortnight in all
END: Final = NOW + timedelta(microseconds=CALLS * STEP)
WAITING: Final = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
HUNG_UP: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
LARGE: Final = f"""
INSERT INTO records (id, writer, seq, call_id, final, event, at, correlation_id, record)
SELECT i, 'w', i, (i - 1) / 2, 1 - i % 2, CASE i % 2 WHEN 1 THEN 'intent' ELSE 'outcome' END,
{microseconds(NOW)} + (i - 1) / 2 * {STEP}::BIGINT, 'cor' || (i - 1) / 2, '{{"call_id":"' || (i - 1) / 2 || '"}}'
FROM generate_series(1, {MANY}) AS i;
INSERT INTO calls SELECT 2 * i + 1, 2 * i + 2, {microseconds(NOW)} + i * {STEP}::BIGINT, 'c' || i % 5, 'tools/call',
't' || i % 50, 'key:' || i % 20, 'agent' || i % 7, '', 'p' || i % 3, '10.0.0.' || i % 9, 'allow', 'allowed',
CASE i % 1000 WHEN 0 THEN 'failed' ELSE 'ok' END, 5000 FROM generate_series(0, {CALLS} - 1) AS i;
INSERT INTO rollups SELECT at / 60000000, connection, effect, reason, tool, principal, status, count(*) FROM calls
GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO hourly_rollups SELECT at / 3600000000, connection, effect, reason, tool, principal, status, count(*)
FROM calls GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO records_text SELECT id, (tool || ':1 all:2 word' || id % 4000 || ':3')::TSVECTOR FROM calls;
INSERT INTO callers SELECT DISTINCT principal, 'name of ' || principal FROM calls WHERE id < 100;
INSERT INTO cursors VALUES ('review', {MANY});
ANALYZE
"""
FILTERS: Final = (
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
    CallFilter(correlation="cor77"),
    CallFilter(text="t7"),
    CallFilter(text="all"),
    CallFilter(text="word77"),
    CallFilter(text="t7", since=NOW + timedelta(days=3), until=NOW + timedelta(days=3, hours=1)),
    CallFilter(oldest_first=True),
)


class InPostgres(Reviewed):
    def __init__(self, url: Secret) -> None:
        self.url = url

    def append(self, rows: Rows) -> None:
        store = PostgresLedgerStore(self.url)
        store.open()
        if rows:
            store.append(rows)
        store.close(finished=True)

    def place(self) -> IndexPlace:
        return postgres_place(self.url)

    def review(self) -> AbstractContextManager[ReviewReader]:
        return open_postgres_review(self.url)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        return ask(self.url, statement)


@pytest.fixture
def kept(postgres: PostgresServer) -> InPostgres:
    return InPostgres(postgres.database())


class TestPostgresReview(ReviewContract):
    def forget_words(self, kept: Reviewed) -> None:
        kept.ask("DELETE FROM records_text")

    @pytest.fixture
    def kept(self, postgres: PostgresServer) -> Reviewed:
        return InPostgres(postgres.database())


def refused(call: str) -> Rows:
    return [DeniedRecord(facts(call), Reason.TOOL_DENIED).row()]


def test_a_record_that_commits_late_is_not_passed_over(postgres: PostgresServer) -> None:
    kept = InPostgres(postgres.database())
    late, early = PostgresLedgerStore(kept.url), PostgresLedgerStore(kept.url)
    late.open()
    early.open()
    with closing(connect(kept.url)) as slow:
        slow.execute("BEGIN")
        slow.execute(IN_ORDER, (ORDER,))
        slow.execute(
            "INSERT INTO records (writer, seq, call_id, final, event, at, record)"
            " VALUES ('slow', 1, 'late', 1, 'denied', 1, '{}')"
        )
        second = threading.Thread(target=early.append, args=(refused("early"),))
        second.start()
        while not kept.ask(WAITING):
            pass  # the second has no id yet, and cannot be seen before the first
        assert AuditIndexer(kept.place()).index() == 0
        slow.execute("COMMIT")
        second.join()
    late.append(refused("last"))
    kept.index()
    assert [row[0] for row in kept.ask("SELECT call_id FROM records JOIN calls USING (id) ORDER BY id")] == [
        *("late", "early", "last")
    ]
    for store in (late, early):
        store.close(finished=True)


def test_while_one_gateway_indexes_the_others_do_something_else(kept: Reviewed) -> None:
    kept.append(refused("1"))
    first = kept.place()
    with first.engine.begin() as indexing:
        assert indexing.exec_driver_sql(first.turn).scalar() is True
        assert AuditIndexer(kept.place()).index() == 0
    assert AuditIndexer(kept.place()).index() == 1


def test_a_server_that_was_away_is_asked_again(kept: Reviewed) -> None:
    kept.append(refused("1"))
    kept.index()
    with kept.review() as review:
        assert ids(review, CallFilter()) == ["1"]
        kept.ask(HUNG_UP)
        assert ids(review, CallFilter()) == ["1"]


def test_a_database_without_a_ledger_is_unavailable(postgres: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable, match="holds no ledger"):
        open_postgres_review(postgres.database())


def test_an_older_database_gets_the_index_of_words(postgres: PostgresServer) -> None:
    url = postgres.database()
    with closing(connect(url)) as connection:
        bring_up_to_date(connection)
        connection.execute("DROP TABLE records_text, pins, definitions, pinned_servers")
        connection.execute("UPDATE mcpgov_schema SET version = 4")
        bring_up_to_date(connection)
    assert ask(url, "SELECT to_regclass('records_text') IS NOT NULL") == [(True,)]


@pytest.fixture(scope="module")
def large(postgres: PostgresServer) -> Secret:
    """A ledger of many records, and its index."""
    url = postgres.database()
    with closing(connect(url)) as connection:
        bring_up_to_date(connection)
    for statement in LARGE.split(";\n"):
        ask(url, statement)
    return url


def plan(url: Secret, wanted: CallFilter, cursor: str) -> list[str]:
    """How PostgreSQL reads a page."""
    with open_postgres_review(url) as review:
        query = review.listing(wanted, cursor, 50)
    compiled = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    return [row[0] for row in ask(url, f"EXPLAIN {compiled}".replace("%%", "%"))]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_page_reads_along_an_index(large: Secret, wanted: CallFilter) -> None:
    asked = replace(wanted, limit=50)
    with open_postgres_review(large) as review:
        cursor = review.page(asked).next
    for place in {"", cursor}:
        lines = plan(large, asked, place)
        assert [line for line in lines if "Seq Scan" in line and "callers" not in line] == [], lines


@pytest.mark.parametrize("days", [1, 7, 14])
def test_counts_come_from_rollups(large: Secret, days: int) -> None:
    wanted = CallFilter(since=END - timedelta(days=days), until=END)
    before = scanned(large)
    with open_postgres_review(large) as review:
        summary = review.summary(wanted, END)
    expected = min(days * 86_400_000_000 // STEP, CALLS)
    assert sum(summary.totals.values()) == pytest.approx(expected, rel=0.1)
    assert (len(summary.tools), summary.agents[0].shown[:8]) == (8, "name of ")
    assert scanned(large) == before


def scanned(url: Secret) -> int:
    """How often records or calls were read from one end to the other."""
    ask(url, "SELECT pg_stat_force_next_flush()")
    [(times,)] = ask(url, "SELECT sum(seq_scan)::INT FROM pg_stat_user_tables WHERE relname IN ('records', 'calls')")
    return int(times)


def test_who_indexes_does_not_wait_for_the_disk(kept: InPostgres) -> None:
    with kept.place().engine.connect() as indexing:
        assert indexing.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
    with open_engine(kept.url, WRITING).connect() as writing:
        assert writing.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
