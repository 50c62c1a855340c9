"""The ledger in SQLite keeps the contract, also when its file is locked, moved or newer."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.audit.chain import Chain
from mcpgov.audit.ledger_store import LedgerStore
from mcpgov.audit.record import Durability, Row
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.store import sqlite_ledger
from mcpgov.store.database import BUSY, connect, create_database
from mcpgov.store.sqlite_ledger import INSERT, ROWS, STATEMENTS, VALUES, SqliteLedgerStore, take_lock
from tests.contract.ledger_contract import NOW, LedgerContract, intent, outcome, unknown


def rows_of(path: Path) -> list[tuple[str, int, Row]]:
    """Every row in a file, read by a connection of its own."""
    database = sqlite3.connect(path)
    found = database.execute("SELECT * FROM records ORDER BY id").fetchall()
    database.close()
    return [(writer, seq, Row(*rest)) for _, writer, seq, *rest, _ in found]


class TestSqliteLedgerStore(LedgerContract):
    @pytest.fixture(autouse=True)
    def ledger(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "mcpgov.db"
        self.stores: list[SqliteLedgerStore] = []
        yield
        for store in self.stores:
            store.close(finished=False)

    def writer(self) -> LedgerStore:
        self.stores.append(SqliteLedgerStore(self.path, busy=5))
        return self.stores[-1]

    def crash(self, store: LedgerStore) -> None:
        store.close(finished=False)  # the system closes the same files, and lets go of the same locks

    def kept(self) -> list[tuple[str, int, Row]]:
        return rows_of(self.path)

    def hashes(self) -> list[bytes]:
        with closing(sqlite3.connect(self.path)) as database:
            return [row[0] for row in database.execute("SELECT hash FROM records ORDER BY id")]

    def notes(self) -> list[tuple[str, int, str]]:
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute("SELECT writer, size, note FROM checkpoints ORDER BY writer, size").fetchall()

    def test_no_file_is_left_behind_by_writers_that_finished_or_were_recovered(self, store: LedgerStore) -> None:
        self.crash(store)
        other = self.writer()
        other.open()
        assert len(list(self.path.parent.glob("*-writer-*"))) == 2
        other.recover(unknown)
        other.close(finished=True)
        assert [path.name for path in self.path.parent.iterdir()] == ["mcpgov.db"]

    def test_a_writer_whose_lock_file_is_missing_is_gone(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        self.crash(store)
        for left in self.path.parent.glob("*-writer-*"):
            left.unlink()
        other = self.writer()
        other.open()
        assert other.recover(unknown) == 1

    def test_a_lock_that_cannot_be_asked_for_touches_nothing(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        self.crash(store)
        left = next(self.path.parent.glob("*-writer-*"))
        left.unlink()
        left.mkdir()
        other = self.writer()
        other.open()
        with pytest.raises(StoreUnavailable):
            other.recover(unknown)
        left.rmdir()
        assert other.recover(unknown) == 1

    def refused(self, tried: Row, kept: Sequence[Row]) -> LedgerStore:
        """A writer of one record that was told that `tried` is not kept; `kept` is there all the same."""
        store, first = SqliteLedgerStore(self.path, busy=0.01), intent("1", '{"a":1}')
        self.stores.append(store)
        store.open()
        store.append([first])
        _, hashes = Chain(store.writer).extended(row.record for row in (first, *kept))
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                store.append([tried])
            for seq, row in enumerate(kept, 2):
                other.execute(STATEMENTS[1], (store.writer, seq, *row, hashes[seq - 1]))
            other.execute("COMMIT")
        return store

    def test_a_commit_whose_answer_was_lost_does_not_use_a_number_twice(self) -> None:
        store = self.refused(intent("lost"), [intent("lost")])
        store.append([intent("next")])
        assert [(seq, row.call_id) for _, seq, row in self.kept()] == [(1, "1"), (2, "lost"), (3, "next")]

    @pytest.mark.parametrize("forged", [["forged"], ["lost", "forged"]], ids=" ".join)
    def test_what_somebody_else_chained_behind_a_writer_is_not_taken_for_its_own(self, forged: list[str]) -> None:
        store = self.refused(intent("lost", '"lost"'), [intent(name, f'"{name}"') for name in forged])
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="somebody changed it"):
                store.append([intent("next")])
        with pytest.raises(StoreUnavailable, match="somebody changed it"):
            store.checkpoint(str, NOW)
        assert [row.call_id for _, _, row in self.kept()] == ["1", *forged]

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE records SET record = '[]' WHERE seq = 2",
            "UPDATE records SET hash = x'00' WHERE seq = 1",
            "DELETE FROM records",
        ],
    )
    def test_a_store_that_was_changed_while_the_connection_was_lost_is_written_to_no_more(self, change: str) -> None:
        store = self.refused(intent("lost"), [intent("lost")])
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(change)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="somebody changed it"):
                store.append([intent("2")])

    def test_a_store_that_was_moved_away_refuses_until_it_is_back(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        elsewhere = self.path.with_name("elsewhere.db")
        self.path.rename(elsewhere)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                store.append([intent("2")])
        elsewhere.rename(self.path)
        store.append([intent("3")])
        assert [row.call_id for _, _, row in self.kept()] == ["1", "3"]

    def test_a_store_that_was_replaced_is_not_written_to(self, store: LedgerStore) -> None:
        self.path.rename(self.path.with_name("elsewhere.db"))
        create_database(self.path.with_name("another.db"))
        self.path.with_name("another.db").rename(self.path)
        with pytest.raises(StoreUnavailable, match="moved or replaced"):
            store.append([intent("1")])

    def test_a_lock_of_another_process_fails_the_batch_and_is_forgotten_with_it(self) -> None:
        store = SqliteLedgerStore(self.path, busy=0.01)
        self.stores.append(store)
        store.open()
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.append([intent("1")])
        other.execute("ROLLBACK")
        other.close()
        store.append([intent("2")])
        assert [(seq, row.call_id) for _, seq, row in self.kept()] == [(1, "2")]

    @pytest.mark.parametrize(("durability", "synchronous"), [("durable", 2), ("os-cache", 1)])
    def test_a_commit_is_flushed_unless_the_cache_of_the_system_is_enough(
        self, durability: str, synchronous: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[sqlite3.Connection] = []

        def noted(path: Path, *, busy: float = BUSY, flushed: bool = True) -> sqlite3.Connection:
            made.append(connect(path, busy=busy, flushed=flushed))
            return made[-1]

        monkeypatch.setattr(sqlite_ledger, "connect", noted)
        store = SqliteLedgerStore(self.path, Durability(durability))
        self.stores.append(store)
        store.open()
        assert made[0].execute("PRAGMA synchronous").fetchone() == (synchronous,)

    def test_every_record_that_a_store_makes_names_its_durability(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        store.close(finished=True)
        other = SqliteLedgerStore(self.path, Durability.OS_CACHE)
        self.stores.append(other)
        other.open()
        other.append([intent("2")])
        [named] = [row for _, _, row in self.kept() if row.reason == "writers"]
        assert '"mcpgov.durability":"os-cache"' in named.record

    def test_a_store_that_did_not_open_may_be_opened_again(self) -> None:
        store = SqliteLedgerStore(self.path / "mcpgov.db")
        self.stores.append(store)
        with pytest.raises(StoreUnavailable):
            store.open()
        self.path.mkdir()
        for _ in range(2):
            store.open()
        store.append([intent("1")])
        assert [writer for writer, _, _ in rows_of(self.path / "mcpgov.db")] == [store.writer]

    def test_what_the_log_holds_is_written_into_the_file_by_the_next_start(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        log = self.path.with_name("mcpgov.db-wal")
        assert log.stat().st_size > 0
        with closing(sqlite3.connect(self.path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM records").fetchall()
            store.append([intent("2")])
            other = self.writer()
            other.open()
            other.recover(unknown)  # somebody reads: nothing is waited for
            assert log.stat().st_size > 0
        other.recover(unknown)
        assert log.stat().st_size == 0
        assert [row.call_id for _, _, row in self.kept()] == ["1", "2"]

    def test_a_store_from_a_newer_version_is_refused(self, store: LedgerStore) -> None:
        with sqlite3.connect(self.path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        with pytest.raises(InvalidConfiguration, match="newer"):
            self.writer().open()

    def test_a_store_may_be_closed_twice_and_without_being_opened(self) -> None:
        store = SqliteLedgerStore(self.path)
        store.close(finished=True)
        store.open()
        store.close(finished=True)
        store.close(finished=True)
        assert rows_of(self.path) == []

    def test_what_happens_in_the_thread_of_the_writer_needs_no_other(self, store: LedgerStore) -> None:
        thread = threading.Thread(target=store.append, args=([intent("1"), outcome("1")],))
        thread.start()
        thread.join()
        assert len(self.kept()) == 2


def test_the_statement_has_a_place_for_every_column() -> None:
    assert INSERT.partition("(")[2].partition(")")[0].split(", ") == ["writer", "seq", *Row._fields, "hash"]
    assert VALUES.count("?") == 3 + len(Row._fields)
    assert STATEMENTS[ROWS].count("?") <= 999


class Claiming(SqliteLedgerStore):
    """One that is among others, as a writer uses it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, busy=5, company=True)

    def append(self, rows: Sequence[Row]) -> None:
        """Claim first."""
        self.claim()
        super().append(rows)


