"""The evidence in a store is of one moment, and proves single records."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.audit.note import Signer
from mcpgov.audit.proof import Proof
from mcpgov.audit.record import ControlEvent, ControlRecord, IntentRecord, OutcomeRecord
from mcpgov.audit.verify import Kept, verify
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.store.database import create_database
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts

SIGNER = Signer(bytes(32))


@pytest.fixture
def store(tmp_path: Path) -> SqliteLedgerStore:
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    store.append([ControlRecord(ControlEvent.START, NOW).row()])
    for number in range(9):
        store.append([IntentRecord(facts(str(number))).row(), OutcomeRecord(str(number), NOW, OutcomeStatus.OK).row()])
    return store


def test_a_store_is_read_whole_with_its_checkpoints_and_writers(tmp_path: Path, store: SqliteLedgerStore) -> None:
    store.checkpoint(SIGNER.checkpoint, NOW)
    with open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence:
        verdict = verify(evidence, SIGNER.key, {})
        records = list(evidence.records())
        assert evidence.writers() == {store.writer: None}
    assert (verdict.code, verdict.records, verdict.checkpoints, verdict.uncovered) == (0, 19, 1, 0)
    assert [isinstance(record, Kept) and bool(record.note) for record in records] == [False] * 18 + [True]


def test_what_is_written_meanwhile_is_not_seen(tmp_path: Path, store: SqliteLedgerStore) -> None:
    with open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence:
        records = evidence.records()
        first = next(records)
        store.append([IntentRecord(facts("later")).row()])
        store.checkpoint(SIGNER.checkpoint, NOW)
        store.close(finished=True)
        assert len([first, *records]) == 19
        assert list(evidence.loose_notes()) == []
        assert evidence.writers() == {store.writer: None}


def test_a_checkpoint_of_what_is_not_there_is_loose(tmp_path: Path, store: SqliteLedgerStore) -> None:
    store.checkpoint(SIGNER.checkpoint, NOW)
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database, database:
        database.execute("DELETE FROM records WHERE seq = 19")
    with open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence:
        (note,) = evidence.loose_notes()
    assert "\n19\n" in note


def test_a_record_is_proved_by_the_first_checkpoint_after_it(tmp_path: Path, store: SqliteLedgerStore) -> None:
    store.checkpoint(SIGNER.checkpoint, NOW)
    store.append([IntentRecord(facts("more")).row()])
    store.checkpoint(SIGNER.checkpoint, NOW)
    store.append([OutcomeRecord("more", NOW, OutcomeStatus.OK).row()])
    with open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence:
        for number, seq in ((0, 2), (3, 8), (8, 18)):
            proofs = [proof for proof in evidence.proofs(str(number)) if isinstance(proof, Proof)]
            assert [proof.check(SIGNER.key) for proof in proofs] == [
                f"{store.writer}:{seq}",
                f"{store.writer}:{seq + 1}",
            ]
            assert {proof.size for proof in proofs} == {19}
        begun, ended = evidence.proofs("correlation-more") + evidence.proofs("more")[1:]
        assert isinstance(begun, Proof)
        assert (begun.check(SIGNER.key), begun.size) == (f"{store.writer}:20", 20)
        assert ended == f"{store.writer}:21"
        assert evidence.proofs("nobody") == []


def test_the_first_record_of_all_is_proved(tmp_path: Path) -> None:
    store = SqliteLedgerStore(tmp_path / "one.db")
    store.open()
    store.append([IntentRecord(facts("1")).row()])
    store.checkpoint(SIGNER.checkpoint, NOW)
    with open_sqlite_evidence(tmp_path / "one.db") as evidence:
        (proof,) = evidence.proofs("1")
    assert isinstance(proof, Proof)
    assert proof.check(SIGNER.key) == f"{store.writer}:1"
    assert proof.hashes == ()


def test_a_store_that_cannot_be_read_is_unavailable(tmp_path: Path, store: SqliteLedgerStore) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"), open_sqlite_evidence(tmp_path / "none.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database:
        database.execute("DROP TABLE records")
    with (
        open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence,
        pytest.raises(StoreUnavailable, match="no such table"),
    ):
        list(evidence.records())


def test_a_store_from_before_there_were_hashes_says_so(tmp_path: Path) -> None:
    create_database(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreUnavailable, match="without proof"), open_sqlite_evidence(tmp_path / "old.db"):
        pass


def test_evidence_is_read_within_its_context(tmp_path: Path, store: SqliteLedgerStore) -> None:
    evidence = open_sqlite_evidence(tmp_path / "mcpgov.db")
    with pytest.raises(ValueError, match="within its context"):
        list(evidence.records())
    evidence.__exit__()


@pytest.mark.parametrize("column", ["record = X'ff'", "hash = 'zz'", "seq = 'zz'"])
def test_nothing_is_proved_of_what_no_gateway_keeps_so(tmp_path: Path, store: SqliteLedgerStore, column: str) -> None:
    store.checkpoint(SIGNER.checkpoint, NOW)
    with closing(sqlite3.connect(tmp_path / "mcpgov.db")) as database, database:
        database.execute(f"UPDATE records SET {column} WHERE id = 4")
    with (
        open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence,
        pytest.raises(StoreUnavailable, match="row 4 is kept"),
    ):
        evidence.proofs("1")


def test_a_record_is_proved_by_the_beginning_of_its_correlation_id(tmp_path: Path, store: SqliteLedgerStore) -> None:
    store.checkpoint(SIGNER.checkpoint, NOW)
    store.append([IntentRecord(facts("c0ffee")).row()])
    with open_sqlite_evidence(tmp_path / "mcpgov.db") as evidence:
        assert evidence.proofs("correlation-c0ff") == [f"{store.writer}:20"]
        assert evidence.proofs("correl") == []
