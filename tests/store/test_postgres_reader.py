"""A ledger in PostgreSQL answers every question as the same ledger in a file does."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from mcpgov.audit.reader import AuditReader, CallFilter
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import OutcomeStatus, Secret
from mcpgov.store.audit_reader import open_sqlite_reader
from mcpgov.store.postgres_ledger import IN_ORDER, ORDER, PostgresLedgerStore
from mcpgov.store.postgres_reader import (
    open_postgres_checkpoints,
    open_postgres_evidence,
    open_postgres_exports,
    open_postgres_reader,
    open_postgres_received,
    open_postgres_sent,
)
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import ALICE, NOW, facts
from tests.store.postgres import PostgresServer
from tests.store.postgres_asked import ask

TICK = timedelta(seconds=1)
BOB = replace(ALICE, id="key:bob", name="Bob", project="search")
ROWS = [
    ControlRecord(ControlEvent.START, NOW).row(),
    IntentRecord(facts("1", NOW, tool="search")).row(),
    IntentRecord(facts("2", NOW + TICK, tool="Search", principal=BOB)).row(),
    OutcomeRecord("2", NOW + 5 * TICK, OutcomeStatus.FAILED, Reason.UPSTREAM_TIMEOUT).row(),
    DeniedRecord(facts("3", NOW + 2 * TICK, tool="delete"), Reason.TOOL_DENIED).row(),
    IntentRecord(facts("4", NOW + 3 * TICK, connection="town", source="10.0.0.9")).row(),
    OutcomeRecord("1", NOW + 6 * TICK, OutcomeStatus.OK, correlation_id="correlation-1", trace_id="f" * 32).row(),
    ControlRecord(ControlEvent.RELOAD, NOW).row(),
]
Readers = tuple[AuditReader, AuditReader]


@pytest.fixture
def readers(postgres: PostgresServer, tmp_path: Path) -> Iterator[Readers]:
    """The same rows, in a database and in a file."""
    url, path = postgres.database(), tmp_path / "mcpgov.db"
    for store in (PostgresLedgerStore(url), SqliteLedgerStore(path)):
        store.open()
        store.append(ROWS)
        store.close(finished=True)
    with open_postgres_reader(url) as one, open_sqlite_reader(path) as other:
        yield one, other


@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(),
        CallFilter(since=NOW + TICK, until=NOW + 3 * TICK),
        CallFilter(tool="search"),
        CallFilter(principal="Bob", project="search"),
        CallFilter(reason="upstream-timeout"),
        CallFilter(status="open"),
        CallFilter(status="denied", connection="city"),
        CallFilter(source="10.0.0.9", method="tools/call"),
        CallFilter(correlation="correlation-3"),
        CallFilter(tool="delete' OR 1=1 -- %s %(a)s"),
        CallFilter(limit=2, oldest_first=True),
    ],
)
def test_a_filter_finds_the_same(readers: Readers, wanted: CallFilter) -> None:
    one, other = (reader.calls(wanted) for reader in readers)
    assert one == other


@pytest.mark.parametrize("identifier", ["2", "correlation-1", "correlation-", "correla", "f" * 32, "none", "100%_x"])
def test_records_are_found_by_the_same_ids(readers: Readers, identifier: str) -> None:
    one, other = ([{**record, "writer": ""} for record in reader.records(identifier)] for reader in readers)
    assert one == other


def test_what_came_last_and_what_comes_after_is_the_same(readers: Readers) -> None:
    one, other = ((reader.latest(3), reader.after(2, 3), reader.after(100, 3)) for reader in readers)
    assert one == other
    assert [len(calls) for calls in one] == [3, 3, 0]


def test_checkpoints_are_found_to_be_sent_away_and_how_far_they_were_is_kept(postgres: PostgresServer) -> None:
    url = postgres.database()
    store = PostgresLedgerStore(url)
    store.open()
    store.append(ROWS)
    store.checkpoint(lambda chain: f"of {chain.size}", NOW)
    store.close(finished=True)
    checkpoints = open_postgres_checkpoints(url)
    (kept,) = checkpoints.lacking("there", 10)
    assert (kept.writer, kept.size, kept.note) == (store.writer, len(ROWS), f"of {len(ROWS)}")
    for _ in range(2):
        checkpoints.move("there", [kept])
        assert checkpoints.lacking("there", 10) == []
    assert checkpoints.lacking("elsewhere", 10) == [kept]


def test_evidence_is_of_one_moment(postgres: PostgresServer) -> None:
    url = postgres.database()
    store = PostgresLedgerStore(url)
    store.open()
    store.append(ROWS)
    with open_postgres_evidence(url) as evidence:
        assert len(list(evidence.records())) == len(ROWS)
        store.append([ControlRecord(ControlEvent.STOP, NOW).row()])
        assert len(list(evidence.records())) == len(ROWS)
    store.close(finished=True)


def test_a_ledger_that_cannot_be_read_is_unavailable(postgres: PostgresServer) -> None:
    url = postgres.database()
    with pytest.raises(StoreUnavailable, match="holds no ledger"):
        open_postgres_reader(url)
    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_postgres_reader(postgres.url("absent"))
    store = PostgresLedgerStore(url)
    store.open()
    store.close(finished=True)
    with open_postgres_reader(url) as reader:
        ask(url, "ALTER TABLE records RENAME TO gone")
        with pytest.raises(StoreUnavailable, match="does not exist"):
            reader.latest(1)
    ask(url, "UPDATE mcpgov_schema SET version = 99")
    with pytest.raises(InvalidConfiguration, match="newer"):
        open_postgres_reader(url)


def test_an_export_reads_on_and_keeps_its_place(postgres: PostgresServer) -> None:
    url = postgres.database()
    store = PostgresLedgerStore(url)
    store.open()
    store.append(ROWS)
    exports = open_postgres_exports(url, "log")
    found = exports.after(0, 100)
    assert [(one.writer, one.seq) for one in found] == [(store.writer, number) for number in range(1, len(ROWS) + 1)]
    assert [exports.hold("a", *lease) for lease in ((0, 9, 1), (0, 10, 2), (9, 11, 3), (0, 20, 11))] == [
        True,
        False,
        True,
        True,
    ]
    exports.move("a", found[2].id)
    exports.move("a", found[1].id)
    assert exports.progress("a").behind == len(ROWS) - 3
    assert exports.lowest_exported(["a"]) == found[2].id
    store.close(finished=True)


def test_an_export_misses_nothing_that_is_committed_late(postgres: PostgresServer) -> None:
    """A writer that took its ids and has not committed holds the others up: no higher id is seen before its own."""
    url = postgres.database()
    stores = [PostgresLedgerStore(url), PostgresLedgerStore(url)]
    for store in stores:
        store.open()
        store.append(ROWS[:1])
    exports = open_postgres_exports(url, "log")
    seen = [one.uid for one in exports.after(0, 100)]
    position = exports.after(0, 100)[-1].id
    with psycopg.connect(url.reveal()) as slow:
        slow.execute(IN_ORDER, (ORDER,))
        slow.execute(
            "INSERT INTO records (writer, seq, final, event, at, record) VALUES ('slow', 1, 0, 'control', 1, '{}')"
        )
        appending = threading.Thread(target=stores[1].append, args=(ROWS[7:],))
        appending.start()
        while not ask(url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            pass  # the other writer waits for its turn
        assert exports.after(position, 100) == []
        slow.commit()
    appending.join()
    late = exports.after(position, 100)
    assert [one.uid for one in late] == ["log/slow/1", f"log/{stores[1].writer}/2"]
    assert len(seen) == 2
    for store in stores:
        store.close(finished=True)


def test_of_two_gateways_that_begin_an_export_at_once_one_has_it(postgres: PostgresServer) -> None:
    url = postgres.database()
    store = PostgresLedgerStore(url)
    store.open()
    held: list[bool] = []
    with psycopg.connect(url.reveal()) as other:
        other.execute("INSERT INTO cursors (name, position) VALUES ('export a held until', 100)")
        taking = threading.Thread(target=lambda: held.append(open_postgres_exports(url, "log").hold("a", 0, 110, 1)))
        taking.start()
        while not ask(url, "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"):
            pass  # it waits for the other to commit
        other.commit()
    taking.join()
    assert held == [False]
    store.close(finished=True)


def test_a_second_database_keeps_what_it_is_sent_from_one_who_may_only_insert(postgres: PostgresServer) -> None:
    url = postgres.database()
    open_postgres_sent(url).put("log/w/1.note", "one", 1)
    with psycopg.connect(url.reveal()) as owner:
        owner.execute("DROP ROLE IF EXISTS sender")
        owner.execute("CREATE ROLE sender LOGIN PASSWORD 'sends'")
        owner.execute("GRANT INSERT ON mcpgov_checkpoints TO sender")
    sender = Secret(url.reveal().replace("gateway:hunter%2F2@", "sender:sends@"))
    sent = open_postgres_sent(sender)
    sent.put("log/w/2.note", "two", 2)
    sent.put("log/w/1.note", "another", 3)
    assert list(open_postgres_received(url).notes()) == ["one", "two"]
    with pytest.raises(StoreUnavailable, match="the database of checkpoints: permission denied"):
        list(open_postgres_received(sender).notes())
