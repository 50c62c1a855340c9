"""A database says what time it is there, and when it was last written to."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.postgres_condition import postgres_condition, postgres_gateways
from mcpgov.store.postgres_database import bring_up_to_date, connect
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from tests.store.postgres import PostgresServer, postgres_server
from tests.store.postgres_asked import ask, backend, until_released


@pytest.fixture
def database(postgres: PostgresServer) -> Secret:
    url = postgres.database()
    with closing(connect(url)) as connection:
        bring_up_to_date(connection)
    return url


def test_its_clock_and_its_last_record_are_told(database: Secret) -> None:
    found = postgres_condition(database)
    assert (found.damage, found.newest) == ("", None)
    assert found.clock is not None
    assert abs(found.clock - datetime.now(UTC)) < timedelta(minutes=1)
    ask(
        database,
        "INSERT INTO records (writer, seq, final, event, at, record) VALUES ('w', 1, 0, 'control', 1000000, '{}')",
    )
    assert postgres_condition(database).newest == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_a_server_that_keeps_no_promise_is_told() -> None:
    with postgres_server("fsync=off") as server, pytest.raises(StoreUnavailable, match="fsync = on"):
        postgres_condition(server.url("postgres"))


def opened(url: Secret, **details: str) -> PostgresLedgerStore:
    """A writer that is alive, and has said how it started."""
    store = PostgresLedgerStore(url)
    store.open()
    store.append([ControlRecord(ControlEvent.START, datetime.now(UTC), details).row()])
    return store


def test_the_gateways_that_run_are_told_and_none_that_ended_or_was_killed(database: Secret) -> None:
    one, two = opened(database, digest_key="1", counters="memory"), opened(database, digest_key="2")
    probe, killed, ended = opened(database, principal="mcpgov:probe"), opened(database), opened(database)
    ended.close(finished=True)
    pid = backend(database, killed.writer)
    ask(database, "SELECT pg_terminate_backend(%s)", pid)
    until_released(database, pid)
    assert [(found.writer, found.digest_key, found.counters) for found in postgres_gateways(database)] == sorted(
        [(one.writer, "1", "memory"), (two.writer, "2", "")]
    )
    assert [found.writer for found in postgres_gateways(database, two.writer)] == [one.writer]
    assert postgres_gateways(database, one.writer) == ()
    for store in (one, two, probe, killed):
        store.close(finished=True)
    assert postgres_gateways(database) == ()
