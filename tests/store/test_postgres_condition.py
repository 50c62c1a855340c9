"""A database says what time it is there, and when it was last written to."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.postgres_condition import postgres_condition
from mcpgov.store.postgres_database import bring_up_to_date, connect
from tests.store.postgres import PostgresServer, postgres_server
from tests.store.postgres_asked import ask


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