class TestSqliteLedgerStoreInCompany(TestSqliteLedgerStore):
    """Everything holds there, too."""

    def writer(self) -> LedgerStore:
        self.stores.append(Claiming(self.path))
        return self.stores[-1]

    def test_who_claims_keeps_others_from_writing_until_its_rows_are_kept(self) -> None:
        store, other = self.writer(), SqliteLedgerStore(self.path, busy=0.01, company=True)
        self.stores.append(other)
        store.open()
        other.open()
        store.claim()
        with pytest.raises(StoreUnavailable, match="locked"):
            other.claim()
        store.append([intent("1"), intent("2")])
        other.claim()
        other.append([intent("3")])
        assert [row.call_id for _, _, row in self.kept() if row.call_id] == ["1", "2", "3"]

    def test_what_fails_after_a_claim_lets_go_of_it(self) -> None:
        store, other = self.writer(), SqliteLedgerStore(self.path, busy=0.01)
        self.stores.append(other)
        store.open()
        other.open()
        store.claim()
        self.path.rename(self.path.with_name("away.db"))
        with pytest.raises(StoreUnavailable, match="No such file"):
            store.append([intent("1")])
        self.path.with_name("away.db").rename(self.path)
        other.append([intent("2")])
        assert [row.call_id for _, _, row in self.kept() if row.call_id] == ["2"]

    def test_alone_nothing_is_claimed(self) -> None:
        store, other = SqliteLedgerStore(self.path, busy=0.01), SqliteLedgerStore(self.path, busy=0.01)
        self.stores += [store, other]
        store.open()
        other.open()
        store.claim()
        other.append([intent("1")])


def test_a_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        take_lock(tmp_path / "lock")
    first.close()
    take_lock(tmp_path / "lock").close()
