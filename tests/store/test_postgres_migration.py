"""A database is brought to a newer schema while gateways of the release before write to it, and its proof holds."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord
from mcpgov.audit.verify import verify
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.database import SCHEMA_VERSION, STEPS
from mcpgov.store.postgres_database import connect
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from mcpgov.store.postgres_migration import PostgresMigration
from mcpgov.store.postgres_reader import open_postgres_evidence, open_postgres_reader
from tests.audit.calls import NOW, facts
from tests.contract.ledgers import SIGNER
from tests.store.postgres import PostgresServer
from tests.store.postgres_asked import ask, backend, until_released
from tests.store.test_migration import NEXT, STEPS_OF_THE_NEXT_RELEASE

BATCHES = 60


@pytest.fixture
def database(postgres: PostgresServer) -> Secret:
    return postgres.database()


class Gateways:
    """Two writers of this release, each in a thread, until they have written everything."""

    def __init__(self, database: Secret) -> None:
        self.database = database
        self.began = threading.Event()
        self.wrote: list[int] = []

    def write(self, first: int) -> None:
        store = PostgresLedgerStore(self.database)
        store.open()
        store.append([ControlRecord(ControlEvent.START, NOW).row()])
        for number in range(first, first + BATCHES):
            store.append([DeniedRecord(facts(str(number), NOW), Reason.TOOL_DENIED).row()])
            self.wrote.append(number)
            if len(self.wrote) > 10:
                self.began.set()
            if number % 20 == 0:
                self.cut(store)
        store.checkpoint(SIGNER.checkpoint, NOW)
        store.close(finished=True)

    def cut(self, store: PostgresLedgerStore) -> None:
        """End the connection of a writer, as a network does that was away for a moment."""
        pid = backend(self.database, store.writer)
        ask(self.database, "SELECT pg_terminate_backend(%s)", pid)
        until_released(self.database, pid)

    def through(self, meanwhile: Callable[[], object]) -> None:
        """Write everything, and do that while it is written."""
        with ThreadPoolExecutor(2) as threads:
            writing = [threads.submit(self.write, each * BATCHES) for each in range(2)]
            assert self.began.wait(60)
            meanwhile()
            for one in writing:
                one.result()
        assert len(self.wrote) == 2 * BATCHES


def proved(database: Secret) -> None:
    ask(database, f"UPDATE mcpgov_schema SET version = {SCHEMA_VERSION} RETURNING 1")  # for this release's verifier
    with open_postgres_evidence(database) as evidence:
        verdict = verify(evidence, SIGNER.key, {})
    assert (verdict.code, verdict.findings) == (0, ())


def test_gateways_of_the_release_before_write_on_while_it_is_migrated_and_connect_anew(database: Secret) -> None:
    PostgresMigration(database).migrate()
    Gateways(database).through(PostgresMigration(database, STEPS_OF_THE_NEXT_RELEASE).migrate)
    assert PostgresMigration(database, STEPS_OF_THE_NEXT_RELEASE).version().current
    proved(database)


def test_writers_do_not_wait_behind_a_step_that_waits_for_a_reader(database: Secret) -> None:
    PostgresMigration(database).migrate()
    with ThreadPoolExecutor(1) as threads, closing(connect(database)) as auditor:
        auditor.execute("BEGIN")
        auditor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        auditor.execute("SELECT count(*) FROM records").fetchall()
        migrating = threads.submit(PostgresMigration(database, STEPS_OF_THE_NEXT_RELEASE).migrate)
        Gateways(database).through(lambda: None)
        assert not migrating.done()
        auditor.execute("COMMIT")
        assert migrating.result().wanted == NEXT + 1
    proved(database)


def test_a_database_without_tables_gets_them_and_many_may_do_it_at_once(database: Secret) -> None:
    assert PostgresMigration(database).version().found == 0
    with ThreadPoolExecutor(4) as threads:
        for one in [threads.submit(PostgresMigration(database).migrate) for _ in range(4)]:
            one.result()
    assert ask(database, "SELECT version FROM mcpgov_schema") == [(SCHEMA_VERSION,)]


def test_a_release_that_starts_on_a_newer_schema_is_refused(database: Secret) -> None:
    PostgresMigration(database, STEPS_OF_THE_NEXT_RELEASE).migrate()
    with pytest.raises(InvalidConfiguration, match=f"schema {NEXT + 1}, .*this one reads {SCHEMA_VERSION}"):
        PostgresLedgerStore(database).open()


def test_who_reads_an_older_schema_is_told_what_to_run(database: Secret) -> None:
    older = {version: step for version, step in STEPS.items() if version and version < SCHEMA_VERSION - 1}
    PostgresMigration(database, {**older, 0: ("CREATE TABLE keys (id VARCHAR)", SCHEMA_VERSION - 1)}).migrate()
    with pytest.raises(StoreUnavailable, match=f"schema {SCHEMA_VERSION - 1}.*run mcpgov store migrate"):
        open_postgres_reader(database)


def test_an_account_that_may_not_change_tables_is_told_who_has_to(database: Secret) -> None:
    PostgresMigration(database).migrate()
    ask(database, "CREATE ROLE narrow LOGIN PASSWORD 'hunter/2'")
    ask(database, "GRANT ALL ON ALL TABLES IN SCHEMA public TO narrow")
    narrow = Secret(database.reveal().replace("gateway:", "narrow:"))
    assert PostgresMigration(narrow).migrate().current
    says = (
        f"schema {SCHEMA_VERSION}, this mcpgov wants {NEXT + 1}, .* run mcpgov store migrate with an account that may"
    )
    with pytest.raises(StoreUnavailable, match=says):
        PostgresMigration(narrow, STEPS_OF_THE_NEXT_RELEASE).migrate()
