"""A file is brought to a newer schema while gateways of the release before write to it, and its proof holds."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord
from mcpgov.audit.verify import verify
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration
from mcpgov.store.database import SCHEMA_VERSION, STEPS, connect, connect_to_read, create_database
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.migration import SqliteMigration
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts
from tests.contract.ledgers import SIGNER

NEXT = SCHEMA_VERSION + 1
ADDED = """CREATE TABLE extras (id VARCHAR NOT NULL, PRIMARY KEY (id));
ALTER TABLE records ADD COLUMN extra VARCHAR;
ALTER TABLE writers ADD COLUMN extra VARCHAR"""
STEPS_OF_THE_NEXT_RELEASE = {**STEPS, SCHEMA_VERSION: (ADDED, NEXT), NEXT: ("CREATE TABLE more (id VARCHAR)", NEXT + 1)}
BATCHES = 200
ADDS = re.compile(
    r"CREATE (?:VIRTUAL )?TABLE|CREATE INDEX|ALTER TABLE \w+ ADD COLUMN \w+ (?:(?!NOT NULL).)*$|"
    r"ALTER TABLE \w+ ADD COLUMN \w+ \w+ DEFAULT .* NOT NULL$"
)


def test_every_step_only_adds_so_that_the_release_before_goes_on_writing() -> None:
    taken = [text for version, (text, _) in STEPS.items() if version]
    statements = [one.strip() for text in taken for one in text.split(";") if one.strip()]
    assert statements
    assert [one for one in statements if not ADDS.match(one)] == []


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE keys", "UPDATE keys SET a = 1", "ALTER TABLE keys ADD COLUMN a VARCHAR NOT NULL", "DELETE FROM keys"],
)
def test_a_step_that_takes_away_or_asks_for_more_is_noticed(statement: str) -> None:
    assert not ADDS.match(statement)


def test_every_step_leads_to_a_version_that_has_the_next_one() -> None:
    assert all(target == SCHEMA_VERSION or target in STEPS for _, target in STEPS.values())


def denied(number: int) -> list[DeniedRecord]:
    return [DeniedRecord(facts(f"{number}-{each}", NOW), Reason.TOOL_DENIED) for each in range(3)]


def write_on(path: Path, first: int, wrote: list[int], began: threading.Event) -> None:
    """A gateway of this release, from its start to its end."""
    store = SqliteLedgerStore(path)
    store.open()
    store.append([ControlRecord(ControlEvent.START, NOW).row()])
    for number in range(first, first + BATCHES):
        store.append([record.row() for record in denied(number)])
        wrote.append(number)
        if len(wrote) > 20:
            began.set()
        if number % 50 == 0:
            store.checkpoint(SIGNER.checkpoint, NOW)
    store.checkpoint(SIGNER.checkpoint, NOW)
    store.close(finished=True)


def test_gateways_of_the_release_before_write_on_while_the_file_is_migrated_and_afterwards(tmp_path: Path) -> None:
    path, began, wrote = tmp_path / "a.db", threading.Event(), list[int]()
    create_database(path)
    with ThreadPoolExecutor(6) as threads:
        gateways = [threads.submit(write_on, path, BATCHES * each, wrote, began) for each in range(2)]
        assert began.wait(30)
        before = SqliteMigration(path, STEPS_OF_THE_NEXT_RELEASE).migrate()
        written_before = len(wrote)
        for gateway in gateways:
            gateway.result()
    assert written_before < len(wrote) == 2 * BATCHES
    assert (before.found, before.wanted) == (SCHEMA_VERSION, NEXT + 1)
    with closing(connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (NEXT + 1,)
        assert database.execute("SELECT count(*) FROM records WHERE event = 'denied'").fetchone() == (6 * BATCHES,)
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")  # for this release's verifier
    with open_sqlite_evidence(path) as evidence:
        verdict = verify(evidence, SIGNER.key, {})
    assert (verdict.code, verdict.findings) == (0, ())
    assert verdict.checkpoints > 2


def test_many_may_migrate_at_once_and_each_step_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    create_database(path)
    with ThreadPoolExecutor(6) as threads:
        migrating = [threads.submit(SqliteMigration(path, STEPS_OF_THE_NEXT_RELEASE).migrate) for _ in range(6)]
        assert all(one.result().wanted == NEXT + 1 for one in migrating)
    assert SqliteMigration(path, STEPS_OF_THE_NEXT_RELEASE).version().current


def test_a_step_that_fails_leaves_what_the_steps_before_it_made(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    create_database(path)
    broken = {**STEPS_OF_THE_NEXT_RELEASE, NEXT: ("CREATE TABLE more (id VARCHAR); CREATE TABLE more (id)", NEXT + 1)}
    with pytest.raises(Exception, match="already exists"):
        SqliteMigration(path, broken).migrate()
    assert SqliteMigration(path, broken).version().found == NEXT
    SqliteMigration(path, STEPS_OF_THE_NEXT_RELEASE).migrate()
    assert SqliteMigration(path, STEPS_OF_THE_NEXT_RELEASE).version().current


def test_a_release_that_starts_on_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    create_database(path)
    SqliteMigration(path, STEPS_OF_THE_NEXT_RELEASE).migrate()
    openings: tuple[Callable[[], object], ...] = (
        lambda: create_database(path),
        lambda: connect_to_read(path),
        SqliteMigration(path).migrate,
    )
    for opened in openings:
        with pytest.raises(InvalidConfiguration, match=f"schema {NEXT + 1}, .*this one reads {SCHEMA_VERSION}"):
            opened()


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = SqliteMigration(tmp_path / "a.db").migrate()
    assert (found.found, found.current, list(tmp_path.iterdir())) == (0, True, [])
