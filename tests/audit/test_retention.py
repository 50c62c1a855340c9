"""What is too old goes, in batches that are each whole; what is under way, not taken or not right stays."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from mcpgov.audit import retention
from mcpgov.audit.note import Signer
from mcpgov.audit.proof import Proof
from mcpgov.audit.record import ControlEvent, ControlRecord, IntentRecord, OutcomeRecord
from mcpgov.audit.retention import Purge, PurgingLedger, Retention, Wanted
from mcpgov.audit.verify import Verdict, verify
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.store.audit_index import AuditIndexer, sqlite_place
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.oldest_records import open_sqlite_oldest
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts

SIGNER = Signer(bytes(32))
DAY = timedelta(days=1)


class Site:
    """A gateway that wrote five calls on each of three days, and its index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteLedgerStore(path)
        self.store.open()
        for day in range(3):
            at = NOW + day * DAY
            for number in range(5):
                call = f"{day}-{number}"
                ended = OutcomeRecord(call, at, OutcomeStatus.OK)
                self.store.append([IntentRecord(facts(call, at, tool=f"tool{day}")).row(), ended.row()])
            self.store.checkpoint(SIGNER.checkpoint, at)
        while AuditIndexer(sqlite_place(path)).index():
            pass

    @contextmanager
    def opened(self) -> Generator[PurgingLedger]:
        store = SqliteLedgerStore(self.path)
        store.open()
        yield store
        store.close(finished=True)

    def purge(self, days: int, *, keep_from: int | None = None, dry: bool = False) -> Purge:
        with open_sqlite_oldest(self.path) as oldest:
            purging = Retention(oldest, self.opened, SIGNER.checkpoint, lambda: None)
            return purging.purge(Wanted(days, "dana", keep_from, dry=dry), NOW + 3 * DAY)

    def verdict(self) -> Verdict:
        with open_sqlite_evidence(self.path) as evidence:
            return verify(evidence, SIGNER.key, {})

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as database, database:
            return database.execute(query).fetchall()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "mcpgov.db")


@pytest.mark.parametrize("batch", [1, 3, 4, 1000])
def test_what_is_too_old_is_gone_and_the_rest_is_proved(
    site: Site, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", batch)
    assert site.purge(2, dry=True).records == 10
    done = site.purge(2)
    assert (done.records, len(done.writers)) == (10, 1)
    found = site.verdict()
    assert (found.code, found.purged, found.findings) == (0, 10, ())
    with open_sqlite_evidence(site.path) as evidence:
        proofs = evidence.proofs("1-0") + evidence.proofs("2-4")
    assert [proof.check(SIGNER.key) for proof in proofs if isinstance(proof, Proof)] == [
        f"{site.store.writer}:{seq}" for seq in (11, 12, 29, 30)
    ]
    assert site.purge(2).records == 0


def test_the_index_forgets_too(site: Site) -> None:
    site.purge(1)
    assert site.ask("SELECT count(*), min(tool) FROM calls") == [(5, "tool2")]
    assert site.ask("SELECT rowid FROM records_text WHERE records_text MATCH 'tool0'") == []
    assert len(site.ask("SELECT rowid FROM records_text WHERE records_text MATCH 'tool2'")) == 5
    assert site.ask("SELECT DISTINCT tool FROM hourly_rollups WHERE tool = 'tool0'") == []
    signed = f"SELECT size FROM checkpoints WHERE writer = '{site.store.writer}' ORDER BY size"
    assert site.ask(signed) == [(20,), (30,)]


def test_what_was_removed_from_two_stores_is_told_together() -> None:
    one, other = Purge(2, frozenset({"a"}), 5, 9), Purge(3, frozenset({"b"}), 4, 8)
    assert one.beside(other) == other.beside(one) == Purge(5, frozenset({"a", "b"}), 4, 9)
    assert one.beside(Purge()) == Purge().beside(one) == one
    assert Purge().beside(Purge()) == Purge()


def test_what_an_export_has_not_taken_stays(site: Site) -> None:
    assert site.purge(1, keep_from=6).records == 5
    found = site.verdict()
    assert (found.code, found.purged, found.open_calls) == (0, 5, 0)


def test_a_call_under_way_and_what_is_behind_it_stays(tmp_path: Path) -> None:
    site = Site(tmp_path / "one.db")
    store = SqliteLedgerStore(tmp_path / "two.db")
    site.path = tmp_path / "two.db"
    store.open()
    store.append([ControlRecord(ControlEvent.START, NOW).row(), IntentRecord(facts("open", NOW)).row()])
    store.append([ControlRecord(ControlEvent.RELOAD, NOW).row()])
    assert site.purge(1).records == 1
    assert site.verdict().code == 0


def test_a_gateway_that_wrote_nothing_for_so_long_that_all_was_purged_writes_on(site: Site) -> None:
    site.store.close(finished=False)
    idle = SqliteLedgerStore(site.path)
    idle.open()
    idle.append([ControlRecord(ControlEvent.START, NOW).row()])
    site.purge(1)
    with pytest.raises(StoreUnavailable):  # the connection is dropped, and opened anew
        idle.append([IntentRecord(facts("x", NOW)).row(), IntentRecord(facts("x", NOW)).row()])
    idle.append([ControlRecord(ControlEvent.RELOAD, NOW + 3 * DAY).row()])
    assert site.verdict().code == 0


def test_what_was_tampered_with_is_evidence_and_stays(site: Site) -> None:
    site.ask("UPDATE records SET record = replace(record, 'tool0', 'tool9') WHERE id = 3")
    with pytest.raises(StoreUnavailable, match="audit verify"):
        site.purge(1)
    assert site.ask("SELECT count(*) FROM records") == [(30,)]


def test_what_somebody_dated_back_is_not_removed_for_them(site: Site) -> None:
    site.ask("UPDATE records SET at = 0")
    for dry in (True, False):
        with pytest.raises(StoreUnavailable, match=r"record 1 of .* filed under another time.*audit verify"):
            site.purge(400, dry=dry)
    assert site.ask("SELECT count(*) FROM records") == [(30,)]
    assert site.verdict().code == 1
