"""A PostgreSQL is reached as its URL says and its tables are made once; what it says back never holds a secret."""

import asyncio
import sqlite3
import ssl
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.dialects import postgresql

from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.database import SCHEMA_VERSION, STEPS
from mcpgov.store.postgres_database import (
    READ_ONLY,
    UNFLUSHED,
    WRITING,
    BoundedConnection,
    bring_up_to_date,
    connect,
    connect_async,
    in_postgres,
    is_cut,
    options,
    place,
    said,
    unavailable,
)
from mcpgov.store.schema import METADATA
from tests.store.postgres import PostgresServer, postgres_server
from tests.store.postgres_asked import ask


@pytest.fixture
def database(postgres: PostgresServer) -> Secret:
    return postgres.database()


@pytest.fixture
def connection(database: Secret) -> Generator[BoundedConnection]:
    with closing(connect(database)) as connected:
        yield connected


def test_the_tables_are_those_that_sqlalchemy_knows(connection: BoundedConnection, database: Secret) -> None:
    bring_up_to_date(connection)
    bring_up_to_date(connection)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(database))
    found, dialect = inspect(engine), postgresql.dialect()
    for table in METADATA.sorted_tables:
        columns = {column["name"]: column for column in found.get_columns(table.name)}
        assert list(columns) == [column.name for column in table.columns]
        for column in table.columns:
            said_of = columns[column.name]["type"].compile(dialect).partition(" ")[0]
            assert (column.name, said_of) == (column.name, column.type.compile(dialect))
            assert columns[column.name]["nullable"] == column.nullable
        key = found.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key.columns]
        unique = {tuple(each["column_names"]) for each in found.get_unique_constraints(table.name)}
        indexes = {tuple(each["column_names"]) for each in found.get_indexes(table.name)} - unique
        assert indexes == {tuple(column.name for column in index.columns) for index in table.indexes}
    engine.dispose()
    assert ask(database, "SELECT version FROM mcpgov_schema") == [(SCHEMA_VERSION,)]
    ((tables,),) = ask(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    assert tables == len(METADATA.sorted_tables) + 2  # the index of words, and the version


def test_what_the_tables_hold_by_default_is_the_same(connection: BoundedConnection, tmp_path: Path) -> None:
    row = "INSERT INTO records (writer, seq, final, event, at, record) VALUES ('w', 1, 0, 'control', 1, '{}')"
    bring_up_to_date(connection)
    connection.execute(row.encode())
    with closing(sqlite3.connect(tmp_path / "x.db")) as file:
        file.executescript(STEPS[0][0])
        file.execute(row)
        kept = file.execute("SELECT id, hash FROM records").fetchall()
    assert connection.execute("SELECT id, hash FROM records").fetchall() == kept


def test_text_is_ordered_by_its_bytes_whatever_the_language_of_the_database(postgres: PostgresServer) -> None:
    url = postgres.database("LOCALE_PROVIDER icu ICU_LOCALE 'und' TEMPLATE template0")
    with closing(connect(url)) as connection:
        bring_up_to_date(connection)
        for writer in ("b", "B", "a", "A", "ä"):
            connection.execute("INSERT INTO writers (id) VALUES (%s)", (writer,))
        found = connection.execute("SELECT id FROM writers ORDER BY id").fetchall()
    assert [row[0] for row in found] == ["A", "B", "a", "b", "ä"]


def test_tables_of_an_older_version_are_brought_up_to_date_and_keep_what_they_hold(
    connection: BoundedConnection, database: Secret
) -> None:
    first = {0: ("CREATE TABLE things (id VARCHAR NOT NULL)", 1)}
    bring_up_to_date(connection, first)
    connection.execute("INSERT INTO things (id) VALUES ('kept')")
    steps = {**first, 1: ("ALTER TABLE things ADD COLUMN a BLOB;\nCREATE INDEX things_a ON things (a)", 2)}
    bring_up_to_date(connection, steps)
    assert ask(database, "SELECT id, a FROM things") == [("kept", None)]
    with pytest.raises(InvalidConfiguration, match="schema 2, which a newer mcpgov wrote"):
        bring_up_to_date(connection, first)


def test_a_step_that_fails_changes_nothing(connection: BoundedConnection, database: Secret) -> None:
    steps = {0: ("CREATE TABLE things (id VARCHAR); CREATE TABLE things (id VARCHAR)", 1)}
    with pytest.raises(StoreUnavailable, match="already exists"), unavailable():
        bring_up_to_date(connection, steps)
    connection.close()
    assert ask(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_of_many_that_start_together_one_makes_the_tables(database: Secret) -> None:
    failures: list[psycopg.Error] = []

    def start() -> None:
        with closing(connect(database)) as connection:
            try:
                bring_up_to_date(connection)
            except psycopg.Error as error:
                failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ask(database, "SELECT version FROM mcpgov_schema") == [(SCHEMA_VERSION,)]


def test_a_server_that_says_committed_too_early_is_refused() -> None:
    with (
        postgres_server("fsync=off") as careless,
        closing(connect(careless.database())) as connection,
        pytest.raises(StoreUnavailable, match="needs fsync = on"),
    ):
        bring_up_to_date(connection)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer) -> None:
    url = postgres.database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with closing(connect(url)) as connection, pytest.raises(StoreUnavailable, match="UTF8"):
        bring_up_to_date(connection)


def test_who_writes_is_answered_within_two_seconds_and_who_reads_cannot_write(database: Secret) -> None:
    with closing(connect(database)) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        with pytest.raises(StoreUnavailable, match="statement timeout"), unavailable():
            connection.execute("SELECT pg_sleep(60)")
    with closing(connect(database, settings=READ_ONLY)) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
        with pytest.raises(StoreUnavailable, match="read-only transaction"), unavailable():
            connection.execute("CREATE TABLE things ()")


def test_a_server_that_says_nothing_is_given_up(connection: BoundedConnection) -> None:
    connection.execute("SET statement_timeout = 0")
    connection.patience = 0.01
    with pytest.raises(StoreUnavailable, match="PostgreSQL: "), unavailable():
        connection.execute("SELECT pg_sleep(60)")


def test_a_connection_that_was_hung_up_is_seen_without_asking(connection: BoundedConnection, database: Secret) -> None:
    assert not is_cut(connection)
    ask(database, "SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
    while not is_cut(connection):
        pass
    connection.close()
    assert is_cut(connection)


async def test_who_leaves_a_connection_does_not_wait_for_the_server(database: Secret) -> None:
    connection = await connect_async(database)
    await connection.execute("SET statement_timeout = 0")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await connection.execute("SELECT pg_sleep(60)")
    assert connection.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE
    await connection.close()


@pytest.mark.parametrize(
    ("host", "tls"),
    [
        ("127.0.0.1", "prefer"),
        ("[::1]:5432", "prefer"),
        ("localhost", "prefer"),
        ("db.contoso.com", "verify-full"),
        ("10.0.0.7", "verify-full"),
    ],
)
def test_over_a_network_the_server_has_to_prove_who_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, tls: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert ssl.get_default_verify_paths().cafile is None
    told = options(Secret(f"postgresql://u:p@{host}/db"), WRITING)
    assert (told["sslmode"], told.get("sslrootcert")) == (tls, "system" if tls == "verify-full" else None)
    assert options(Secret(f"postgresql://u:p@{host}/db?sslmode=require"), WRITING)["sslmode"] == "require"
    monkeypatch.setenv("SSL_CERT_FILE", __file__)
    told = options(Secret(f"postgresql://u:p@{host}/db?sslmode=verify-full"), WRITING)
    assert (told["sslmode"], told["sslrootcert"]) == ("verify-full", __file__)


@pytest.mark.parametrize("name", ["postgres", "absent"])
def test_a_password_that_is_refused_is_not_printed(postgres: PostgresServer, name: str) -> None:
    wrong = "hunter3" if name == "postgres" else "hunter/2"
    with pytest.raises(StoreUnavailable) as raised, unavailable():
        connect(postgres.url(name, password=wrong))
    assert "hunter" not in f"{raised.value!r}"
    assert "authentication failed" in str(raised.value) or "does not exist" in str(raised.value)


def test_what_the_server_says_of_a_row_is_not_repeated(connection: BoundedConnection) -> None:
    bring_up_to_date(connection)
    insert = "INSERT INTO keys (id, digest, name, project, created_at) VALUES ('hunter2', '', '', '', 1)"
    connection.execute(insert.encode())
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(insert.encode())
    assert "hunter2" in str(raised.value)
    assert "hunter2" not in said(raised.value)
    assert said(psycopg.OperationalError()) == "OperationalError"


def test_the_words_of_sqlite_are_those_of_the_steps() -> None:
    translated = "".join(in_postgres(statements) for statements, _ in STEPS.values())
    assert not any(word in translated for word in ("BLOB", "x''", "VIRTUAL", "fts5", "id INTEGER"))


def test_what_may_stay_in_the_cache_of_the_system_is_not_waited_for(database: Secret) -> None:
    with closing(connect(database, settings=UNFLUSHED)) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)


def test_a_server_is_named_without_who_signs_in() -> None:
    assert place(Secret("postgresql://u:hunter2@db/x?sslmode=require")) == "PostgreSQL db:5432/x"
    assert place(Secret("postgresql://u@db:6000/x")) == "PostgreSQL db:6000/x"
